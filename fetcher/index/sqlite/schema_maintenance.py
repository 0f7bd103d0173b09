"""Tables and triggers that keep count by themselves, whichever verb writes.

`usage` is what each project holds, exact inside every transaction: images,
their bytes (each image in full, also where images share bytes), and the bytes
that its running imports are about to bring. `loose_files` are blobs whose
file may be there without a row: noted in the transaction before the file
appears, and in the one that drops the row. `retired_images` are ids that
stood for bytes, and stand for no others until they are old.
"""

# ruff: noqa: S608 - every piece of these statements is a constant of this file

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

HELD = (
    "(CASE WHEN {0}.ended_at IS NULL THEN max(ifnull({0}.expected_bytes, 0), {0}.received_bytes) ELSE 0 END)"
)
HELD_NEW, HELD_OLD = HELD.format("NEW"), HELD.format("OLD")

COUNT_IMAGE = """INSERT INTO usage (project_id, images, bytes) VALUES (NEW.project_id, 1, ifnull(NEW.size, 0))
    ON CONFLICT (project_id) DO UPDATE SET images = images + 1, bytes = bytes + excluded.bytes;"""
UNCOUNT_IMAGE = """UPDATE usage SET images = images - 1, bytes = bytes - ifnull(OLD.size, 0)
    WHERE project_id = OLD.project_id;"""
NOTE_LOOSE = """INSERT INTO loose_files (sha256, noted_at) VALUES ({sha256}, {now})
    ON CONFLICT (sha256) DO UPDATE SET noted_at = excluded.noted_at;"""

COUNTED = """SELECT project_id, sum(images) AS images, sum(bytes) AS bytes, sum(held_bytes) AS held_bytes
    FROM (
    SELECT project_id, count(*) AS images, sum(ifnull(size, 0)) AS bytes, 0 AS held_bytes
        FROM images GROUP BY 1
    UNION ALL
    SELECT project_id, 0, sum(size), 0 FROM image_stages GROUP BY 1
    UNION ALL
    SELECT project_id, 0, 0, sum(max(ifnull(expected_bytes, 0), received_bytes)) FROM imports
        WHERE ended_at IS NULL GROUP BY 1) GROUP BY 1"""

