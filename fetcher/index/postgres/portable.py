"""PostgreSQL for verbs that are written once for both databases."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from fetcher.index.portable.session import Dialect
from fetcher.index.portable.session import Session as AnySession
from fetcher.index.postgres.bookkeeping.audit import note_line
from fetcher.index.postgres.bookkeeping.counts import TEXT_BYTES
from fetcher.index.postgres.session import Connection, Session

P = ParamSpec("P")
R = TypeVar("R")

DIALECT = Dialect(
    row_lock="FOR UPDATE",
    text_bytes=TEXT_BYTES,
    byte_length="octet_length({})",
    seconds="moment_seconds({})",
    detail_code="(audit.detail::jsonb ->> 'code')",
)


class PortableSession:
    """One transaction."""

    dialect = DIALECT

    def __init__(self, db: Session) -> None:
        self._db = db

    async def select(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        return await self._db.select(sql, parameters)

    async def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        return await self._db.execute(sql, parameters)

    async def insert(self, table: str, row: dict[str, Any]) -> None:
        await self._db.insert(table, row)

    async def note_line(self, line: dict[str, Any]) -> None:
        await note_line(self._db, line)

    async def lock_name(self, name: str) -> None:
        await self._db.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [name])


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
        return await self._connection.write(lambda db: work(PortableSession(db), *args, **kwargs))

    async def read(
        self,
        work: Callable[Concatenate[AnySession, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        return await self._connection.read(lambda db: work(PortableSession(db), *args, **kwargs))
