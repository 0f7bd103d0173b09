"""Reading imports: one, a page of a list, what ended them, where their bytes came from."""

from typing import Any

import msgspec
from sqlite_utils.db import Database

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
from fetcher.index.rows import Row, imports_within, to_import
from fetcher.index.sqlite.rows import select
from fetcher.index.values import ATTEMPT_CODE, Rows
from fetcher.model import Import

# How documents are looked into: whatever nobody has is found not to be there without a document being taken
# apart. A comma stands before an attempt's own code, a brace before its true one, whose presence must not be
# told by the time that a list takes.
WITHIN = {
    TRUE_CODE: """EXISTS (SELECT 1 FROM audit WHERE audit.import_id = imports.id
        AND json_extract(audit.detail, '$.code') = :hidden)""",
    ATTEMPT_CODE: """instr(imports.attempts, ',"code":"' || :attempt_code || '"')
        AND EXISTS (SELECT 1 FROM json_each(imports.attempts) AS attempt
        WHERE json_extract(attempt.value, '$.code') = :attempt_code)""",
    TRUE_ATTEMPT_CODE: """instr(imports.attempts, '"code":"' || :attempt_code || '"')
        AND EXISTS (SELECT 1 FROM json_each(imports.attempts) AS attempt
        WHERE json_extract(attempt.value, '$.code') = :attempt_code
        OR json_extract(attempt.value, '$.truth.code') = :attempt_code)""",
}


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
    limit, max_bytes = most
    start = None if marker is None else one(db, marker, condition)
    sql, arguments = newest_first(filtered(condition, filters, WITHIN), limit, start)
    return imports_within(select(db, sql, arguments), max_bytes)


def read_truths(db: Database, import_ids: list[str]) -> dict[str, dict[str, str]]:
    """Read the true codes and messages of ended imports, by their ids."""
    return to_truths(select(db, truths_statement(import_ids), import_ids))


def find(db: Database, import_id: str, condition: scope.Condition) -> Import:
    """Read one import that a condition lets through."""
    return to_import(one(db, import_id, condition))


def provenance(db: Database, import_id: str, condition: scope.Condition) -> dict[str, Any] | None:
    """Read where an image's bytes came from; None while there is no image."""
    one(db, import_id, condition)
    for row in select(db, PROVENANCE, {"id": import_id}):
        return msgspec.json.decode(row["document"], type=dict[str, Any])
    return None


def counts(db: Database) -> dict[str, int]:
    """Count the imports that have not ended, by state."""
    rows = select(db, COUNTS)
    return {row["state"]: row["n"] for row in rows}
