"""All records of a SQLite file as tables, for moving them."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from fetcher.errors import StoreFailed
from fetcher.index.moving import Table, Values
from fetcher.index.sqlite.connection import BUSY_MILLISECONDS

# A table whose rows have an order of their own, and the name that it has elsewhere.
ROWIDS = {"images": "number"}


class FileRecords:
    """The tables of one file, in one transaction that no other writer has a part in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection

    @contextmanager
    def open(self, *, is_target: bool) -> Iterator[Self]:
        """Begin; commit at the end, or undo what an error has ended.

        Raises:
            StoreFailed: The file cannot be read or written.
        """
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as self._db:
                self._db.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
                self._db.execute("PRAGMA foreign_keys = ON")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("BEGIN IMMEDIATE" if is_target else "BEGIN")
                yield self
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreFailed(reason=f"index: {error}") from error

    def tables(self) -> list[Table]:
        """Return all tables of the file."""
        return [self._table(name) for name in self._names("table") if not name.startswith("sqlite_")]

    def _names(self, kind: str) -> list[str]:
        sql = "SELECT name FROM sqlite_master WHERE type = ? ORDER BY name"
        return [name for (name,) in self._db.execute(sql, [kind])]

    def _table(self, name: str) -> Table:
        columns = self._db.execute("SELECT name, pk FROM pragma_table_info(?)", [name]).fetchall()
        parents = self._db.execute('SELECT "table" FROM pragma_foreign_key_list(?)', [name])
        return Table(
            name=name,
            columns=(*(column for column, _place in columns), *([ROWIDS[name]] if name in ROWIDS else [])),
            key=tuple(
                column for place, column in sorted((place, column) for column, place in columns if place)
            ),
            parents=tuple(parent for (parent,) in parents),
        )

    def users(self) -> list[str]:
        """Return nobody: whoever has the file open has its folder's lock."""
        return []

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        number: int = self._db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - of the catalogue
        return number

    def rows(self, table: Table) -> Iterator[Values]:
        """Yield all rows in the order of the key."""
        key = ", ".join(table.key)
        yield from self._db.execute(f'SELECT {_columns(table)} FROM "{table.name}" ORDER BY {key}')  # noqa: S608 - of the catalogue

    @contextmanager
    def filling(self, tables: list[Table]) -> Iterator[None]:
        """Empty tables that are to be written, and take triggers away meanwhile."""
        triggers = self._db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _sql in triggers:
            self._db.execute(f'DROP TRIGGER "{name}"')
        for table in reversed(tables):
            self._db.execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - of the catalogue
        yield
        for _name, sql in triggers:
            self._db.execute(sql)

    def fill(self, table: Table, rows: Iterable[Values]) -> None:
        """Write rows as they are."""
        marks = ", ".join("?" * len(table.columns))
        self._db.executemany(f'INSERT INTO "{table.name}" ({_columns(table)}) VALUES ({marks})', rows)  # noqa: S608 - of the catalogue


def _columns(table: Table) -> str:
    return ", ".join("rowid" if name == ROWIDS.get(table.name) else f'"{name}"' for name in table.columns)
