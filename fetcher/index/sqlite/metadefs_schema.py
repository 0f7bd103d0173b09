"""The tables of metadata definitions: a room of their own, which nothing of images and imports refers to.

An item is a property, an object, a tag, or the association of a namespace
with a resource type; its document is JSON without the name.
"""

RESOURCE_TYPES = (
    "OS::Glance::Image",
    "OS::Cinder::Volume",
    "OS::Nova::Flavor",
    "OS::Nova::Aggregate",
    "OS::Nova::Server",
)
NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

METADEFS = (
    """CREATE TABLE metadef_namespaces (
        id INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL UNIQUE,
        display_name TEXT,
        description TEXT,
        visibility TEXT NOT NULL,
        is_protected INTEGER NOT NULL,
        owner TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )""",
    """CREATE TABLE metadef_items (
        id INTEGER PRIMARY KEY,
        namespace_id INTEGER NOT NULL REFERENCES metadef_namespaces (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        document TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (namespace_id, kind, name)
    )""",
    "CREATE INDEX metadef_items_by_name ON metadef_items (kind, name)",
    """CREATE TABLE metadef_resource_types (
        name TEXT PRIMARY KEY,
        is_known INTEGER NOT NULL,
        created_at TEXT NOT NULL
    ) WITHOUT ROWID""",
    *(
        f"INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('{name}', 1, {NOW})"  # noqa: S608 - the constants above
        for name in RESOURCE_TYPES
    ),
)
