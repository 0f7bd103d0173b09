"""Records of the items of a namespace: properties, objects, tags and associations."""

import msgspec

from fetcher.errors import Forbidden
from fetcher.index.metadef_rows import check_count, item_columns, no_item, ordered, taken, to_item
from fetcher.index.portable.metadefs.rows import drop_unused_types, find, owned
from fetcher.index.portable.session import Session
from fetcher.index.rows import Row, to_text
from fetcher.index.values import At, Bounds, Content, Item, Kind, Page
from fetcher.model import Actor


async def listed(db: Session, at: At, actor: Actor, page: Page) -> list[Item]:
    """List one kind of a namespace's items."""
    namespace_id = (await find(db, at.namespace, actor))["id"]
    marker = None
    if page.marker is not None:
        marker = (await _row(db, namespace_id, msgspec.structs.replace(at, name=page.marker)))["id"]
    where = "namespace_id = :namespace_id AND kind = :kind"
    sql, more = ordered("metadef_items", where, (page.sort_key, "created_at", "id"), page, marker)
    rows = await db.select(sql, {"namespace_id": namespace_id, "kind": at.kind, **more})
    return [to_item(row) for row in rows]


async def shown(db: Session, at: At, actor: Actor) -> Item:
    """Return one item."""
    return to_item(await _row(db, (await find(db, at.namespace, actor))["id"], at))


async def all_of(db: Session, namespace_id: int, kind: Kind | None = None) -> list[Item]:
    """Return what is in a namespace, in the order in which it came."""
    sql = "SELECT * FROM metadef_items WHERE namespace_id = ? AND coalesce(kind = ?, true) ORDER BY id"
    return [to_item(row) for row in await db.select(sql, [namespace_id, kind])]


async def add(db: Session, at: At, actor: Actor, content: Content) -> None:
    """Add items, after those of the same kind have gone where they are replaced."""
    row = await owned(db, at.namespace, actor)
    if content.replaces:
        await db.execute(
            "DELETE FROM metadef_items WHERE namespace_id = ? AND kind = ?", [row["id"], at.kind]
        )
    await write(db, row["id"], content)
    await drop_unused_types(db)


async def edit(db: Session, at: At, actor: Actor, after: Item, bounds: Bounds) -> Item:
    """Put another item in the place of one."""
    namespace_id = (await owned(db, at.namespace, actor))["id"]
    row = await _row(db, namespace_id, at)
    if after.name != at.name:
        await _check_free(db, namespace_id, after)
    after = msgspec.structs.replace(after, created_at=to_item(row).created_at)
    await _overwrite(db, row["id"], after)
    await _check_bounds(db, namespace_id, bounds)
    return after


async def remove(db: Session, at: At, actor: Actor) -> None:
    """Delete one item, or all of a kind."""
    row = await owned(db, at.namespace, actor)
    found = None if at.name is None else (await _row(db, row["id"], at))["id"]
    if row["is_protected"]:
        raise Forbidden(reason=f"the namespace {at.namespace} is protected; set protected to false first")
    sql = """DELETE FROM metadef_items
             WHERE namespace_id = ? AND kind = ? AND id = coalesce(CAST(? AS bigint), id)"""
    await db.execute(sql, [row["id"], at.kind, found])
    await drop_unused_types(db)


async def write(db: Session, namespace_id: int, content: Content) -> None:
    """Write new items and the resource types that they name."""
    for item in content.items:
        await _check_free(db, namespace_id, item)
        await _insert(db, namespace_id, item)
    await _check_bounds(db, namespace_id, content.bounds)


async def merge(db: Session, namespace_id: int, content: Content, *, is_new_preferred: bool) -> None:
    """Add the items that are missing, and let the others as they are, or become as given."""
    present = {(item.kind, item.name): item for item in await all_of(db, namespace_id)}
    for item in content.items:
        old = present.get((item.kind, item.name))
        if old is None:
            await _insert(db, namespace_id, item)
        elif is_new_preferred and old.document != item.document:
            row = await _row(db, namespace_id, At(namespace="", kind=item.kind, name=item.name))
            await _overwrite(db, row["id"], msgspec.structs.replace(item, created_at=old.created_at))
    await _check_bounds(db, namespace_id, content.bounds)


async def _insert(db: Session, namespace_id: int, item: Item) -> None:
    if item.kind == "association":
        sql = """INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES (?, 0, ?)
                 ON CONFLICT DO NOTHING"""
        await db.execute(sql, [item.name, to_text(item.created_at)])
    await db.insert("metadef_items", {"namespace_id": namespace_id, "kind": item.kind, **item_columns(item)})


async def _overwrite(db: Session, row_id: int, after: Item) -> None:
    changes = ", ".join(f"{column} = :{column}" for column in item_columns(after))
    sql = f"UPDATE metadef_items SET {changes} WHERE id = :id"  # noqa: S608 - our own columns
    await db.execute(sql, {**item_columns(after), "id": row_id})


async def _row(db: Session, namespace_id: int, at: At) -> Row:
    sql = "SELECT * FROM metadef_items WHERE namespace_id = ? AND kind = ? AND name = ?"
    for row in await db.select(sql, [namespace_id, at.kind, at.name]):
        return row
    raise no_item(at)


async def _check_free(db: Session, namespace_id: int, item: Item) -> None:
    sql = "SELECT 1 FROM metadef_items WHERE namespace_id = ? AND kind = ? AND name = ?"
    if await db.select(sql, [namespace_id, item.kind, item.name]):
        raise taken(item)


async def _check_bounds(db: Session, namespace_id: int, bounds: Bounds) -> None:
    length = "{0} + {0}".replace("{0}", db.dialect.byte_length).format("document", "name")
    sql = f"""SELECT kind, count(*) AS n, CAST(sum({length}) AS bigint) AS size
              FROM metadef_items WHERE namespace_id = ? GROUP BY kind"""  # noqa: S608 - our own expression
    rows = list(await db.select(sql, [namespace_id]))
    for row in rows:
        check_count(f"{row['kind']} definitions in a namespace", row["n"], bounds.max_items)
    size = sum(row["size"] for row in rows)
    check_count("bytes of definitions in a namespace", size, bounds.max_namespace_bytes)
