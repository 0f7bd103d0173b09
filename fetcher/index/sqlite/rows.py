"""Reading and adding rows in SQLite."""

from collections.abc import Generator, Sequence
from functools import cache
from typing import Any

from sqlite_utils.db import Database
from sqlite_utils.utils import dedupe_keys


def select(
    db: Database, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()
) -> Generator[dict[str, Any], None, None]:
    """Read rows as dictionaries; the statement runs when this is called.

    sqlite-utils' own reads the statement's words and puts a savepoint around
    each, in case that it writes: three statements in place of one.
    """
    cursor = db.conn.execute(sql, parameters)
    names = dedupe_keys(column[0] for column in cursor.description)
    return (dict(zip(names, row)) for row in cursor)  # noqa: B905 - SQLite gives as many as it names


def insert(db: Database, table: str, row: dict[str, Any]) -> None:
    """Add a row.

    sqlite-utils' own insert asks for the names of all tables first and builds
    its statement anew each time, which was a third of what a submission cost.
    Values come by their place: each name would be looked up, half of what it takes to hand over a row.
    """
    db.conn.execute(_insertion(table, tuple(row)), tuple(row.values()))


def insert_all(db: Database, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows of the same columns, by one statement that is prepared once."""
    if rows:
        names = tuple(rows[0])
        db.conn.executemany(_insertion(table, names), ([row[name] for name in names] for row in rows))


@cache
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
