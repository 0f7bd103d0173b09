-- The submitter's own token for the target image service: it goes with the import's end, as all secrets do.
ALTER TABLE import_secrets ADD COLUMN target_token TEXT;

-- How far an image has come on its way there, as JSON.
ALTER TABLE imports ADD COLUMN delivery TEXT;

-- Where the bytes of images came from that went on to the target and are no images here: gone with their imports.
CREATE TABLE deliveries (
    import_id TEXT PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
    document TEXT NOT NULL
) WITHOUT ROWID;
