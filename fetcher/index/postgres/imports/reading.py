"""Reading imports: one, a page of a list, what ended them, where their bytes came from."""

from typing import Any

import msgspec

from fetcher.errors import UnknownImport
from fetcher.index import scope
from fetcher.index.import_rows import (
    COUNTS,
    PROVENANCE,
    TRUE_ATTEMPT_CODE,
    TRUE_CODE,
    filtered,
    newest_first,
    to_truths,
    truths_statement,
)
from fetcher.index.postgres.session import Session
from fetcher.index.rows import Row, imports_within, to_import
from fetcher.index.values import ATTEMPT_CODE, Rows
from fetcher.model import Import

# How documents are looked into.
WITHIN = {
    TRUE_CODE: """EXISTS (SELECT 1 FROM audit WHERE audit.import_id = imports.id
        AND audit.detail::jsonb ->> 'code' = :hidden)""",
    ATTEMPT_CODE: """EXISTS (SELECT 1 FROM jsonb_array_elements(imports.attempts::jsonb) AS attempt
        WHERE attempt ->> 'code' = :attempt_code)""",
    TRUE_ATTEMPT_CODE: """EXISTS (SELECT 1 FROM jsonb_array_elements(imports.attempts::jsonb) AS attempt
        WHERE attempt ->> 'code' = :attempt_code OR attempt -> 'truth' ->> 'code' = :attempt_code)""",
}


async def one(db: Session, import_id: str, condition: scope.Condition, lock: str = "") -> Row:
    """Read the row of one import that a condition lets through."""
    where, arguments = condition
    sql = f"SELECT * FROM imports WHERE id = :id AND {where} {lock}"  # noqa: S608 - our own condition
    for row in await db.select(sql, {"id": import_id, **arguments}):
        return row
    raise UnknownImport(id=import_id)


async def page(
    db: Session,
    condition: scope.Condition,
    filters: dict[str, str],
    most: tuple[int, int],
    marker: str | None,
) -> Rows[Import]:
    """Read the newest imports after a marker; see `ImportRecords.page`."""
    limit, max_bytes = most
    start = None if marker is None else await one(db, marker, condition)
    sql, arguments = newest_first(filtered(condition, filters, WITHIN), limit, start)
    return imports_within(await db.select(sql, arguments), max_bytes)


async def read_truths(db: Session, import_ids: list[str]) -> dict[str, dict[str, str]]:
    """Read the true codes and messages of ended imports, by their ids."""
    return to_truths(await db.select(truths_statement(import_ids), import_ids))


async def find(db: Session, import_id: str, condition: scope.Condition) -> Import:
    """Read one import that a condition lets through."""
    return to_import(await one(db, import_id, condition))


async def provenance(db: Session, import_id: str, condition: scope.Condition) -> dict[str, Any] | None:
    """Read where an image's bytes came from; None while there is no image."""
    await one(db, import_id, condition)
    for row in await db.select(PROVENANCE, {"id": import_id}):
        return msgspec.json.decode(row["document"], type=dict[str, Any])
    return None


async def counts(db: Session) -> dict[str, int]:
    """Count the imports that have not ended, by state."""
    rows = await db.select(COUNTS)
    return {row["state"]: row["n"] for row in rows}
