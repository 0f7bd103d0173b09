"""One lock for each digest, so that commit and removal of the same bytes keep apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class DigestLocks:
    """Holds digests; a lock that nobody holds or waits for is forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def holding(self, address: str) -> AsyncIterator[None]:
        """Keep others from committing or removing these bytes."""
        lock = self._locks.setdefault(address, asyncio.Lock())
        async with lock:
            yield
