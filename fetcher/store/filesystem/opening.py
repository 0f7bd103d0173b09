"""Files that threads open for tasks which may be cancelled meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def opened(opening: Awaitable[T], undo: Callable[[T], None]) -> T:
    """Wait for what a thread opens; whoever is cancelled meanwhile waits for it all the same, and undoes it.

    The thread cannot be stopped, and nobody else would know of what it opened.
    """
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            undo(task.result())
        raise
