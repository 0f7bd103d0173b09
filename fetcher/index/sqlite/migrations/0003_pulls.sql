-- Add what a crash must not lose of a pull, and validators of URLs pulled before.

ALTER TABLE import_secrets ADD COLUMN mirrors TEXT NOT NULL DEFAULT '[]';

ALTER TABLE import_secrets ADD COLUMN checksum_url TEXT;

CREATE TABLE pulls (
    id TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    staged TEXT NOT NULL,
    source INTEGER NOT NULL,
    validator TEXT,
    declared_bytes INTEGER,
    kept_bytes INTEGER NOT NULL,
    kept_sha256 TEXT NOT NULL,
    spent_bytes INTEGER NOT NULL,
    spent_seconds REAL NOT NULL,
    barren INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE remembered_urls (
    project_id TEXT NOT NULL,
    request TEXT NOT NULL,
    etag TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES blobs (sha256) ON DELETE CASCADE,
    at TEXT NOT NULL,
    PRIMARY KEY (project_id, request)
) WITHOUT ROWID;

CREATE INDEX remembered_urls_by_request ON remembered_urls (request);

CREATE INDEX remembered_urls_by_blob ON remembered_urls (sha256);

CREATE INDEX remembered_urls_by_age ON remembered_urls (at);
