-- Images, their blobs, the imports that made them.

CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    virtual_bytes INTEGER,
    md5 TEXT,
    sha512 TEXT,
    digests TEXT NOT NULL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE images (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    is_protected INTEGER NOT NULL DEFAULT 0,
    is_hidden INTEGER NOT NULL DEFAULT 0,
    disk_format TEXT,
    container_format TEXT,
    size INTEGER,
    virtual_size INTEGER,
    sha256 TEXT REFERENCES blobs (sha256),
    min_disk INTEGER NOT NULL DEFAULT 0,
    min_ram INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE INDEX images_by_project ON images (project_id, created_at DESC, id DESC);

CREATE INDEX images_by_age ON images (created_at DESC, id DESC);

CREATE INDEX images_by_visibility ON images (visibility, created_at DESC, id DESC);

CREATE INDEX images_by_blob ON images (sha256);

CREATE TABLE image_tags (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (image_id, tag)
) WITHOUT ROWID;

CREATE INDEX image_tags_by_tag ON image_tags (tag, image_id);

CREATE TABLE image_properties (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image_id, name)
) WITHOUT ROWID;

CREATE INDEX image_properties_by_value ON image_properties (name, value, image_id);

CREATE TABLE imports (
    id TEXT PRIMARY KEY,
    image_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    phase TEXT,
    code TEXT,
    claim INTEGER NOT NULL DEFAULT 0,
    owns_image INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL DEFAULT 0,
    expected_bytes INTEGER,
    bytes_per_second REAL,
    submission TEXT NOT NULL,
    attempts TEXT NOT NULL DEFAULT '[]',
    format TEXT,
    digests TEXT NOT NULL DEFAULT '{}',
    verified_by TEXT NOT NULL DEFAULT 'none',
    verdict TEXT,
    request_id TEXT,
    created_at TEXT NOT NULL,
    started_at TEXT,
    updated_at TEXT NOT NULL,
    ended_at TEXT
);

CREATE INDEX imports_by_project ON imports (project_id, created_at DESC, id DESC);

CREATE INDEX imports_by_age ON imports (created_at DESC, id DESC);

CREATE INDEX imports_by_image ON imports (image_id, created_at DESC);

CREATE INDEX imports_unfinished ON imports (created_at, id) WHERE ended_at IS NULL;

CREATE INDEX imports_waiting ON imports (state) WHERE ended_at IS NULL;

CREATE INDEX imports_ended ON imports (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE import_secrets (
    import_id TEXT PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    headers TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    project_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    import_id TEXT NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, key)
) WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_import ON idempotency_keys (import_id);

CREATE TABLE provenance (
    image_id TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    import_id TEXT NOT NULL,
    document TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX provenance_by_import ON provenance (import_id);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    action TEXT NOT NULL,
    import_id TEXT,
    image_id TEXT,
    url TEXT,
    code TEXT,
    detail TEXT NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_by_age ON audit (at);

CREATE INDEX audit_by_import ON audit (import_id);
