"""Writing down, while a pull goes on, what a later process would need to take it up."""

import asyncio
import random
from contextlib import suppress

from fetcher.crash import reach
from fetcher.importer.attempts import Attempts
from fetcher.index import Index, Kept


class Keeping:
    """The row of one pull in the index: there while the pull goes on, if that takes long enough to matter.

    Args:
        kept: What an earlier process left, or a new id.
        save_seconds: How long the row is left as it is at most, when nothing calls for it earlier.
    """

    def __init__(self, index: Index, kept: Kept, save_seconds: float) -> None:
        self._index = index
        self._kept = kept
        self._save_seconds = save_seconds
        self._loop = asyncio.get_running_loop()
        self._marked = asyncio.Event()
        self._is_written = bool(kept.spent_seconds)

    def mark(self) -> None:
        """Have the row written soon; called from threads."""
        self._loop.call_soon_threadsafe(self._marked.set)

    async def save_often(self, attempts: Attempts) -> None:
        """Write the row again and again, until cancelled."""
        while True:
            with suppress(TimeoutError):
                # Not all at the same moment, where a thousand pulls began at the same moment.
                async with asyncio.timeout(self._save_seconds * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
                    await self._marked.wait()
            self._marked.clear()
            await self.save(attempts.kept())

    async def save(self, kept: Kept) -> None:
        """Write the row."""
        self._is_written = True
        await self._index.pulls.keep(kept)
        reach("importer.kept")

    async def drop(self) -> None:
        """Remove the row, if there is one."""
        if self._is_written:
            await self._index.pulls.drop(self._kept.id)
