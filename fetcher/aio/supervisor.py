"""The owner of background work: what dies is logged, counted, shown and started again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from fetcher.errors import Shortage, StoreFull

log = structlog.get_logger()

Work = Callable[[], Coroutine[Any, Any, None]]

FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0
STEADY_SECONDS = 60.0  # Work that ran for so long begins its waits anew.


class Supervisor:
    """Runs work that never ends by itself, and starts it again when it does.

    Args:
        first_wait_seconds: Before the first restart; doubled each time up to a minute.
        sleep: Waits; a test may wait less.

    Attributes:
        tasks: The tasks by their names, for as long as the supervisor lives.
        restarts: How often work died, by its name; names are few, whatever their number of tasks.
    """

    def __init__(
        self,
        *,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.restarts: Counter[str] = Counter()
        self._first_wait_seconds = first_wait_seconds
        self._sleep = sleep
        self._down: Counter[str] = Counter()

    def start(self, name: str, work: Work) -> None:
        """Run work of the whole service in a task of its own until `close`."""
        self.restarts[name] += 0  # Shown from the start, as every counter should be.
        self.tasks[name] = asyncio.create_task(self.keep(name, work), name=name)

    async def keep(self, name: str, work: Work) -> None:
        """Run work in the caller's task until that is cancelled, through all that ends it earlier."""
        loop = asyncio.get_running_loop()
        wait = self._first_wait_seconds
        while True:
            began = loop.time()
            try:
                await work()
                error = None
            except Exception as died:  # noqa: BLE001 - whatever it is, the work has to go on
                error = died
            if loop.time() - began >= STEADY_SECONDS:
                wait = self._first_wait_seconds
            await self._rest(name, error, wait)
            wait = min(2 * wait, MAX_WAIT_SECONDS)

    async def _rest(self, name: str, error: Exception | None, seconds: float) -> None:
        self.restarts[name] += 1
        if isinstance(error, Shortage | StoreFull):  # It passes, and is nobody's fault: its words say all.
            log.warning("task.short", task=name, detail=str(error), again_in_seconds=seconds)
        else:  # An end without an error is no more expected than one with it.
            log.error("task.died", task=name, error=repr(error), again_in_seconds=seconds, exc_info=error)
        self._down[name] += 1
        try:
            await self._sleep(seconds)
        finally:
            self._down[name] -= 1

    def troubles(self) -> list[str]:
        """Return a sentence for each work that does not run this moment."""
        ended = [f"the background task {name} has ended" for name, task in self.tasks.items() if task.done()]
        down = [
            f"the background task {name} failed and will be restarted"
            for name, n in self._down.items()
            if n > 0
        ]
        return ended + down

    async def close(self) -> None:
        """Cancel all work and wait until it has let go of what it had."""
        for task in self.tasks.values():
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks.values())


def start_logged(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start work that ends by itself, in a task whose owner waits for it; a failure is logged at once."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    log.error("task.failed", task=task.get_name(), error=repr(error), exc_info=error)


class Tasks:
    """Tasks that end by themselves; whoever has begun them can wait for all.

    Attributes:
        running: Those that have not ended.
    """

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin one; what ends it otherwise than in good order is logged."""
        task = start_logged(work, name)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
