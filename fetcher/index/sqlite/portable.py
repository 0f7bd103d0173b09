"""SQLite for verbs that are written once for both databases."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlite_utils.db import Database

from fetcher.index.portable.session import Dialect
from fetcher.index.portable.session import Session as AnySession
from fetcher.index.sqlite.bookkeeping.audit import note_line
from fetcher.index.sqlite.bookkeeping.counts import TEXT_BYTES
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import insert, select

P = ParamSpec("P")
R = TypeVar("R")

DIALECT = Dialect(
    row_lock="",
    text_bytes=TEXT_BYTES,
    byte_length="length(CAST({} AS BLOB))",
    seconds="julianday({}) * 86400.0",
    detail_code="json_extract(audit.detail, '$.code')",
)


class PortableSession:
    """One transaction, in the thread that has the file: nothing here waits."""

    dialect = DIALECT

    def __init__(self, db: Database) -> None:
        self._db = db

    async def select(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        return list(select(self._db, sql, parameters))

    async def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        return int(self._db.conn.execute(sql, parameters).rowcount)

    async def insert(self, table: str, row: dict[str, Any]) -> None:
        insert(self._db, table, row)

    async def note_line(self, line: dict[str, Any]) -> None:
        note_line(self._db, line)

    async def lock_name(self, name: str) -> None:
        """Do nothing: whoever writes is alone."""


class PortableConnection:
    """Runs such verbs, each in a transaction of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write(
        self,
        work: Callable[Concatenate[AnySession, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        return await self._connection.write(lambda db: _finish(work(PortableSession(db), *args, **kwargs)))

    async def read(
        self,
        work: Callable[Concatenate[AnySession, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        return await self._connection.read(lambda db: _finish(work(PortableSession(db), *args, **kwargs)))


def _finish(work: Awaitable[R]) -> R:
    """Run to its end what waits for nothing, without a loop.

    Raises:
        RuntimeError: It does wait for something.
    """
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as done:
        result: R = done.value
        return result
    steps.close()
    raise RuntimeError("a verb on the index waits for something else than its session")
