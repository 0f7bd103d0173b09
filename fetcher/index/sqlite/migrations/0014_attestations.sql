-- Signed statements on images, and an audit trail whose lines are chained by their digests.

CREATE TABLE attestations (
    image_id TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    key_id TEXT,
    envelope TEXT,
    created_at TEXT
) WITHOUT ROWID;

CREATE INDEX attestations_to_sign ON attestations (image_id) WHERE envelope IS NULL;

CREATE TRIGGER attestations_of_stories AFTER INSERT ON provenance BEGIN
    DELETE FROM attestations WHERE image_id = NEW.image_id;
    INSERT INTO attestations (image_id) VALUES (NEW.image_id); END;

INSERT INTO attestations (image_id) SELECT image_id FROM provenance;

ALTER TABLE audit ADD COLUMN hash TEXT;

CREATE TABLE audit_anchor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    audit_id INTEGER NOT NULL,
    hash TEXT NOT NULL
);
