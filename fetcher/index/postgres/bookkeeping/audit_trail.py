"""The audit trail as a whole: its head, its soundness, what goes by age."""

from datetime import UTC, datetime

from fetcher.index.postgres.bookkeeping.audit import anchor_of, last_of, lock_trail, move_anchor
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rows import Row, to_text
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


async def _head(db: Session) -> AuditHead:
    number, digest = await last_of(db)
    return AuditHead(number=number, digest=digest)


async def _verify(db: Session, expected: AuditHead | None) -> AuditReport:
    verification = Verification(await anchor_of(db), expected)
    columns, after = ", ".join(COLUMNS), -1
    sql = f"SELECT {columns}, hash FROM audit WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - ours
    while page := await db.select(sql, [after, PAGE]):
        for line in page:
            verification.take(line)
        after = page[-1]["id"]
    return verification.report()


async def forget_lines(db: Session, before: str | None, most: int) -> int:
    """Drop the oldest lines as far as they are old, and keep what the next one is chained to.

    A line with a date in the future was written by a wrong clock; it keeps nothing from going.
    """
    await lock_trail(db)
    now = to_text(datetime.now(UTC)) or ""
    last: Row | None = None
    gone = 0
    for line in await db.select("SELECT id, at, hash FROM audit ORDER BY id LIMIT ?", [most]):
        if before is None or before <= line["at"] <= now:
            break
        last, gone = line, gone + 1
    await _drop_through(db, last)
    return gone


async def trim_lines(db: Session, most_lines: int, limit: int) -> int:
    """Drop the oldest lines beyond a number, a part of them at a time; how many went."""
    await lock_trail(db)
    sql = "SELECT id, hash FROM audit WHERE id <= (SELECT max(id) FROM audit) - ? ORDER BY id LIMIT ?"
    lines = await db.select(sql, [most_lines, limit])
    await _drop_through(db, lines[-1] if lines else None)
    return len(lines)


async def _drop_through(db: Session, last: Row | None) -> None:
    """Drop all lines up to one, and keep what the next is chained to."""
    if last is not None:
        await db.execute("DELETE FROM audit WHERE id <= ?", [last["id"]])
        await move_anchor(db, last["id"], last["hash"])
