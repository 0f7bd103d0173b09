"""Work that a cancelled task still carries to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

R = TypeVar("R")


async def shielded(work: Awaitable[R]) -> R:
    """Run `work` to its end even when the caller is cancelled meanwhile, and only then be cancelled."""
    task = asyncio.ensure_future(work)
    cancelled = await _finish(task)
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # Seen, so that it is not reported as forgotten.
        raise cancelled
    return task.result()


async def in_thread(pool: Executor, work: Callable[[], R]) -> R:
    """Do blocking work in a pool's thread to its end, also when the caller is cancelled meanwhile."""
    return await shielded(asyncio.get_running_loop().run_in_executor(pool, work))


async def opened(opening: Awaitable[R], undo: Callable[[R], None]) -> R:
    """Wait for what a thread opens; a caller that is cancelled meanwhile waits all the same, and undoes it.

    The thread cannot be stopped, and nobody else would know of what it opened.
    """
    task = asyncio.ensure_future(opening)
    cancelled = await _finish(task)
    if cancelled is not None:
        if not task.cancelled() and task.exception() is None:
            undo(task.result())
        raise cancelled
    return task.result()


async def _finish(task: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait until a task is done, however often the caller is cancelled; the last cancellation comes back."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
