"""The counts of the migrations' triggers, as statements that count again from the rows.

`usage` is what each project holds, exact inside every transaction: images,
their bytes (each image in full, also where images share bytes), and the bytes
that its running imports are about to bring. `retired_images` are ids that
stood for bytes, and stand for no others until they are old.
"""

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

COUNTED = """SELECT project_id, sum(images) AS images, sum(bytes) AS bytes, sum(held_bytes) AS held_bytes
    FROM (
    SELECT project_id, count(*) AS images, sum(ifnull(size, 0)) AS bytes, 0 AS held_bytes
        FROM images GROUP BY 1
    UNION ALL
    SELECT project_id, 0, sum(size), 0 FROM image_stages GROUP BY 1
    UNION ALL
    SELECT project_id, 0, 0, sum(max(ifnull(expected_bytes, 0), received_bytes)) FROM imports
        WHERE ended_at IS NULL GROUP BY 1) GROUP BY 1"""

# A record's text lies on the same disk, and whoever lists images reads it: it has a quota of its own.
TEXT_BYTES = """(length(CAST(ifnull(name, '') AS BLOB))
    + (SELECT ifnull(sum(length(CAST(tag AS BLOB))), 0) FROM image_tags WHERE image_id = images.id)
    + (SELECT ifnull(sum(length(CAST(name AS BLOB)) + length(CAST(value AS BLOB))), 0)
       FROM image_properties WHERE image_id = images.id))"""
RECOUNT_TEXT = """UPDATE usage SET text_bytes =
    (SELECT ifnull(sum(text_bytes), 0) FROM images WHERE images.project_id = usage.project_id)"""

RETIRE = f"INSERT OR IGNORE INTO retired_images (id, at) VALUES (?, {NOW})"  # noqa: S608 - a constant