FOURTH = (
    """CREATE TABLE usage (
        project_id TEXT PRIMARY KEY,
        images INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        held_bytes INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    "ALTER TABLE image_stages ADD COLUMN project_id TEXT",
    "ALTER TABLE image_stages ADD COLUMN size INTEGER",
    """UPDATE image_stages SET
        project_id = (SELECT project_id FROM images WHERE images.id = image_stages.image_id),
        size = (SELECT size FROM blobs WHERE blobs.sha256 = image_stages.sha256)""",
    f"INSERT INTO usage {COUNTED}",
    """CREATE TRIGGER usage_of_new_stages AFTER INSERT ON image_stages BEGIN
        UPDATE image_stages SET
            project_id = (SELECT project_id FROM images WHERE images.id = NEW.image_id),
            size = (SELECT size FROM blobs WHERE blobs.sha256 = NEW.sha256)
            WHERE image_id = NEW.image_id;
        UPDATE usage SET bytes = bytes + (SELECT size FROM blobs WHERE blobs.sha256 = NEW.sha256)
            WHERE project_id = (SELECT project_id FROM images WHERE images.id = NEW.image_id);
        END""",
    """CREATE TRIGGER usage_of_gone_stages AFTER DELETE ON image_stages BEGIN
        UPDATE usage SET bytes = bytes - ifnull(OLD.size, 0) WHERE project_id = OLD.project_id; END""",
    f"CREATE TRIGGER usage_of_new_images AFTER INSERT ON images BEGIN {COUNT_IMAGE} END",
    f"CREATE TRIGGER usage_of_gone_images AFTER DELETE ON images BEGIN {UNCOUNT_IMAGE} END",
    f"""CREATE TRIGGER usage_of_changed_images AFTER UPDATE OF size, project_id ON images
        WHEN OLD.size IS NOT NEW.size OR OLD.project_id <> NEW.project_id
        BEGIN {UNCOUNT_IMAGE} {COUNT_IMAGE} END""",
    f"""CREATE TRIGGER usage_of_new_imports AFTER INSERT ON imports WHEN {HELD_NEW} > 0
        BEGIN INSERT INTO usage (project_id, held_bytes) VALUES (NEW.project_id, {HELD_NEW})
        ON CONFLICT (project_id) DO UPDATE SET held_bytes = held_bytes + excluded.held_bytes; END""",
    f"""CREATE TRIGGER usage_of_changed_imports
        AFTER UPDATE OF expected_bytes, received_bytes, ended_at ON imports WHEN {HELD_NEW} <> {HELD_OLD}
        BEGIN INSERT INTO usage (project_id, held_bytes) VALUES (NEW.project_id, {HELD_NEW} - {HELD_OLD})
        ON CONFLICT (project_id) DO UPDATE SET held_bytes = held_bytes + excluded.held_bytes; END""",
    f"""CREATE TRIGGER usage_of_gone_imports AFTER DELETE ON imports WHEN {HELD_OLD} > 0
        BEGIN UPDATE usage SET held_bytes = held_bytes - {HELD_OLD} WHERE project_id = OLD.project_id; END""",
    "CREATE TABLE loose_files (sha256 TEXT PRIMARY KEY, noted_at TEXT NOT NULL) WITHOUT ROWID",
    f"""CREATE TRIGGER loose_before_commit AFTER UPDATE OF phase ON imports WHEN NEW.phase = 'committing'
        AND json_extract(NEW.digests, '$.sha256') IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM blobs WHERE sha256 = json_extract(NEW.digests, '$.sha256'))
        BEGIN {NOTE_LOOSE.format(sha256="json_extract(NEW.digests, '$.sha256')", now=NOW)} END""",
    f"""CREATE TRIGGER loose_after_drop AFTER DELETE ON blobs
        BEGIN {NOTE_LOOSE.format(sha256="OLD.sha256", now=NOW)} END""",
    """CREATE TRIGGER loose_no_more AFTER INSERT ON blobs
        BEGIN DELETE FROM loose_files WHERE sha256 = NEW.sha256; END""",
    "ALTER TABLE blobs ADD COLUMN checked_at TEXT",
    "ALTER TABLE blobs ADD COLUMN fault TEXT",
    "CREATE INDEX blobs_by_check ON blobs (ifnull(checked_at, created_at))",
    "CREATE INDEX blobs_faulty ON blobs (sha256) WHERE fault IS NOT NULL",
    "ALTER TABLE idempotency_keys ADD COLUMN created_at TEXT",
    f"""UPDATE idempotency_keys SET created_at = {NOW}""",
    f"""CREATE TRIGGER idempotency_keys_age AFTER INSERT ON idempotency_keys WHEN NEW.created_at IS NULL
        BEGIN UPDATE idempotency_keys SET created_at = {NOW}
        WHERE project_id = NEW.project_id AND key = NEW.key; END""",
    "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)",
)

# A record's text lies on the same disk, and whoever lists images reads it: it has a quota of its own.
TEXT_BYTES = """(length(CAST(ifnull(name, '') AS BLOB))
    + (SELECT ifnull(sum(length(CAST(tag AS BLOB))), 0) FROM image_tags WHERE image_id = images.id)
    + (SELECT ifnull(sum(length(CAST(name AS BLOB)) + length(CAST(value AS BLOB))), 0)
       FROM image_properties WHERE image_id = images.id))"""
COUNT_TEXT = """INSERT INTO usage (project_id, text_bytes) VALUES (NEW.project_id, NEW.text_bytes)
    ON CONFLICT (project_id) DO UPDATE SET text_bytes = text_bytes + excluded.text_bytes;"""
UNCOUNT_TEXT = "UPDATE usage SET text_bytes = text_bytes - OLD.text_bytes WHERE project_id = OLD.project_id;"
RECOUNT_TEXT = """UPDATE usage SET text_bytes =
    (SELECT ifnull(sum(text_bytes), 0) FROM images WHERE images.project_id = usage.project_id)"""
# What of an ended import's submission is its image's now, or was only for its pull.
LARGE_SUBMISSION_BYTES = 4096
SHORTENED = """json_set(submission, '$.properties', json('{}'), '$.headers', json('{}'),
    '$.tags', json('[]'), '$.mirrors', json('[]'))"""

TEXT = (
    "ALTER TABLE images ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE usage ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0",
    f"UPDATE images SET text_bytes = {TEXT_BYTES}",
    RECOUNT_TEXT,
    f"CREATE TRIGGER text_of_new_images AFTER INSERT ON images BEGIN {COUNT_TEXT} END",
    f"CREATE TRIGGER text_of_gone_images AFTER DELETE ON images BEGIN {UNCOUNT_TEXT} END",
    f"""CREATE TRIGGER text_of_changed_images AFTER UPDATE OF text_bytes, project_id ON images
        WHEN OLD.text_bytes <> NEW.text_bytes OR OLD.project_id <> NEW.project_id
        BEGIN {UNCOUNT_TEXT} {COUNT_TEXT} END""",
    f"""UPDATE imports SET submission = {SHORTENED}
        WHERE ended_at IS NOT NULL AND length(submission) > {LARGE_SUBMISSION_BYTES}""",
    f"""CREATE TRIGGER submission_goes_with_its_end AFTER UPDATE OF ended_at ON imports
        WHEN NEW.ended_at IS NOT NULL AND length(NEW.submission) > {LARGE_SUBMISSION_BYTES}
        BEGIN UPDATE imports SET submission = {SHORTENED} WHERE id = NEW.id; END""",
)

RETIRE = f"INSERT OR IGNORE INTO retired_images (id, at) VALUES (?, {NOW})"

BOUNDS = (
    "ALTER TABLE blobs ADD COLUMN note TEXT",
    "ALTER TABLE retired_images ADD COLUMN at TEXT",
    f"UPDATE retired_images SET at = {NOW}",
    "CREATE INDEX retired_images_by_age ON retired_images (at)",
)
