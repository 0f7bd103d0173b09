-- Find a blob by each digest that may be the address of its bytes: the column `sha256` holds the address, which is
-- the sha256 or another digest, as its length tells.
CREATE INDEX blobs_by_sha256 ON blobs (json_extract(digests, '$.sha256')) WHERE length(sha256) <> 64;

-- The address under which an import's bytes are about to be committed; without it, it is their sha256.
ALTER TABLE imports ADD COLUMN address TEXT;

DROP TRIGGER loose_before_commit;

CREATE TRIGGER loose_before_commit AFTER UPDATE OF phase ON imports WHEN NEW.phase = 'committing'
        AND coalesce(NEW.address, json_extract(NEW.digests, '$.sha256')) IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM blobs WHERE sha256 = coalesce(NEW.address, json_extract(NEW.digests, '$.sha256')))
        BEGIN INSERT INTO loose_files (sha256, noted_at) VALUES (coalesce(NEW.address, json_extract(NEW.digests, '$.sha256')),
            strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ON CONFLICT (sha256) DO UPDATE SET noted_at = excluded.noted_at; END;
