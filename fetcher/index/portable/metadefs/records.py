"""Records of namespaces of metadata definitions."""

from collections.abc import Callable

import msgspec

from fetcher.errors import Conflict, Forbidden
from fetcher.index.metadef_rows import (
    check_count,
    listed_namespaces,
    namespace_row,
    ordered,
    same,
    to_namespace,
)
from fetcher.index.portable.metadefs import items
from fetcher.index.portable.metadefs.rows import drop_unused_types, find, owned
from fetcher.index.portable.session import Connection, Session
from fetcher.index.values import (
    At,
    Bounds,
    Content,
    Item,
    Mode,
    Namespace,
    NamespaceQuery,
    Page,
    ResourceType,
    Whole,
)
from fetcher.model import Actor

EXPRESSIONS = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "namespace": "namespace",
    "display_name": "coalesce(display_name, '')",
    "description": "coalesce(description, '')",
    "visibility": "visibility",
    "protected": "is_protected",
    "owner": "owner",
    "id": "id",
}


class MetadefRecords:
    """Domain verbs on metadata definitions; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, actor: Actor, query: NamespaceQuery) -> list[Whole]:
        return await self._connection.read(_page, actor, query)

    async def find(self, name: str, actor: Actor) -> Whole:
        return await self._connection.read(_whole, name, actor)

    async def create(self, namespace: Namespace, content: Content) -> None:
        await self._connection.write(_create, namespace, content)

    async def change(self, name: str, actor: Actor, edit: Callable[[Namespace], Namespace]) -> Namespace:
        return await self._connection.write(_change, name, actor, edit)

    async def delete(self, name: str, actor: Actor) -> None:
        await self._connection.write(_delete, name, actor)

    async def load(self, namespace: Namespace, content: Content, mode: Mode) -> str:
        return await self._connection.write(_load, namespace, content, mode)

    async def resource_types(self) -> list[ResourceType]:
        return await self._connection.read(_resource_types)

    async def items(self, at: At, actor: Actor, page: Page) -> list[Item]:
        return await self._connection.read(items.listed, at, actor, page)

    async def item(self, at: At, actor: Actor) -> Item:
        return await self._connection.read(items.shown, at, actor)

    async def add(self, at: At, actor: Actor, content: Content) -> None:
        await self._connection.write(items.add, at, actor, content)

    async def edit(self, at: At, actor: Actor, after: Item, bounds: Bounds) -> Item:
        return await self._connection.write(items.edit, at, actor, after, bounds)

    async def remove(self, at: At, actor: Actor) -> None:
        await self._connection.write(items.remove, at, actor)


async def _page(db: Session, actor: Actor, query: NamespaceQuery) -> list[Whole]:
    where, arguments = listed_namespaces(actor, query)
    marker = None if query.page.marker is None else (await find(db, query.page.marker, actor))["id"]
    order = (EXPRESSIONS[query.page.sort_key], "created_at", "id")
    sql, more = ordered("metadef_namespaces", where, order, query.page, marker)
    rows = list(await db.select(sql, {**arguments, **more}))
    return [(to_namespace(row), await items.all_of(db, row["id"], "association")) for row in rows]


async def _whole(db: Session, name: str, actor: Actor) -> Whole:
    row = await find(db, name, actor)
    return to_namespace(row), await items.all_of(db, row["id"])


async def _create(db: Session, namespace: Namespace, content: Content) -> None:
    await db.lock_name("metadefs")
    await _check_free(db, namespace.namespace)
    [held] = await db.select("SELECT count(*) AS n FROM metadef_namespaces")
    check_count("namespaces of metadata definitions", held["n"] + 1, content.bounds.max_namespaces)
    await db.insert("metadef_namespaces", namespace_row(namespace))
    [row] = await db.select("SELECT id FROM metadef_namespaces WHERE namespace = ?", [namespace.namespace])
    await items.write(db, row["id"], content)


async def _check_free(db: Session, name: str) -> None:
    if await db.select("SELECT 1 FROM metadef_namespaces WHERE namespace = ?", [name]):
        raise Conflict(reason=f"there is a namespace {name} already")


async def _change(db: Session, name: str, actor: Actor, edit: Callable[[Namespace], Namespace]) -> Namespace:
    row = await owned(db, name, actor)
    after = edit(to_namespace(row))
    if after.namespace != name:
        await _check_free(db, after.namespace)
    await _update(db, row["id"], after)
    return after


async def _update(db: Session, row_id: int, after: Namespace) -> None:
    columns = namespace_row(after)
    changes = ", ".join(f"{column} = :{column}" for column in columns)
    await db.execute(f"UPDATE metadef_namespaces SET {changes} WHERE id = :id", {**columns, "id": row_id})  # noqa: S608 - our own columns


async def _delete(db: Session, name: str, actor: Actor) -> None:
    row = await owned(db, name, actor)
    if row["is_protected"]:
        raise Forbidden(reason=f"the namespace {name} is protected; set protected to false first")
    await db.execute("DELETE FROM metadef_namespaces WHERE id = ?", [row["id"]])
    await drop_unused_types(db)


async def _load(db: Session, namespace: Namespace, content: Content, mode: Mode) -> str:
    sql = "SELECT * FROM metadef_namespaces WHERE namespace = ?"
    row = next(iter(await db.select(sql, [namespace.namespace])), None)
    if row is None:
        await _create(db, namespace, content)
        return "added"
    if mode == "skip":
        return "kept"
    if mode == "replace":
        await db.execute("DELETE FROM metadef_namespaces WHERE id = ?", [row["id"]])
        await _create(db, namespace, content)
        await drop_unused_types(db)
        return "changed"
    before = (to_namespace(row), await items.all_of(db, row["id"]))
    after = msgspec.structs.replace(namespace, created_at=before[0].created_at)
    if mode == "update" and not same(before, (after, before[1])):
        await _update(db, row["id"], after)
    await items.merge(db, row["id"], content, is_new_preferred=mode == "update")
    [row] = await db.select(sql, [namespace.namespace])
    return "kept" if same(before, (to_namespace(row), await items.all_of(db, row["id"]))) else "changed"


async def _resource_types(db: Session) -> list[ResourceType]:
    rows = await db.select("SELECT name, created_at FROM metadef_resource_types ORDER BY is_known DESC, name")
    return [msgspec.convert(row, ResourceType) for row in rows]
