"""Records of the items of a namespace: properties, objects, tags and associations."""

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import Forbidden
from fetcher.index.metadef_rows import check_count, item_columns, no_item, ordered, taken, to_item
from fetcher.index.rows import Row, to_text
from fetcher.index.sqlite.metadefs.rows import drop_unused_types, find, owned
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import At, Bounds, Content, Item, Kind, Page
from fetcher.model import Actor


def listed(db: Database, at: At, actor: Actor, page: Page) -> list[Item]:
    """List one kind of a namespace's items."""
    namespace_id = find(db, at.namespace, actor)["id"]
    marker = None
    if page.marker is not None:
        marker = _row(db, namespace_id, msgspec.structs.replace(at, name=page.marker))["id"]
    where = "namespace_id = :namespace_id AND kind = :kind"
    sql, more = ordered("metadef_items", where, (page.sort_key, "created_at", "id"), page, marker)
    rows = select(db, sql, {"namespace_id": namespace_id, "kind": at.kind, **more})
    return [to_item(row) for row in rows]


def shown(db: Database, at: At, actor: Actor) -> Item:
    """Return one item."""
    return to_item(_row(db, find(db, at.namespace, actor)["id"], at))


def all_of(db: Database, namespace_id: int, kind: Kind | None = None) -> list[Item]:
    """Return what is in a namespace, in the order in which it came."""
    sql = "SELECT * FROM metadef_items WHERE namespace_id = ? AND ifnull(kind = ?, 1) ORDER BY id"
    return [to_item(row) for row in select(db, sql, [namespace_id, kind])]


def add(db: Database, at: At, actor: Actor, content: Content) -> None:
    """Add items, after those of the same kind have gone where they are replaced."""
    row = owned(db, at.namespace, actor)
    if content.replaces:
        db.execute("DELETE FROM metadef_items WHERE namespace_id = ? AND kind = ?", [row["id"], at.kind])
    write(db, row["id"], content)
    drop_unused_types(db)


def edit(db: Database, at: At, actor: Actor, after: Item, bounds: Bounds) -> Item:
    """Put another item in the place of one."""
    namespace_id = owned(db, at.namespace, actor)["id"]
    row = _row(db, namespace_id, at)
    if after.name != at.name:
        _check_free(db, namespace_id, after)
    after = msgspec.structs.replace(after, created_at=to_item(row).created_at)
    _overwrite(db, row["id"], after)
    _check_bounds(db, namespace_id, bounds)
    return after


def remove(db: Database, at: At, actor: Actor) -> None:
    """Delete one item, or all of a kind."""
    row = owned(db, at.namespace, actor)
    found = None if at.name is None else _row(db, row["id"], at)["id"]
    if row["is_protected"]:
        raise Forbidden(reason=f"the namespace {at.namespace} is protected; set protected to false first")
    sql = "DELETE FROM metadef_items WHERE namespace_id = ? AND kind = ? AND id = ifnull(?, id)"
    db.execute(sql, [row["id"], at.kind, found])
    drop_unused_types(db)


def write(db: Database, namespace_id: int, content: Content) -> None:
    """Write new items and the resource types that they name."""
    for item in content.items:
        _check_free(db, namespace_id, item)
        _insert(db, namespace_id, item)
    _check_bounds(db, namespace_id, content.bounds)


def merge(db: Database, namespace_id: int, content: Content, *, is_new_preferred: bool) -> None:
    """Add the items that are missing, and let the others as they are, or become as given."""
    present = {(item.kind, item.name): item for item in all_of(db, namespace_id)}
    for item in content.items:
        old = present.get((item.kind, item.name))
        if old is None:
            _insert(db, namespace_id, item)
        elif is_new_preferred and old.document != item.document:
            row = _row(db, namespace_id, At(namespace="", kind=item.kind, name=item.name))
            _overwrite(db, row["id"], msgspec.structs.replace(item, created_at=old.created_at))
    _check_bounds(db, namespace_id, content.bounds)


def _insert(db: Database, namespace_id: int, item: Item) -> None:
    if item.kind == "association":
        sql = "INSERT OR IGNORE INTO metadef_resource_types (name, is_known, created_at) VALUES (?, 0, ?)"
        db.execute(sql, [item.name, to_text(item.created_at)])
    insert(db, "metadef_items", {"namespace_id": namespace_id, "kind": item.kind, **item_columns(item)})


def _overwrite(db: Database, row_id: int, after: Item) -> None:
    changes = ", ".join(f"{column} = :{column}" for column in item_columns(after))
    db.execute(f"UPDATE metadef_items SET {changes} WHERE id = :id", {**item_columns(after), "id": row_id})  # noqa: S608 - our own columns


def _row(db: Database, namespace_id: int, at: At) -> Row:
    sql = "SELECT * FROM metadef_items WHERE namespace_id = ? AND kind = ? AND name = ?"
    for row in select(db, sql, [namespace_id, at.kind, at.name]):
        return row
    raise no_item(at)


def _check_free(db: Database, namespace_id: int, item: Item) -> None:
    sql = "SELECT 1 FROM metadef_items WHERE namespace_id = ? AND kind = ? AND name = ?"
    if next(select(db, sql, [namespace_id, item.kind, item.name]), None):
        raise taken(item)


def _check_bounds(db: Database, namespace_id: int, bounds: Bounds) -> None:
    sql = """SELECT kind, count(*) AS n,
             sum(length(CAST(document AS BLOB)) + length(CAST(name AS BLOB))) AS size
             FROM metadef_items WHERE namespace_id = ? GROUP BY kind"""
    rows = list(select(db, sql, [namespace_id]))
    for row in rows:
        check_count(f"{row['kind']} definitions in a namespace", row["n"], bounds.max_items)
    size = sum(row["size"] for row in rows)
    check_count("bytes of definitions in a namespace", size, bounds.max_namespace_bytes)
