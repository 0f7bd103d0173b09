"""Writes that an import cannot go on without, repeated until the index takes them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from fetcher.errors import StoreFailed

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.05
MAX_WAIT_SECONDS = 30.0

log = structlog.get_logger()


async def written(write: Callable[[], Awaitable[R]]) -> R:
    """Write, and try again for as long as the index is locked, full or broken.

    Without this an import whose end could not be written would stand as
    running until the next start, with nobody running it.
    """
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return await write()
        except StoreFailed as error:
            log.error("index.refused", detail=str(error), again_in_seconds=wait)  # noqa: TRY400 - a fact, not a fault
        await asyncio.sleep(wait)
        wait = min(2 * wait, MAX_WAIT_SECONDS)
