"""The audit trail as a whole: its head, its soundness, what goes by age."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlite_utils.db import Database

from fetcher.index.rows import Row, to_text
from fetcher.index.sqlite.bookkeeping.audit import anchor_of, last_of, move_anchor
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import select
from fetcher.index.trail import COLUMNS, Verification
from fetcher.index.values import AuditHead, AuditReport

PAGE = 5000


class AuditRecords:
    """Domain verbs on the audit trail; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def head(self) -> AuditHead:
        return await self._connection.read(_head)

    async def verify(self, expected: AuditHead | None = None) -> AuditReport:
        return await self._connection.read(_verify, expected)


def _head(db: Database) -> AuditHead:
    number, digest = last_of(db)
    return AuditHead(number=number, digest=digest)


def _lines(db: Database) -> Iterator[Row]:
    columns, after = ", ".join(COLUMNS), -1
    while True:
        sql = f"SELECT {columns}, hash FROM audit WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - ours
        page = list(select(db, sql, [after, PAGE]))
        if not page:
            return
        yield from page
        after = page[-1]["id"]


def _verify(db: Database, expected: AuditHead | None) -> AuditReport:
    verification = Verification(anchor_of(db), expected)
    for line in _lines(db):
        verification.take(line)
    return verification.report()


def forget_lines(db: Database, before: str | None, most: int) -> int:
    """Drop the oldest lines as far as they are old, and keep what the next one is chained to.

    A line with a date in the future was written by a wrong clock; it keeps nothing from going.
    """
    now = to_text(datetime.now(UTC)) or ""
    last: Row | None = None
    gone = 0
    for line in select(db, "SELECT id, at, hash FROM audit ORDER BY id LIMIT ?", [most]):
        if before is None or before <= line["at"] <= now:
            break
        last, gone = line, gone + 1
    _drop_through(db, last)
    return gone


def trim_lines(db: Database, most_lines: int, limit: int) -> int:
    """Drop the oldest lines beyond a number, a part of them at a time; how many went."""
    sql = """SELECT id, hash FROM audit WHERE id <= (SELECT max(id) FROM audit) - ? ORDER BY id LIMIT ?"""
    lines = list(select(db, sql, [most_lines, limit]))
    _drop_through(db, lines[-1] if lines else None)
    return len(lines)


def _drop_through(db: Database, last: Row | None) -> None:
    """Drop all lines up to one, and keep what the next is chained to."""
    if last is not None:
        db.execute("DELETE FROM audit WHERE id <= ?", [last["id"]])
        move_anchor(db, last["id"], last["hash"])
