-- Count the text of records; that of a submission goes with its import's end.

ALTER TABLE images ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0;

ALTER TABLE usage ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0;

UPDATE images SET text_bytes = (length(CAST(ifnull(name, '') AS BLOB))
    + (SELECT ifnull(sum(length(CAST(tag AS BLOB))), 0) FROM image_tags WHERE image_id = images.id)
    + (SELECT ifnull(sum(length(CAST(name AS BLOB)) + length(CAST(value AS BLOB))), 0)
       FROM image_properties WHERE image_id = images.id));

UPDATE usage SET text_bytes =
    (SELECT ifnull(sum(text_bytes), 0) FROM images WHERE images.project_id = usage.project_id);

CREATE TRIGGER text_of_new_images AFTER INSERT ON images BEGIN INSERT INTO usage (project_id, text_bytes) VALUES (NEW.project_id, NEW.text_bytes)
    ON CONFLICT (project_id) DO UPDATE SET text_bytes = text_bytes + excluded.text_bytes; END;

CREATE TRIGGER text_of_gone_images AFTER DELETE ON images BEGIN UPDATE usage SET text_bytes = text_bytes - OLD.text_bytes WHERE project_id = OLD.project_id; END;

CREATE TRIGGER text_of_changed_images AFTER UPDATE OF text_bytes, project_id ON images
        WHEN OLD.text_bytes <> NEW.text_bytes OR OLD.project_id <> NEW.project_id
        BEGIN UPDATE usage SET text_bytes = text_bytes - OLD.text_bytes WHERE project_id = OLD.project_id; INSERT INTO usage (project_id, text_bytes) VALUES (NEW.project_id, NEW.text_bytes)
    ON CONFLICT (project_id) DO UPDATE SET text_bytes = text_bytes + excluded.text_bytes; END;

UPDATE imports SET submission = json_set(submission, '$.properties', json('{}'), '$.headers', json('{}'),
    '$.tags', json('[]'), '$.mirrors', json('[]'))
        WHERE ended_at IS NOT NULL AND length(submission) > 4096;

CREATE TRIGGER submission_goes_with_its_end AFTER UPDATE OF ended_at ON imports
        WHEN NEW.ended_at IS NOT NULL AND length(NEW.submission) > 4096
        BEGIN UPDATE imports SET submission = json_set(submission, '$.properties', json('{}'), '$.headers', json('{}'),
    '$.tags', json('[]'), '$.mirrors', json('[]')) WHERE id = NEW.id; END;
