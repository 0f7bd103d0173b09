"""The tables, as numbered migrations; readable with `sqlite-utils` or Datasette as they are."""

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

from fetcher.index.sqlite.metadefs_schema import METADEFS
from fetcher.index.sqlite.schema_maintenance import BOUNDS, FOURTH, TEXT
from fetcher.index.sqlite.soundness import check_version
from fetcher.index.sqlite.webhook_targets import SIXTH

migrations = Migrations("glance-fetcher")


def migrate(db: Database) -> None:
    """Bring a file of any earlier version up to date.

    Raises:
        StoreFailed: It is no index of ours, or a later version's.
    """
    check_version(db, migrations)
    migrations.apply(db)


@migrations()
def m0001_images_and_imports(db: Database) -> None:
    """Images, their blobs, the imports that made them."""
    for statement in FIRST.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m0002_image_api(db: Database) -> None:
    """Members, staged bytes, retired ids; an index for each order and filter of the Image API."""
    for statement in SECOND.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m0003_pulls(db: Database) -> None:
    """Add what a crash must not lose of a pull, and validators of URLs pulled before."""
    for statement in THIRD.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m0004_upkeep(db: Database) -> None:
    """Add what projects hold, counted by triggers, files without a row, and when blobs were last read."""
    for statement in FOURTH:
        db.execute(statement)


@migrations()
def m0005_bounds(db: Database) -> None:
    """Retired ids have an age, and a faulty blob says why it could not be brought back."""
    for statement in BOUNDS:
        db.execute(statement)


@migrations()
def m0006_notices(db: Database) -> None:
    """Who is to be told that an import has ended, and what became of it."""
    for statement in SIXTH:
        db.execute(statement)


@migrations()
def m0007_metadefs(db: Database) -> None:
    """Metadata definitions: namespaces, what is in them, and resource types."""
    for statement in METADEFS:
        db.execute(statement)


FIRST = """
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
CREATE INDEX audit_by_import ON audit (import_id)
"""

# Indexes on an expression put NULL where it sorts first, and let a page begin after it.
SECOND = """
CREATE TABLE image_members (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    member_id TEXT NOT NULL,
    status TEXT NOT NULL,
    image_created_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (image_id, member_id)
) WITHOUT ROWID;
CREATE INDEX image_members_by_member
    ON image_members (member_id, status, image_created_at DESC, image_id DESC);

CREATE TABLE image_stages (
    image_id TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL REFERENCES blobs (sha256),
    format TEXT
) WITHOUT ROWID;
CREATE INDEX image_stages_by_blob ON image_stages (sha256);

CREATE TABLE retired_images (id TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE INDEX images_by_name ON images (ifnull(name, ''));
CREATE INDEX images_by_size ON images (ifnull(size, -1));
CREATE INDEX images_hidden ON images (id) WHERE is_hidden = 1;
CREATE INDEX images_by_change ON images (updated_at);
CREATE INDEX images_by_status ON images (status);
CREATE INDEX images_by_disk_format ON images (ifnull(disk_format, ''));
CREATE INDEX images_by_container_format ON images (ifnull(container_format, ''));
CREATE INDEX images_of_project_by_name ON images (project_id, ifnull(name, ''));
CREATE INDEX images_of_project_by_size ON images (project_id, ifnull(size, -1));
CREATE INDEX images_of_project_by_change ON images (project_id, updated_at);
CREATE INDEX images_public_by_name ON images (visibility, ifnull(name, '')) WHERE visibility = 'public';
CREATE INDEX images_public_by_size ON images (visibility, ifnull(size, -1)) WHERE visibility = 'public';
CREATE INDEX images_public_by_change ON images (visibility, updated_at) WHERE visibility = 'public';
CREATE INDEX blobs_by_md5 ON blobs (md5);
CREATE INDEX blobs_by_sha512 ON blobs (sha512)
"""

THIRD = """
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
CREATE INDEX remembered_urls_by_age ON remembered_urls (at)
"""


@migrations()
def m0006_signatures(db: Database) -> None:
    """Add where the signature on a checksum file is."""
    db.execute("ALTER TABLE import_secrets ADD COLUMN checksum_signature_url TEXT")


@migrations()
def m0008_length_verified(db: Database) -> None:
    """Add whether a source said where its body ends."""
    db.execute("ALTER TABLE imports ADD COLUMN length_verified INTEGER")


@migrations()
def m0009_text(db: Database) -> None:
    """Count the text of records; that of a submission goes with its import's end."""
    for statement in TEXT:
        db.execute(statement)


@migrations()
def m0010_stages(db: Database) -> None:
    """Add what was done to the received bytes before they were kept."""
    db.execute("ALTER TABLE imports ADD COLUMN stages TEXT NOT NULL DEFAULT '{}'")


@migrations()
def m0011_sums_signature(db: Database) -> None:
    """Add what the signature on the checksum file was worth."""
    db.execute("ALTER TABLE imports ADD COLUMN sums_signature TEXT")
