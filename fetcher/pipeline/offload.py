"""A thread for work that is too long for the event loop, done in slices, in turns."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue

from fetcher.interpreter import short_turns

Slice = Callable[[], bool]


class OffloadThread:
    """One thread that goes from job to job, a slice of each at a time.

    A single one: pure Python keeps other threads waiting for the interpreter,
    the event loop among them, and two such threads keep it waiting twice as long.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="offload", daemon=True)
        self._thread.start()

    async def run(self, part: Slice) -> None:
        """Call `part` in the thread until it returns True.

        When the caller is cancelled, the slice that runs is the last one.

        Raises:
            BaseException: What `part` raised.
        """
        job = _Job(part, asyncio.get_running_loop())
        self._queue.put(job)
        await job.end

    def close(self) -> None:
        """End the thread when its work is done."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            with short_turns():
                is_over = job.is_over_after_a_slice()
            if not is_over:
                self._queue.put(job)


class _Job:
    """One caller's work."""

    def __init__(self, part: Slice, loop: asyncio.AbstractEventLoop) -> None:
        self.end: asyncio.Future[None] = loop.create_future()
        self._part = part
        self._loop = loop

    def is_over_after_a_slice(self) -> bool:
        if self.end.cancelled():
            return True
        try:
            if not self._part():
                return False
        except BaseException as error:  # noqa: BLE001 - carried to the caller, who ends by it
            self._tell(error)
        else:
            self._tell(None)
        return True

    def _tell(self, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended, and with it the caller.
            self._loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: BaseException | None) -> None:
        if self.end.done():
            return
        if error is None:
            self.end.set_result(None)
        else:
            self.end.set_exception(error)
