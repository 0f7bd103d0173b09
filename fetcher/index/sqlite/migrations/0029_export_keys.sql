-- A submitter's key for one request: the same request again is answered with the export that it made.

ALTER TABLE exports ADD COLUMN repeat_key TEXT;

ALTER TABLE exports ADD COLUMN repeat_sha256 TEXT;

CREATE UNIQUE INDEX exports_by_key ON exports (project_id, repeat_key) WHERE repeat_key IS NOT NULL;
