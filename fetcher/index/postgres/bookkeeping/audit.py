"""The trail of what was done, by whom, to which import and image; each line is chained to the last."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from fetcher.index.postgres.session import Session
from fetcher.index.rows import Row
from fetcher.index.trail import COLUMNS, START, line_of, link
from fetcher.model import Import


async def note(db: Session, action: str, record: Import, detail: dict[str, Any]) -> None:
    """Add a line on an import to the audit trail."""
    await note_line(db, line_of(action, record, detail))


async def note_line(db: Session, line: dict[str, Any]) -> None:
    """Add a line to the audit trail, chained to the last one, inside the write that it records.

    The writes that add lines end one after the other, as a chain wants it:
    so this is done last, and keeps others from theirs no longer than it must.
    """
    if not db.lines:
        db.do_last(partial(_chain, db))
    db.lines.append(line)


async def _chain(db: Session) -> None:
    [head] = await db.select("SELECT number, digest FROM trail_head()")
    await db.insert_all("audit", chained(db.lines, head))


def chained(lines: Iterable[Row], head: Row) -> list[dict[str, Any]]:
    """Return the rows of further lines.

    Args:
        head: The number and the digest of the last line there is, of which this transaction has the turn.
    """
    # A line of before the chain has no digest: the chain begins behind it.
    last = head["number"] or 0, head["digest"] or START
    rows = []
    for line in lines:
        row = link(last, line)
        last = row["id"], row["hash"]
        rows.append({name: row.get(name) for name in (*COLUMNS, "hash")})
    return rows


async def lock_trail(db: Session) -> None:
    """Be the only one that writes the trail, until the transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('audit', 0))")


async def last_of(db: Session) -> tuple[int, str]:
    """Return the number and the digest that the next line is chained to."""
    for row in await db.select("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1"):
        # A line of before the chain has no digest: the chain begins behind it.
        return row["id"], row["hash"] or START
    anchor = await anchor_of(db)
    return anchor["audit_id"], anchor["hash"]


async def anchor_of(db: Session) -> Row:
    """Return the last line that went by its age, which the oldest one kept is chained to."""
    found = await db.select("SELECT audit_id, hash FROM audit_anchor")
    return next(iter(found), {"audit_id": 0, "hash": START})


async def move_anchor(db: Session, number: int, digest: str | None) -> None:
    """Keep what the oldest line that is left is chained to, in the write that removes those before it."""
    sql = """INSERT INTO audit_anchor (id, audit_id, hash) VALUES (1, ?, ?)
             ON CONFLICT (id) DO UPDATE SET audit_id = excluded.audit_id, hash = excluded.hash"""
    await db.execute(sql, [number, digest or START])
