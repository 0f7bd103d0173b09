-- Metadata definitions: namespaces, what is in them, and resource types.

CREATE TABLE metadef_namespaces (
        id INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL UNIQUE,
        display_name TEXT,
        description TEXT,
        visibility TEXT NOT NULL,
        is_protected INTEGER NOT NULL,
        owner TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    );

CREATE TABLE metadef_items (
        id INTEGER PRIMARY KEY,
        namespace_id INTEGER NOT NULL REFERENCES metadef_namespaces (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        document TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (namespace_id, kind, name)
    );

CREATE INDEX metadef_items_by_name ON metadef_items (kind, name);

CREATE TABLE metadef_resource_types (
        name TEXT PRIMARY KEY,
        is_known INTEGER NOT NULL,
        created_at TEXT NOT NULL
    ) WITHOUT ROWID;

INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('OS::Glance::Image', 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('OS::Cinder::Volume', 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('OS::Nova::Flavor', 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('OS::Nova::Aggregate', 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('OS::Nova::Server', 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
