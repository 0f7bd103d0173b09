-- Tell about how many bytes the record of an ended import takes, so that they have a bound.

ALTER TABLE imports ADD COLUMN kept_bytes INTEGER;

UPDATE imports SET kept_bytes = 2048 + length(CAST(submission AS BLOB)) + length(CAST(attempts AS BLOB))
        + length(CAST(digests AS BLOB)) + length(CAST(stages AS BLOB)) + ifnull(length(CAST(verdict AS BLOB)), 0)
        WHERE ended_at IS NOT NULL;

CREATE INDEX imports_kept ON imports (project_id, ended_at, kept_bytes) WHERE ended_at IS NOT NULL;
