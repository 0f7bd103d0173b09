"""A connection of the host's own: what it holds for as long as it lives, and lets go when it freezes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from fetcher.aio.cancelling import KeepCancellation
from fetcher.aio.shield import shielded
from fetcher.errors import Shortage, StoreFailed
from fetcher.index.postgres.access import Access
from fetcher.index.postgres.session import AWAY

log = structlog.get_logger()

FIRST_WAIT_SECONDS = 0.01
MAX_WAIT_SECONDS = 0.2


class HostSession:
    """Statements one after the other, and locks that go with the connection.

    The database ends a session that is silent for as long as a lease: whatever a
    frozen host has locked is free again by then.

    Args:
        lease_seconds: None for a session that locks nothing.
    """

    def __init__(self, access: Access, lease_seconds: float | None = None) -> None:
        self._access = access
        self._lease_seconds = lease_seconds
        self._turn = asyncio.Lock()
        self._connection: AsyncConnection[TupleRow] | None = None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def ask(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        """Run a statement; its first value comes back.

        Raises:
            StoreFailed: The database cannot be reached.
        """
        async with self._turn:
            try:
                with KeepCancellation():
                    connection = await self._connected()
                    cursor = await connection.execute(sql.encode(), parameters)
                    row = await cursor.fetchone()
            except psycopg.Error as error:
                await self.close()
                kind = Shortage if isinstance(error, AWAY) else StoreFailed
                raise kind(reason=f"the database is away: {error}".strip()) from error
        return row[0] if row else None

    async def _connected(self) -> AsyncConnection[TupleRow]:
        if self._connection is None or self._connection.broken:
            self._connection = await self._access.connect()
            if self._lease_seconds is not None:
                limit = f"{self._lease_seconds * 1000:.0f}ms"
                sql = "SELECT set_config('idle_session_timeout', %s, false)"
                await self._connection.execute(sql, [limit])
        return self._connection

    @asynccontextmanager
    async def holding(self, name: str) -> AsyncIterator[None]:
        """Hold a lock that one host at a time may have.

        Raises:
            StoreFailed: The database cannot be reached.
        """
        wait, is_held = FIRST_WAIT_SECONDS, False
        try:
            while not await self.ask("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]):
                await asyncio.sleep(wait)
                wait = min(2 * wait, MAX_WAIT_SECONDS)
            is_held = True
            yield
        finally:  # Who is cancelled while it asks does not know what the answer would have been.
            await shielded(self._let_go(name, is_held=is_held))

    async def _let_go(self, name: str, *, is_held: bool) -> None:
        try:
            was_held = await self.ask("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
            if is_held and not was_held:
                log.warning("engine.lock_lost", name=name)
        except StoreFailed as failure:  # It went with the connection.
            log.warning("engine.lock_lost", name=name, detail=str(failure))
