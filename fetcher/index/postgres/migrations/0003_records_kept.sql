-- About how many bytes the record of an ended import takes, so that they have a bound.

ALTER TABLE imports ADD COLUMN kept_bytes bigint;

CREATE INDEX imports_kept ON imports (project_id, ended_at, kept_bytes) WHERE ended_at IS NOT NULL;
