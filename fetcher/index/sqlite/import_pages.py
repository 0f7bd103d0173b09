"""Reading imports: one, or a page of a list."""

from sqlite_utils.db import Database

from fetcher.errors import UnknownImport
from fetcher.index import scope
from fetcher.index.rows import Row, fitting, import_bytes, to_import
from fetcher.index.sqlite.rows import select
from fetcher.index.sqlite.truths import TRUE_ATTEMPT_CODE, TRUE_CODE
from fetcher.index.values import ATTEMPT_CODE, COLUMNS, Rows
from fetcher.model import Import


def one(db: Database, import_id: str, condition: scope.Condition) -> Row:
    """Read the row of one import that a condition lets through."""
    where, arguments = condition
    sql = f"SELECT * FROM imports WHERE id = :id AND {where}"  # noqa: S608 - our own condition
    for row in select(db, sql, {"id": import_id, **arguments}):
        return row
    raise UnknownImport(id=import_id)


def page(
    db: Database,
    condition: scope.Condition,
    filters: dict[str, str],
    most: tuple[int, int],
    marker: str | None,
) -> Rows[Import]:
    """Read the newest imports after a marker; see `ImportRecords.page`."""
    where, arguments = condition
    limit, max_bytes = most
    arguments = {**arguments, "limit": limit}
    if TRUE_CODE in filters:
        where += (
            " AND EXISTS (SELECT 1 FROM audit WHERE audit.import_id = imports.id"
            " AND json_extract(audit.detail, '$.code') = :hidden)"
        )
        arguments["hidden"] = filters[TRUE_CODE]
    for name in COLUMNS:
        if name in filters:
            where += f" AND {name} = :{name}"
            arguments[name] = filters[name]
    if ATTEMPT_CODE in filters:
        is_it = "json_extract(attempt.value, '$.code') = :attempt_code"
        if TRUE_ATTEMPT_CODE in filters:
            is_it += " OR json_extract(attempt.value, '$.truth.code') = :attempt_code"
        where += f" AND EXISTS (SELECT 1 FROM json_each(imports.attempts) AS attempt WHERE {is_it})"  # noqa: S608 - our own conditions
        arguments[ATTEMPT_CODE] = filters[ATTEMPT_CODE]
    if marker is not None:
        start = one(db, marker, condition)
        where += " AND (created_at, id) < (:created_at, :marker)"
        arguments |= {"created_at": start["created_at"], "marker": marker}
    order = "ORDER BY created_at DESC, id DESC LIMIT :limit"
    rows = select(db, f"SELECT * FROM imports WHERE {where} {order}", arguments)  # noqa: S608 - our own conditions
    some = fitting(rows, import_bytes, max_bytes)
    found = Rows(to_import(row) for row in some)
    found.has_more = some.has_more
    return found
