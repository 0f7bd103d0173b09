"""Records of namespaces of metadata definitions."""

from collections.abc import Callable

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import Conflict, Forbidden
from fetcher.index.metadef_rows import (
    check_count,
    listed_namespaces,
    namespace_row,
    ordered,
    same,
    to_namespace,
)
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.metadefs import items
from fetcher.index.sqlite.metadefs.rows import drop_unused_types, find, owned
from fetcher.index.sqlite.rows import insert, select
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
    "display_name": "ifnull(display_name, '')",
    "description": "ifnull(description, '')",
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


def _page(db: Database, actor: Actor, query: NamespaceQuery) -> list[Whole]:
    where, arguments = listed_namespaces(actor, query)
    marker = None if query.page.marker is None else find(db, query.page.marker, actor)["id"]
    order = (EXPRESSIONS[query.page.sort_key], "created_at", "id")
    sql, more = ordered("metadef_namespaces", where, order, query.page, marker)
    rows = list(select(db, sql, {**arguments, **more}))
    return [(to_namespace(row), items.all_of(db, row["id"], "association")) for row in rows]


def _whole(db: Database, name: str, actor: Actor) -> Whole:
    row = find(db, name, actor)
    return to_namespace(row), items.all_of(db, row["id"])


def _create(db: Database, namespace: Namespace, content: Content) -> None:
    _check_free(db, namespace.namespace)
    [held] = select(db, "SELECT count(*) AS n FROM metadef_namespaces")
    check_count("namespaces of metadata definitions", held["n"] + 1, content.bounds.max_namespaces)
    insert(db, "metadef_namespaces", namespace_row(namespace))
    [row] = select(db, "SELECT id FROM metadef_namespaces WHERE namespace = ?", [namespace.namespace])
    items.write(db, row["id"], content)


def _check_free(db: Database, name: str) -> None:
    if next(select(db, "SELECT 1 FROM metadef_namespaces WHERE namespace = ?", [name]), None):
        raise Conflict(reason=f"there is a namespace {name} already")


def _change(db: Database, name: str, actor: Actor, edit: Callable[[Namespace], Namespace]) -> Namespace:
    row = owned(db, name, actor)
    after = edit(to_namespace(row))
    if after.namespace != name:
        _check_free(db, after.namespace)
    _update(db, row["id"], after)
    return after


def _update(db: Database, row_id: int, after: Namespace) -> None:
    columns = namespace_row(after)
    changes = ", ".join(f"{column} = :{column}" for column in columns)
    db.execute(f"UPDATE metadef_namespaces SET {changes} WHERE id = :id", {**columns, "id": row_id})  # noqa: S608 - our own columns


def _delete(db: Database, name: str, actor: Actor) -> None:
    row = owned(db, name, actor)
    if row["is_protected"]:
        raise Forbidden(reason=f"the namespace {name} is protected; set protected to false first")
    db.execute("DELETE FROM metadef_namespaces WHERE id = ?", [row["id"]])
    drop_unused_types(db)


def _load(db: Database, namespace: Namespace, content: Content, mode: Mode) -> str:
    sql = "SELECT * FROM metadef_namespaces WHERE namespace = ?"
    row = next(select(db, sql, [namespace.namespace]), None)
    if row is None:
        _create(db, namespace, content)
        return "added"
    if mode == "skip":
        return "kept"
    if mode == "replace":
        db.execute("DELETE FROM metadef_namespaces WHERE id = ?", [row["id"]])
        _create(db, namespace, content)
        drop_unused_types(db)
        return "changed"
    before = (to_namespace(row), items.all_of(db, row["id"]))
    after = msgspec.structs.replace(namespace, created_at=before[0].created_at)
    if mode == "update" and not same(before, (after, before[1])):
        _update(db, row["id"], after)
    items.merge(db, row["id"], content, is_new_preferred=mode == "update")
    [row] = select(db, sql, [namespace.namespace])
    return "kept" if same(before, (to_namespace(row), items.all_of(db, row["id"]))) else "changed"


def _resource_types(db: Database) -> list[ResourceType]:
    rows = select(db, "SELECT name, created_at FROM metadef_resource_types ORDER BY is_known DESC, name")
    return [msgspec.convert(row, ResourceType) for row in rows]
