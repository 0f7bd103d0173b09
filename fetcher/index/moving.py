"""Moving all records from one index to another: both are read as tables, by what their catalogues say.

Everything is written in one transaction of the target, read back in it and compared: a move
that ends before its commit, for whatever reason, leaves the target empty.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from graphlib import TopologicalSorter
from typing import Any, Protocol

import msgspec

from fetcher import crash
from fetcher.errors import Conflict, StoreFailed

# Rows about the processes that have an index open, about the index itself, and sums of other rows: not moved.
STAYING = frozenset(
    {"hosts", "places", "chores", "shared_keys", "export_days", "migrations", "_sqlite_migrations"}
)
STAYING_COLUMNS = frozenset(
    {
        ("imports", "worker"),
        ("imports", "lease_until"),
        ("pulls", "host"),
        ("pulls", "released_by"),
        ("exports", "host"),
    }
)
# What the migrations themselves put into an empty index.
FIRST_ROWS = frozenset({"metadef_resource_types"})

Values = tuple[Any, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table as the database's catalogue describes it.

    Args:
        key: The columns of its primary key.
        parents: The tables that its foreign keys lead to.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    parents: tuple[str, ...] = ()


class Records(Protocol):
    """All records of an index, in one transaction, which is undone where an error ends it."""

    def tables(self) -> list[Table]:
        """Return all tables; none where the index is yet to be made."""

    def users(self) -> list[str]:
        """Return the names of the hosts that have the index open."""

    def count(self, table: str) -> int:
        """Return how many rows a table has."""

    def rows(self, table: Table) -> Iterator[Values]:
        """Yield all rows in the order of the key."""

    def filling(self, tables: list[Table]) -> AbstractContextManager[None]:
        """Empty tables that are to be written, and keep triggers still meanwhile."""

    def fill(self, table: Table, rows: Iterable[Values]) -> None:
        """Write rows as they are."""


class Place(Protocol):
    """Opens records for one transaction."""

    def open(self, *, is_target: bool) -> AbstractContextManager[Records]:
        """Begin; commit at the end, or undo what an error has ended.

        Raises:
            Conflict: Another process has it for itself.
            StoreFailed: It cannot be read or written.
        """


def count(source: Records) -> dict[str, int]:
    """Return how many rows of each table are to be moved."""
    return {table.name: source.count(table.name) for table in _moving(source)}


def check_target(target: Records) -> None:
    """Refuse an index that has records, or is in use.

    Raises:
        Conflict: It has, or is.
    """
    _check_unused(target)
    held = {table.name: target.count(table.name) for table in _moving(target) if table.name not in FIRST_ROWS}
    if any(held.values()):
        counts = ", ".join(f"{number} in {name}" for name, number in held.items() if number)
        raise Conflict(reason=f"the target has records already ({counts}): give one that is empty")


def move(source: Records, target: Records) -> dict[str, int]:
    """Copy all rows, and compare what the target gives back with what it was given.

    Returns:
        How many rows of each table were moved.

    Raises:
        Conflict: The target has records, or a host has one of the two open.
        StoreFailed: The two have other columns, or the target gives back something else.
    """
    _check_unused(source)
    check_target(target)
    plan = _plan(_moving(source), _moving(target))
    given = {table.name: Digest() for table in plan}
    with target.filling(plan):
        for table in plan:
            target.fill(table, given[table.name].over(source.rows(table)))
            crash.reach("migrate.filled")
    for table in plan:
        back = Digest()
        for _row in back.over(target.rows(table)):
            pass
        if back.summary != given[table.name].summary:
            raise StoreFailed(reason=f"migrate: the target does not give back the rows of {table.name}")
    return {table.name: given[table.name].count for table in plan}


class Digest:
    """The number and the digest of rows that pass."""

    def __init__(self) -> None:
        self.count = 0
        self._hasher = hashlib.sha256()

    def over(self, rows: Iterable[Values]) -> Iterator[Values]:
        """Yield the same rows."""
        for row in rows:
            self.count += 1
            self._hasher.update(msgspec.json.encode(row) + b"\n")
            yield row

    @property
    def summary(self) -> tuple[int, str]:
        """Return the number of rows and their digest; equal for equal series of rows."""
        return self.count, self._hasher.hexdigest()


def _check_unused(records: Records) -> None:
    if users := records.users():
        raise Conflict(reason=f"the database is in use by {', '.join(users)}: stop the service there first")


def _moving(records: Records) -> list[Table]:
    """Return the tables and columns that move, each table behind those that it refers to."""
    tables = {table.name: table for table in records.tables() if table.name not in STAYING}
    order = TopologicalSorter({name: table.parents for name, table in tables.items()}).static_order()
    return [
        msgspec.structs.replace(
            table,
            columns=tuple(
                sorted(name for name in table.columns if (table.name, name) not in STAYING_COLUMNS)
            ),
        )
        for table in map(tables.__getitem__, order)
    ]


def _plan(source: list[Table], target: list[Table]) -> list[Table]:
    """Return the target's tables, which must be those of the source: nothing is left out in silence."""
    theirs, ours = ({(table.name, table.columns, table.key) for table in side} for side in (source, target))
    if theirs != ours:
        names = ", ".join(sorted({name for name, *_rest in theirs ^ ours}))
        raise StoreFailed(reason=f"migrate: the two indexes are made differently: {names}")
    return target
