"""Probes of disk and index: do they take the writes of an import?"""

import asyncio
import time

from fetcher.errors import StoreFailed
from fetcher.index.protocol import Index
from fetcher.store.protocol import Store

FRESH_SECONDS = (
    0.5  # Whoever asks more often gets the same answer: probes need no token, and each waits for the disk.
)
INDEX_SECONDS = 1.0
LOOK_SECONDS = 0.1


class Probes:
    """Tries small writes, at most twice a second for all callers together."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._at = float("-inf")
        self._found: list[str] = []

    async def reasons(self, index: Index, store: Store, max_bytes: int) -> list[str]:
        """Return each reason why a write would not go well now.

        Args:
            max_bytes: What one image may hold.
        """
        now = asyncio.get_running_loop().time
        async with self._lock:
            if now() - self._at > FRESH_SECONDS:
                self._found = [*await _of_index(index), *await store.obstacles(max_bytes)]
                self._at = now()
            return list(self._found)


async def _of_index(index: Index) -> list[str]:
    began = time.monotonic()
    try:
        async with asyncio.timeout(INDEX_SECONDS):
            damage = await index.maintenance.probe(LOOK_SECONDS)
    except StoreFailed:
        return ["the index cannot be written"]
    except TimeoutError:
        # Behind hundreds of other writes it is busy, not broken: one that went well meanwhile says so.
        return [] if index.maintenance.committed_at > began else ["the index cannot be written"]
    return ["the index is damaged"] if damage else []
