"""Reloads that signals ask for: one at a time, and one more for all that were asked for meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fetcher.aio.supervisor import start_logged
from fetcher.systemd import ignore_reloads


class Reloads:
    """Reads the operator's file when a reload is requested, however often that is.

    What is asked for while a file is read may be about a later one: it is read once more after that.

    Args:
        reload: Does it once.
    """

    def __init__(self, reload: Callable[[], Awaitable[None]]) -> None:
        self._reload = reload
        self._is_asked = self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Have it done now, or once more after what is going on."""
        self._is_asked = True
        if self._task is None and not self._is_closed:
            self._task = start_logged(self._run(), "reload")

    async def _run(self) -> None:
        try:
            while self._is_asked and not self._is_closed:
                self._is_asked = False
                await self._reload()
        finally:
            self._task = None

    @asynccontextmanager
    async def by_signal(self) -> AsyncIterator[None]:
        """Have SIGHUP ask for it within this."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.ask)
        try:
            yield
        finally:
            await self.close()
            loop.remove_signal_handler(signal.SIGHUP)
            ignore_reloads()

    async def close(self) -> None:
        """Begin no more, and wait for what is going on."""
        self._is_closed = True
        if self._task is not None:
            await asyncio.wait({self._task})
