-- Find a blob by each digest that may be the address of its bytes: the column `sha256` holds the address, which is
-- the sha256 or another digest, as its length tells.
CREATE INDEX blobs_by_sha256 ON blobs ((digests::jsonb ->> 'sha256')) WHERE length(sha256) <> 64;

-- The address under which an import's bytes are about to be committed; a host of an earlier version writes none, and
-- it is their sha256.
ALTER TABLE imports ADD COLUMN address text COLLATE "C";

CREATE OR REPLACE FUNCTION loose_before_commit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := coalesce(NEW.address, NEW.digests::jsonb ->> 'sha256');
BEGIN
    IF name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE sha256 = name) THEN
        PERFORM note_loose(name);
    END IF;
    RETURN NULL;
END $$;
