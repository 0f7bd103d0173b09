-- Images on their way to receivers, and what only their runs may know.

CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    image_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    receiver TEXT NOT NULL,
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    state TEXT NOT NULL,
    claim INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    attempts TEXT NOT NULL,
    answer TEXT NOT NULL,
    verdict TEXT,
    request_id TEXT,
    created_at TEXT NOT NULL,
    started_at TEXT,
    updated_at TEXT NOT NULL,
    ended_at TEXT
);

CREATE INDEX exports_by_project ON exports (project_id, created_at DESC, id DESC);

CREATE INDEX exports_by_age ON exports (created_at DESC, id DESC);

CREATE INDEX exports_unfinished ON exports (created_at, id) WHERE ended_at IS NULL;

CREATE INDEX exports_ended ON exports (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE export_secrets (
    export_id TEXT PRIMARY KEY REFERENCES exports (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    headers TEXT NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER export_secrets_go_with_its_end AFTER UPDATE OF ended_at ON exports WHEN NEW.ended_at IS NOT NULL
BEGIN
    DELETE FROM export_secrets WHERE export_id = NEW.id;
END;
