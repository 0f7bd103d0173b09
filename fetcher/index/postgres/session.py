"""A pool of connections to PostgreSQL; each verb is one transaction on one of them."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor, IsolationLevel, errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from fetcher.aio.cancelling import KeepCancellation
from fetcher.errors import ReadGivenUp, Shortage, StoreFailed
from fetcher.index.postgres.access import Access, check_connection, check_server
from fetcher.index.postgres.schema import migrate
from fetcher.index.values import READER, Quota

P = ParamSpec("P")
R = TypeVar("R")

# Two writers met: one of them begins anew, and sees what the other has written.
MET = (errors.SerializationFailure, errors.DeadlockDetected, errors.IntegrityError)
MAX_TRIES = 10
# Waits between attempts double for so long; then whoever needs a connection has a new attempt made. The
# pool's own five minutes would keep it from a database that is back for as long as that was away.
RECONNECT_SECONDS = 2.0
# These say nothing about what was asked: the server is away, starts, stops, or is not the primary (any more).
AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
)
# A transaction whose connection was cut before its commit was taken back, and begins anew on another one. An
# administrator who ends all of them, or a restart, may have ended the next one too, unnoticed so far.
MAX_CUT = 3

_NAMED = re.compile(r"(?<!:):([a-z]\w*)")


@cache
def placeholders(sql: str) -> str:
    """Write `:name` and `?` as psycopg wants them; a cast (`::text`) is none of them."""
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%")).replace("?", "%s")


def insertion(table: str, columns: Sequence[str]) -> str:
    """Return the statement that adds any number of rows.

    They go along as one JSON text by the name of the table, so that the statement is prepared once.
    """
    names = ", ".join(columns)
    rows = f"json_populate_recordset(NULL::{table}, :{table}::json)"
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {rows}"  # noqa: S608 - our own names


class Session:
    """One transaction.

    Args:
        on_queued: Given this session and ids, announces imports that this transaction queues to an engine.
        quotas: Judge what it writes at its end; None where nothing is limited.

    Attributes:
        lines: Of the audit trail, which this transaction adds at its end.
        is_judged: Whether what it writes was judged by its quotas before, under the locks of who changes it.
    """

    def __init__(
        self,
        connection: AsyncConnection[DictRow],
        on_queued: "Queued | None" = None,
        quotas: "Check | None" = None,
    ) -> None:
        self._connection = connection
        self._on_queued = on_queued
        self.quotas = quotas
        self.is_judged = False
        self._last: list[Callable[[], Awaitable[None]]] = []
        self.lines: list[dict[str, Any]] = []

    def do_last(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something right before the commit, because others wait for whoever does it."""
        self._last.append(work)

    async def finish(self) -> None:
        """Do what is done last."""
        for work in self._last:
            await work()

    @property
    def connection(self) -> AsyncConnection[DictRow]:
        """Return the connection of this transaction, for an engine that writes rows of its own in it."""
        return self._connection

    async def announce_queued(self, import_ids: Sequence[str]) -> None:
        """Announce to the engine, in this transaction, the imports that are queued once it commits."""
        if self._on_queued is not None and import_ids:
            await self._on_queued(self, import_ids)

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

    async def insert_all(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows that have the same columns."""
        await self.execute(insertion(table, list(rows[0])), {table: msgspec.json.encode(rows).decode()})

    async def _run(self, sql: str, parameters: Sequence[Any] | dict[str, Any]) -> AsyncCursor[DictRow]:
        return await self._connection.execute(placeholders(sql).encode(), parameters or None)


Queued = Callable[[Session, Sequence[str]], Awaitable[None]]


class Check(Protocol):
    """Judges writes before they count."""

    def of(self, project_id: str) -> Quota:
        """Return the quota of a project that is in force now."""

    async def check(self, db: Session) -> None:
        """Judge the write that was just made; raise the failure for its caller."""


class _LastFirst(deque[AsyncConnection[DictRow]]):
    """Takes first what was put back last."""

    def popleft(self) -> AsyncConnection[DictRow]:
        return self.pop()


class WarmPool(AsyncConnectionPool[AsyncConnection[DictRow]]):
    """A pool that gives out the connection that was used last, where the library takes the one least used.

    What is asked again and again is prepared there, and the database has at hand what it needs for it; each
    connection learns that anew, which takes longer than most transactions.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pool = _LastFirst()


class Connection:
    """Runs functions on the index, each in a transaction of its own.

    Args:
        access: How the database is reached.
        check: Asked at the end of every write, inside its transaction; what it raises takes the write back.

    Attributes:
        committed_at: When this process last wrote, on the monotonic clock.
        on_queued: Called inside each transaction that queues imports; set by an engine that needs it.
    """

    def __init__(self, access: Access, *, check: Check | None = None) -> None:
        self.access = access
        self._check = check
        self.committed_at = 0.0
        self.on_queued: Queued | None = None
        self._pool: WarmPool = WarmPool(
            access.url,
            min_size=1,
            max_size=access.connections,
            timeout=access.wait_seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={"row_factory": dict_row, **access.options},
            check=check_connection,  # A restarted database costs no request.
            open=False,
        )

    async def open(self) -> None:
        """Connect, and bring the schema up to date.

        Raises:
            StoreFailed: The database cannot be reached, or is a later version's.
        """
        try:
            async with await self.access.connect() as connection:
                check_server(connection)
                await migrate(connection)
            await self._pool.open(wait=True, timeout=self.access.wait_seconds)
        except (psycopg.Error, PoolTimeout) as error:
            raise StoreFailed(reason=f"index: the database cannot be used: {error}".strip()) from error

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
            if self._check is not None and not db.is_judged:
                await self._check.check(db)
            await db.finish()
            return result

        done = await self._transact(judged, is_read=False)
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
            if seconds is not None:
                await db.select(
                    "SELECT set_config('statement_timeout', ?, true)", [f"{seconds * 1000:.0f}ms"]
                )
            return await work(db, *args, **kwargs)

        return await self._transact(reading, is_read=True)

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

    async def _transact(self, work: Callable[[Session], Awaitable[R]], *, is_read: bool) -> R:
        cut = 0
        for tries in range(1, MAX_TRIES + 1):
            held: AsyncConnection[DictRow] | None = None  # Until it is asked to commit.
            try:
                with KeepCancellation():
                    async with self._pool.connection() as connection:
                        held = connection
                        # These go along with BEGIN.
                        level = IsolationLevel.REPEATABLE_READ if is_read else None
                        await connection.set_isolation_level(level)
                        await connection.set_read_only(is_read or None)
                        result = await work(Session(connection, self.on_queued, self._check))
                        held = None
                        return result
            except MET as error:
                if tries == MAX_TRIES:
                    raise StoreFailed(reason=f"index: {error}") from error
            except errors.QueryCanceled as error:
                raise ReadGivenUp from error
            except AWAY as error:
                cut += held is not None and held.closed
                if held is None or not held.closed or cut > MAX_CUT:
                    raise Shortage(reason=f"the database is away: {error}".strip()) from error
            except psycopg.Error as error:
                raise StoreFailed(reason=f"index: {error}") from error
        raise AssertionError(MAX_TRIES)
