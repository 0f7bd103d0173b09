"""Where the indexes under test keep their records: each place can be opened many times, and at once."""

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from fetcher.index.protocol import Index
from fetcher.index.sqlite.index import Index as SqliteIndex
from fetcher.index.values import Quota, Worker

QuotaOf = Callable[[str], Quota]


class Place(Protocol):
    """The records of one service, whoever has them open."""

    def open(
        self, quota_of: QuotaOf | None = None, worker: Worker | None = None
    ) -> AbstractAsyncContextManager[Index]:
        """Open the records; a second time is what another process, or the next one, has."""

    async def dump(self, index: Index) -> str:
        """Return everything that is in any record."""


class Places(Protocol):
    """Makes empty places."""

    def new(self) -> Place:
        """Return a place without any records."""

    def drop(self, place: Any) -> None:
        """Remove one of these places, which nobody needs any more."""


class SqlitePlace:
    """A file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, quota_of: QuotaOf | None = None, worker: Worker | None = None) -> SqliteIndex:
        return SqliteIndex(self.path, quota_of=quota_of, worker=worker)

    async def dump(self, index: Index) -> str:
        assert isinstance(index, SqliteIndex)
        return await index.connection.read(lambda db: "\n".join(db.conn.iterdump()))


class SqlitePlaces:
    """Files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def new(self) -> SqlitePlace:
        return SqlitePlace(self._folder / f"{next(self._numbers)}.sqlite")

    def drop(self, place: SqlitePlace) -> None:
        place.path.unlink(missing_ok=True)
