-- Add what projects hold, counted by triggers, files without a row, and when blobs were last read.

CREATE TABLE usage (
        project_id TEXT PRIMARY KEY,
        images INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        held_bytes INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

ALTER TABLE image_stages ADD COLUMN project_id TEXT;

ALTER TABLE image_stages ADD COLUMN size INTEGER;

UPDATE image_stages SET
        project_id = (SELECT project_id FROM images WHERE images.id = image_stages.image_id),
        size = (SELECT size FROM blobs WHERE blobs.sha256 = image_stages.sha256);

INSERT INTO usage SELECT project_id, sum(images) AS images, sum(bytes) AS bytes, sum(held_bytes) AS held_bytes
    FROM (
    SELECT project_id, count(*) AS images, sum(ifnull(size, 0)) AS bytes, 0 AS held_bytes
        FROM images GROUP BY 1
    UNION ALL
    SELECT project_id, 0, sum(size), 0 FROM image_stages GROUP BY 1
    UNION ALL
    SELECT project_id, 0, 0, sum(max(ifnull(expected_bytes, 0), received_bytes)) FROM imports
        WHERE ended_at IS NULL GROUP BY 1) GROUP BY 1;

CREATE TRIGGER usage_of_new_stages AFTER INSERT ON image_stages BEGIN
        UPDATE image_stages SET
            project_id = (SELECT project_id FROM images WHERE images.id = NEW.image_id),
            size = (SELECT size FROM blobs WHERE blobs.sha256 = NEW.sha256)
            WHERE image_id = NEW.image_id;
        UPDATE usage SET bytes = bytes + (SELECT size FROM blobs WHERE blobs.sha256 = NEW.sha256)
            WHERE project_id = (SELECT project_id FROM images WHERE images.id = NEW.image_id);
        END;

CREATE TRIGGER usage_of_gone_stages AFTER DELETE ON image_stages BEGIN
        UPDATE usage SET bytes = bytes - ifnull(OLD.size, 0) WHERE project_id = OLD.project_id; END;

CREATE TRIGGER usage_of_new_images AFTER INSERT ON images BEGIN INSERT INTO usage (project_id, images, bytes) VALUES (NEW.project_id, 1, ifnull(NEW.size, 0))
    ON CONFLICT (project_id) DO UPDATE SET images = images + 1, bytes = bytes + excluded.bytes; END;

CREATE TRIGGER usage_of_gone_images AFTER DELETE ON images BEGIN UPDATE usage SET images = images - 1, bytes = bytes - ifnull(OLD.size, 0)
    WHERE project_id = OLD.project_id; END;

CREATE TRIGGER usage_of_changed_images AFTER UPDATE OF size, project_id ON images
        WHEN OLD.size IS NOT NEW.size OR OLD.project_id <> NEW.project_id
        BEGIN UPDATE usage SET images = images - 1, bytes = bytes - ifnull(OLD.size, 0)
    WHERE project_id = OLD.project_id; INSERT INTO usage (project_id, images, bytes) VALUES (NEW.project_id, 1, ifnull(NEW.size, 0))
    ON CONFLICT (project_id) DO UPDATE SET images = images + 1, bytes = bytes + excluded.bytes; END;

CREATE TRIGGER usage_of_new_imports AFTER INSERT ON imports WHEN (CASE WHEN NEW.ended_at IS NULL THEN max(ifnull(NEW.expected_bytes, 0), NEW.received_bytes) ELSE 0 END) > 0
        BEGIN INSERT INTO usage (project_id, held_bytes) VALUES (NEW.project_id, (CASE WHEN NEW.ended_at IS NULL THEN max(ifnull(NEW.expected_bytes, 0), NEW.received_bytes) ELSE 0 END))
        ON CONFLICT (project_id) DO UPDATE SET held_bytes = held_bytes + excluded.held_bytes; END;

CREATE TRIGGER usage_of_changed_imports
        AFTER UPDATE OF expected_bytes, received_bytes, ended_at ON imports WHEN (CASE WHEN NEW.ended_at IS NULL THEN max(ifnull(NEW.expected_bytes, 0), NEW.received_bytes) ELSE 0 END) <> (CASE WHEN OLD.ended_at IS NULL THEN max(ifnull(OLD.expected_bytes, 0), OLD.received_bytes) ELSE 0 END)
        BEGIN INSERT INTO usage (project_id, held_bytes) VALUES (NEW.project_id, (CASE WHEN NEW.ended_at IS NULL THEN max(ifnull(NEW.expected_bytes, 0), NEW.received_bytes) ELSE 0 END) - (CASE WHEN OLD.ended_at IS NULL THEN max(ifnull(OLD.expected_bytes, 0), OLD.received_bytes) ELSE 0 END))
        ON CONFLICT (project_id) DO UPDATE SET held_bytes = held_bytes + excluded.held_bytes; END;

CREATE TRIGGER usage_of_gone_imports AFTER DELETE ON imports WHEN (CASE WHEN OLD.ended_at IS NULL THEN max(ifnull(OLD.expected_bytes, 0), OLD.received_bytes) ELSE 0 END) > 0
        BEGIN UPDATE usage SET held_bytes = held_bytes - (CASE WHEN OLD.ended_at IS NULL THEN max(ifnull(OLD.expected_bytes, 0), OLD.received_bytes) ELSE 0 END) WHERE project_id = OLD.project_id; END;

CREATE TABLE loose_files (sha256 TEXT PRIMARY KEY, noted_at TEXT NOT NULL) WITHOUT ROWID;

CREATE TRIGGER loose_before_commit AFTER UPDATE OF phase ON imports WHEN NEW.phase = 'committing'
        AND json_extract(NEW.digests, '$.sha256') IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM blobs WHERE sha256 = json_extract(NEW.digests, '$.sha256'))
        BEGIN INSERT INTO loose_files (sha256, noted_at) VALUES (json_extract(NEW.digests, '$.sha256'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ON CONFLICT (sha256) DO UPDATE SET noted_at = excluded.noted_at; END;

CREATE TRIGGER loose_after_drop AFTER DELETE ON blobs
        BEGIN INSERT INTO loose_files (sha256, noted_at) VALUES (OLD.sha256, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ON CONFLICT (sha256) DO UPDATE SET noted_at = excluded.noted_at; END;

CREATE TRIGGER loose_no_more AFTER INSERT ON blobs
        BEGIN DELETE FROM loose_files WHERE sha256 = NEW.sha256; END;

ALTER TABLE blobs ADD COLUMN checked_at TEXT;

ALTER TABLE blobs ADD COLUMN fault TEXT;

CREATE INDEX blobs_by_check ON blobs (ifnull(checked_at, created_at));

CREATE INDEX blobs_faulty ON blobs (sha256) WHERE fault IS NOT NULL;

ALTER TABLE idempotency_keys ADD COLUMN created_at TEXT;

UPDATE idempotency_keys SET created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');

CREATE TRIGGER idempotency_keys_age AFTER INSERT ON idempotency_keys WHEN NEW.created_at IS NULL
        BEGIN UPDATE idempotency_keys SET created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
        WHERE project_id = NEW.project_id AND key = NEW.key; END;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
