"""Connections to origins beyond the one that comes with each slot, and memory for what they bring early."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fetcher.config import Imports
from fetcher.importer.queue import FairQueue


class Connections:
    """Keeps the limit for each origin whatever the connections are for.

    Args:
        caps: In force now.
        buffer_bytes: What may have come before its turn, over all pulls.
        freed: Called when there is room again; whoever waits for a slot goes first.
    """

    def __init__(
        self, queue: FairQueue, caps: Callable[[], Imports], buffer_bytes: int, freed: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._caps = caps
        self._left_bytes = buffer_bytes
        self._freed = freed
        self._waiting: set[asyncio.Event] = set()

    def take(self, origin: str) -> bool:
        """Take one more connection if that is possible at once."""
        return self._queue.connect(origin, self._caps())

    def give_back(self, origin: str) -> None:
        """End a connection that was taken."""
        self._queue.disconnect(origin)
        self._freed()
        self.wake()

    def wake(self) -> None:
        """Let those who wait for a connection look again."""
        for event in self._waiting:
            event.set()

    @asynccontextmanager
    async def hold(self, origin: str) -> AsyncIterator[None]:
        """Hold one more connection; waits until there is room."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while not self.take(origin):
                event.clear()
                await event.wait()
        finally:
            self._waiting.remove(event)
        try:
            yield
        finally:
            self.give_back(origin)

    def buffer(self, size: int) -> bool:
        """Take memory for bytes that may come before their turn, if it is there."""
        if size > self._left_bytes:
            return False
        self._left_bytes -= size
        return True

    def unbuffer(self, size: int) -> None:
        """Give memory back."""
        self._left_bytes += size
