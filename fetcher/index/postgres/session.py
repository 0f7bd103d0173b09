"""A pool of connections to PostgreSQL; each verb is one transaction on one of them."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor, errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from fetcher.errors import ReadGivenUp, StoreFailed
from fetcher.index.postgres.schema import migrate
from fetcher.index.values import READER

P = ParamSpec("P")
R = TypeVar("R")

WAIT_SECONDS = 10.0  # For a connection, free or new.
# Two writers met: one of them begins anew, and sees what the other has written.
MET = (errors.SerializationFailure, errors.DeadlockDetected, errors.IntegrityError)
MOST_TRIES = 10

_NAMED = re.compile(r"(?<!:):([a-z]\w*)")


@cache
def placeholders(sql: str) -> str:
    """Write `:name` and `?` as psycopg wants them; a cast (`::text`) is none of them."""
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%")).replace("?", "%s")


class Session:
    """One transaction."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def select(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        """Read rows as dictionaries."""
        return await (await self._run(sql, parameters)).fetchall()

    async def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run a statement; return how many rows it wrote."""
        return (await self._run(sql, parameters)).rowcount

    async def insert(self, table: str, row: dict[str, Any]) -> None:
        """Add a row."""
        marks = ", ".join(f":{column}" for column in row)
        await self.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608 - our own names

    async def _run(self, sql: str, parameters: Sequence[Any] | dict[str, Any]) -> AsyncCursor[DictRow]:
        return await self._connection.execute(placeholders(sql).encode(), parameters or None)


class Check(Protocol):
    """Judges writes before they count."""

    async def check(self, db: Session) -> None:
        """Judge the write that was just made; raise what its caller is told."""


class Connection:
    """Runs functions on the index, each in a transaction of its own.

    Args:
        url: Where the database is, as libpq takes it.
        check: Asked at the end of every write, inside its transaction; what it raises takes the write back.
        connections: How many there are at most.

    Attributes:
        committed_at: When this process last wrote, on the monotonic clock.
    """

    def __init__(self, url: str, *, check: Check | None = None, connections: int = 8) -> None:
        self._url = url
        self._check = check
        self.committed_at = 0.0
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=WAIT_SECONDS,
            kwargs={"row_factory": dict_row},
            check=AsyncConnectionPool.check_connection,  # A restarted database costs no request.
            open=False,
        )

    async def open(self) -> None:
        """Connect, and bring the schema up to date.

        Raises:
            StoreFailed: The database cannot be reached, or is a later version's.
        """
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                await migrate(connection)
            await self._pool.open(wait=True, timeout=WAIT_SECONDS)
        except (psycopg.Error, PoolTimeout) as error:
            raise StoreFailed(reason=f"index: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def write(
        self, work: Callable[Concatenate[Session, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(session, ...)` in a transaction that is durable when this returns.

        Raises:
            StoreFailed: The index cannot be written.
        """

        async def judged(db: Session) -> R:
            result = await work(db, *args, **kwargs)
            if self._check is not None:
                await self._check.check(db)
            return result

        done = await self._transact(judged)
        self.committed_at = time.monotonic()
        return done

    async def read(
        self, work: Callable[Concatenate[Session, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(session, ...)` on one picture of the records, which it cannot change.

        Raises:
            StoreFailed: The index cannot be read.
            ReadGivenUp: It takes longer than the request may, or nobody waits for it any more.
        """
        seconds = self._seconds_left()

        async def reading(db: Session) -> R:
            await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if seconds is not None:
                await db.select(
                    "SELECT set_config('statement_timeout', ?, true)", [f"{seconds * 1000:.0f}ms"]
                )
            return await work(db, *args, **kwargs)

        return await self._transact(reading)

    def _seconds_left(self) -> float | None:
        """Return how long the request that is being answered waits for one read; None without a request.

        Raises:
            ReadGivenUp: Nobody waits for it any more.
        """
        reader = READER.get()
        if reader is None or reader.task is not asyncio.current_task():
            return None
        if reader.is_gone():
            raise ReadGivenUp
        return reader.seconds

    async def _transact(self, work: Callable[[Session], Awaitable[R]]) -> R:
        for tries in range(1, MOST_TRIES + 1):
            try:
                async with self._pool.connection() as connection:
                    return await work(Session(connection))
            except MET as error:
                if tries == MOST_TRIES:
                    raise StoreFailed(reason=f"index: {error}") from error
            except errors.QueryCanceled as error:
                raise ReadGivenUp from error
            except (psycopg.Error, PoolTimeout) as error:
                raise StoreFailed(reason=f"index: {error}") from error
        raise AssertionError(MOST_TRIES)
