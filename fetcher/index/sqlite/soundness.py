"""Soundness of an index: a file is one of ours, of a version that is known here, and undamaged."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

from fetcher.errors import StoreFailed

PROGRESS_STEPS = 10_000  # Of SQLite's machine, between two looks at the clock: a millisecond or less.
MAX_COMPLAINTS = 20
RESTORE = "put back a backup, or move the file away to begin with an empty index"

# What SQLite says of a file that is well, but not to be had at this moment.
NOT_NOW = ("locked", "busy", "interrupted", "unable to open", "disk I/O error")


def check_version(db: Database, known: Migrations) -> None:
    """Refuse a file that something else made, or a later version of this service.

    Raises:
        StoreFailed: Nothing in it has been changed.
    """
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables <= {known.migrations_table}:  # New, or its first start was cut off.
        return
    applied = {migration.name for migration in known.applied(db)}
    if not applied:
        raise StoreFailed(reason=f"the index is not one of this service's; {RESTORE}")
    later = sorted(applied - {migration.name for migration in known._migrations})  # noqa: SLF001 - no other way to ask
    if later:
        names = ", ".join(later)
        raise StoreFailed(
            reason=f"the index was used by a later version ({names}): start that one, or {RESTORE}"
        )


def missing_parts(db: Database, migrate: Callable[[Database], None]) -> list[str]:
    """Return tables, columns, indexes and triggers that the schema has and the file has not."""
    return sorted(_parts_of_schema(migrate) - _parts(db))


@cache
def _parts_of_schema(migrate: Callable[[Database], None]) -> frozenset[str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        db = Database(fresh, execute_plugins=False)
        migrate(db)
        return _parts(db)


def _parts(db: Database) -> frozenset[str]:
    found = [(row[0], row[1]) for row in db.execute("SELECT type, name FROM sqlite_master")]
    columns = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
    return frozenset(
        [f"{kind} {name}" for kind, name in found if not name.startswith("sqlite_")]
        + [f"column {table}.{name}" for table, name in db.execute(columns) if not table.startswith("sqlite_")]
    )


def find_damage(db: Database, seconds: float | None = None) -> list[str] | None:
    """Return what SQLite finds wrong with the file's pages; None when the time was over before all were seen.

    Args:
        seconds: How long it may take; None for as long as it takes.
    """
    end = None if seconds is None else time.monotonic() + seconds
    db.conn.set_progress_handler(lambda: int(end is not None and time.monotonic() > end), PROGRESS_STEPS)
    try:
        return [
            row[0] for row in db.execute(f"PRAGMA quick_check({MAX_COMPLAINTS})").fetchall() if row[0] != "ok"
        ]
    except sqlite3.DatabaseError as error:
        if "interrupted" in str(error):
            return None
        if is_passing(error):
            raise
        return [str(error)]
    finally:
        db.conn.set_progress_handler(None, 0)


def is_passing(error: Exception) -> bool:
    """Return whether an error of SQLite says nothing about what is in the file."""
    return any(words in str(error) for words in NOT_NOW)


def check_file(path: Path, seconds: float | None = None) -> list[str]:
    """Return what is wrong with the pages of an index, as far as they were seen.

    Args:
        seconds: How long it may take; None for as long as it takes to see them all.

    Raises:
        StoreFailed: It cannot be read now.
    """
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        ) as own:
            own.execute("PRAGMA query_only = ON")
            return find_damage(Database(own, execute_plugins=False), seconds) or []
    except sqlite3.Error as error:
        raise StoreFailed(reason=f"index: {error}") from error
