"""The counts of the triggers, as statements that count again from the rows; see the migrations."""

COUNTED = """SELECT project_id, sum(images)::bigint AS images, sum(bytes)::bigint AS bytes,
        sum(held_bytes)::bigint AS held_bytes FROM (
    SELECT project_id, count(*) AS images, sum(coalesce(size, 0)) AS bytes, 0 AS held_bytes
        FROM images GROUP BY 1
    UNION ALL
    SELECT project_id, 0, sum(size), 0 FROM image_stages GROUP BY 1
    UNION ALL
    SELECT project_id, 0, 0, sum(held(imports)) FROM imports
        WHERE ended_at IS NULL GROUP BY 1) AS held GROUP BY 1"""

TEXT_BYTES = """(octet_length(coalesce(name, ''))
    + (SELECT coalesce(sum(octet_length(tag)), 0) FROM image_tags WHERE image_id = images.id)
    + (SELECT coalesce(sum(octet_length(p.name) + octet_length(p.value)), 0)
       FROM image_properties AS p WHERE p.image_id = images.id))"""
RECOUNT_TEXT = """UPDATE usage SET text_bytes =
    (SELECT coalesce(sum(text_bytes), 0) FROM images WHERE images.project_id = usage.project_id)"""

RETIRE = "INSERT INTO retired_images (id, at) VALUES (?, moment_now()) ON CONFLICT DO NOTHING"
