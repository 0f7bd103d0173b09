"""The length of the queue, kept by triggers of the writer's connection: counting would take long."""

import sqlite3

from sqlite_utils.db import Database

_WAITS = "({row}.ended_at IS NULL AND {row}.state = 'queued')"
_WAITING = "SELECT waiting FROM temp.queue_count"
_NEW, _OLD = _WAITS.format(row="NEW"), _WAITS.format(row="OLD")


def queued(db: Database) -> int:
    """Return how many imports wait; inside a write, whose other changes are counted too."""
    try:
        found = db.conn.execute(_WAITING).fetchone()
    except sqlite3.OperationalError:  # Nobody has counted on this connection yet.
        _begin_to_count(db)
        found = db.conn.execute(_WAITING).fetchone()
    return int(found[0])


def _begin_to_count(db: Database) -> None:
    """Count once, and have triggers of this connection go on; a write that is taken back takes this back."""
    db.execute("CREATE TEMP TABLE queue_count (waiting INTEGER NOT NULL)")
    db.execute(
        "INSERT INTO temp.queue_count SELECT count(*) FROM main.imports "
        "WHERE ended_at IS NULL AND state = 'queued'"
    )
    for name, event, condition, change in (
        ("queue_grew", "INSERT", _NEW, "+ 1"),
        ("queue_moved", "UPDATE OF state, ended_at", f"{_NEW} <> {_OLD}", f"+ {_NEW} - {_OLD}"),
        ("queue_shrank", "DELETE", _OLD, "- 1"),
    ):
        db.execute(
            f"""CREATE TEMP TRIGGER {name} AFTER {event} ON main.imports WHEN {condition}
                BEGIN UPDATE queue_count SET waiting = waiting {change}; END"""  # noqa: S608 - the constants above
        )
