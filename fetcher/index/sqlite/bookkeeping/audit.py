"""The trail of what was done, by whom, to which import and image; each line is chained to the last."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils.db import Database

from fetcher.index.sqlite.rows import insert, insert_all, select
from fetcher.index.trail import START, entry_of, link
from fetcher.model import Import


def note(db: Database, action: str, record: Import, detail: dict[str, Any]) -> None:
    """Add a line on an import to the audit trail."""
    insert(db, "audit", entry_of(last_of(db), action, record, detail))


def note_all(db: Database, lines: Iterable[dict[str, Any]]) -> None:
    """Add lines of the same columns, each chained to the one before, inside the write that they record."""
    last = last_of(db)
    chained = []
    for fields in lines:
        line = link(last, fields)
        last = line["id"], line["hash"]
        chained.append(line)
    insert_all(db, "audit", chained)


def note_line(db: Database, line: dict[str, Any]) -> None:
    """Add a line to the audit trail, chained to the last one, inside the write that it records."""
    insert(db, "audit", link(last_of(db), line))


def last_of(db: Database) -> tuple[int, str]:
    """Return the number and the digest that the next line is chained to."""
    last = db.conn.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    if last is not None:
        # A line of before the chain has no digest: the chain begins behind it.
        return last[0], last[1] or START
    anchor = anchor_of(db)
    return anchor["audit_id"], anchor["hash"]


def anchor_of(db: Database) -> Mapping[str, Any]:
    """Return the last line that went by its age, which the oldest one kept is chained to."""
    found = select(db, "SELECT audit_id, hash FROM audit_anchor")
    return next(iter(found), {"audit_id": 0, "hash": START})


def move_anchor(db: Database, number: int, digest: str | None) -> None:
    """Keep what the oldest line that is left is chained to, in the write that removes those before it."""
    sql = """INSERT INTO audit_anchor (id, audit_id, hash) VALUES (1, ?, ?)
             ON CONFLICT (id) DO UPDATE SET audit_id = excluded.audit_id, hash = excluded.hash"""
    db.execute(sql, [number, digest or START])
