"""The driver that pgqueuer gets: statements on a connection of ours, news from the one that listens anyway.

pgqueuer's own driver for psycopg listens on the connection that it queries, and a query there waits until a
notification comes or a second has passed.
"""

import asyncio
from typing import Any, Self

from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver, NotifyCallback
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import dict_row


class ConnectionDriver(Driver):
    """Statements on one connection, in whatever transaction is open there.

    Args:
        connection: It stays open when this is done.
    """

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._listeners: dict[str, list[NotifyCallback]] = {}
        self._shutdown = asyncio.Event()
        self._tasks = TaskManager()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Return the rows of a statement."""
        cursor = AsyncRawCursor(self._connection, row_factory=dict_row)
        await cursor.execute(query.encode(), args or None)
        return await cursor.fetchall()

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement; return what it says."""
        cursor = AsyncRawCursor(self._connection)
        await cursor.execute(query.encode(), args or None)
        return cursor.statusmessage or ""

    async def notify(self, channel: str, payload: str) -> None:
        """Notify a channel."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Call back with every notification of a channel from now on."""
        self._listeners.setdefault(channel, []).append(callback)

    def dispatch(self, channel: str, payload: str) -> None:
        """Hand a notification to the listeners of its channel."""
        for callback in self._listeners.get(channel, []):
            callback(payload)

    @property
    def shutdown(self) -> asyncio.Event:
        """Return what is set when no more work is to be taken."""
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        """Return the tasks of this driver: none."""
        return self._tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._shutdown.set()
