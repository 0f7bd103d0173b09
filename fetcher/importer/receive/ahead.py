"""Both sides of a stage beside each other: pieces are made and bytes fetched before they are asked for."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from fetcher.pipeline import TURN_BYTES, WorkerPool

MAX_PIECES = 3  # Of about a mebibyte; where there is a crowd, one, because others use the processors.


class PiecesAhead:
    """Pieces that a thread makes, a few of them before they are asked for.

    Args:
        make: Makes the next piece, or none where it has to be given more first; runs in a thread.
        has_work: Whether `make` can go on; asked in the loop and in the thread.
        is_dear: Whether it takes much of a processor; asked likewise.
    """

    def __init__(
        self,
        worker_pool: WorkerPool,
        *,
        make: Callable[[], bytes],
        has_work: Callable[[], bool],
        is_dear: Callable[[], bool] = lambda: False,
    ) -> None:
        self._worker_pool = worker_pool
        self._make = make
        self._has_work = has_work
        self._is_dear = is_dear
        self._ready: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._making: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._is_closed = False
        self._loop = asyncio.get_running_loop()

    def go_on(self) -> None:
        """Make pieces, if there is room for them and something to make them of."""
        if self._making is None and self._may_make():
            self._making = asyncio.create_task(self._run())

    def _may_make(self) -> bool:
        most = 1 if self._worker_pool.is_crowded else MAX_PIECES
        is_open = self._failure is None and not self._is_closed
        return is_open and len(self._ready) < most and self._has_work()

    async def _run(self) -> None:
        try:
            while self._may_make():
                await self._worker_pool.run(self._make_some, is_dear=self._is_dear(), is_first=True)
        except BaseException as failure:  # noqa: BLE001 - raised to the reader, behind the pieces before it
            self._failure = failure
        self._making = None
        self._changed.set()

    def _make_some(self) -> None:
        """Make pieces for a turn; each is there to be read at once. Runs in a thread."""
        left = TURN_BYTES
        while left > 0 and self._may_make():
            piece = self._make()
            if piece:
                self._ready.append(piece)
                self._loop.call_soon_threadsafe(self._changed.set)
            left = 0 if not piece or self._is_dear() else left - len(piece)

    async def read(self) -> bytes:
        """Return the next piece; nothing where none is there and none can be made.

        Raises:
            Failure: What `make` raised, after all pieces before it.
        """
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            self.go_on()
            if self._making is None:
                return b""
            self._changed.clear()
            await self._changed.wait()
        piece = self._ready.popleft()
        self.go_on()
        return piece

    async def close(self) -> None:
        """Make no more; afterwards no thread is at work."""
        self._is_closed = True
        if self._making is not None:
            await asyncio.wait({self._making})


class FetchingBeside:
    """One fetch at a time that goes on while others wait for something else.

    Args:
        fetch: Fetches the next bytes and hands them on.
    """

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._fetch = fetch
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin a fetch, unless one is going on or has ended without anybody having waited for it."""
        if self._task is not None and self._task.done() and self._task.exception() is None:
            self._task = None
        if self._task is None:
            self._task = asyncio.create_task(self._fetch())

    async def wait(self) -> bool:
        """Wait for the fetch that goes on; answer False where there is none.

        Raises:
            SourceFailure: The peer broke off.
            Failure: What was fetched was refused.
        """
        if self._task is None:
            return False
        await asyncio.wait({self._task})
        task, self._task = self._task, None
        task.result()
        return True

    async def close(self) -> None:
        """End it; what it raised is for nobody."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # Seen, so that it is not reported as forgotten.
        self._task = None
