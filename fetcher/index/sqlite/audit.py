"""The trail of what was done, by whom, to which import and image; each line is chained to the last."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlite_utils.db import Database

from fetcher.index.rows import Row, to_json, to_text
from fetcher.index.sqlite.rows import insert, select
from fetcher.model import Import

START = "0" * 64  # What the first line of a trail is chained to.
# In this order: the digest of a line is over their values.
COLUMNS = ("id", "at", "project_id", "user_id", "action", "import_id", "image_id", "url", "code", "detail")
# The import has the whole of it; this line is kept for longer, and an attacker chooses how long a URL is.
MOST_URL_CHARACTERS = 512


def note(db: Database, action: str, record: Import, detail: dict[str, Any]) -> None:
    """Add a line on an import to the audit trail."""
    note_line(
        db,
        {
            "at": to_text(record.updated_at),
            "project_id": record.project_id,
            "user_id": record.user_id,
            "action": action,
            "import_id": record.id,
            "image_id": record.image_id,
            "url": record.submission.url[:MOST_URL_CHARACTERS],
            "code": record.verdict.code if record.verdict else None,
            "detail": to_json(detail),
        },
    )


def note_line(db: Database, line: dict[str, Any]) -> None:
    """Add a line to the audit trail, chained to the last one, inside the write that it tells of."""
    number, before = last_of(db)
    line = {"id": number + 1, "detail": "{}", **line}
    insert(db, "audit", {**line, "hash": digest_of(before, line)})


def digest_of(before: str, line: Row) -> str:
    """Return the digest of a line: sha256 over the JSON of the digest before it and of its own values."""
    return hashlib.sha256(msgspec.json.encode([before, *(line.get(name) for name in COLUMNS)])).hexdigest()


def last_of(db: Database) -> tuple[int, str]:
    """Return the number and the digest that the next line is chained to."""
    for row in select(db, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1"):
        # A line of before the chain has no digest: the chain begins behind it.
        return row["id"], row["hash"] or START
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
