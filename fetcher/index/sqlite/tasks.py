"""Imports as the Image API lists them: by image, state and method, in several orders."""

from sqlite_utils.db import Database

from fetcher.errors import InvalidRequest, UnknownImport
from fetcher.index import scope
from fetcher.index.rows import fitting, import_bytes, to_import
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Rows, TaskQuery
from fetcher.model import Actor, Import

EXPRESSIONS = {
    "created_at": "imports.created_at",
    "updated_at": "imports.updated_at",
    "expires_at": "ifnull(imports.ended_at, '')",
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


def _marks(prefix: str, values: tuple[str, ...], arguments: dict[str, object]) -> str:
    names = [f"{prefix}{number}" for number in range(len(values))]
    arguments.update(zip(names, values, strict=True))
    return ", ".join(f":{name}" for name in names)


def _page(db: Database, actor: Actor, query: TaskQuery) -> Rows[Import]:
    where, wanted = scope.own_imports(actor)
    arguments: dict[str, object] = {**wanted, "limit": query.limit, "image_id": query.image_id}
    conditions = [where, f"+imports.method IN ({_marks('method', query.methods, arguments)})"]
    if query.states is not None:
        states = tuple(state.value for state in query.states)
        conditions.append(f"+imports.state IN ({_marks('state', states, arguments)})")
    if query.image_id is not None:
        conditions.append("imports.image_id = :image_id")
    key, sign = EXPRESSIONS[query.sort_key], "<" if query.is_descending else ">"
    if query.marker is not None:
        sql = f"SELECT {key} AS value FROM imports WHERE id = :marker AND {where}"  # noqa: S608 - our own expressions
        marker = next(iter(select(db, sql, {**wanted, "marker": query.marker})), None)
        if marker is None:
            raise InvalidRequest(field="marker", reason=f"there is no task {query.marker} to begin after")
        arguments |= {"marker": query.marker, "value": marker["value"]}
        conditions.append(f"({key}, imports.id) {sign} (:value, :marker)")
    direction = "DESC" if query.is_descending else "ASC"
    sql = f"""SELECT * FROM imports WHERE {" AND ".join(conditions)}
              ORDER BY {key} {direction}, imports.id {direction} LIMIT :limit"""  # noqa: S608 - our own expressions
    rows = fitting(select(db, sql, arguments), import_bytes, query.max_bytes)
    found = Rows(to_import(row) for row in rows)
    found.has_more = rows.has_more
    return found


def _find(db: Database, import_id: str, actor: Actor, methods: tuple[str, ...]) -> Import:
    where, arguments = scope.own_imports(actor)
    arguments = {**arguments, "id": import_id}
    marks = _marks("method", methods, arguments)
    sql = f"SELECT * FROM imports WHERE id = :id AND method IN ({marks}) AND {where}"  # noqa: S608 - ours
    for row in select(db, sql, arguments):
        return to_import(row)
    raise UnknownImport(id=import_id)
