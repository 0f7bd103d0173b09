"""Imports as the Image API lists them: by image, state and method, in several orders."""

from fetcher.errors import UnknownImport
from fetcher.index import scope
from fetcher.index.import_rows import one_task, task_marker, task_page, task_start
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rows import imports_within, to_import
from fetcher.index.values import Rows, TaskQuery
from fetcher.model import Actor, Import

EXPRESSIONS = {
    "created_at": "imports.created_at",
    "updated_at": "imports.updated_at",
    "expires_at": "coalesce(imports.ended_at, '')",
    "status": "imports.state",
    "type": "imports.method",
    "id": "imports.id",
}


class TaskRecords:
    """Domain verbs on imports seen as tasks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, actor: Actor, query: TaskQuery) -> Rows[Import]:
        return await self._connection.read(_page, actor, query)

    async def find(self, import_id: str, actor: Actor, methods: tuple[str, ...]) -> Import:
        return await self._connection.read(_find, import_id, actor, methods)


async def _page(db: Session, actor: Actor, query: TaskQuery) -> Rows[Import]:
    condition, key = scope.own_imports(actor), EXPRESSIONS[query.sort_key]
    start = None
    if query.marker is not None:
        start = task_start(query, await db.select(*task_marker(condition, query, key)))
    sql, arguments = task_page(condition, query, key, start)
    return imports_within(await db.select(sql, arguments), query.max_bytes)


async def _find(db: Session, import_id: str, actor: Actor, methods: tuple[str, ...]) -> Import:
    for row in await db.select(*one_task(scope.own_imports(actor), import_id, methods)):
        return to_import(row)
    raise UnknownImport(id=import_id)
