"""Writes that an import cannot go on without, repeated until the index takes them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from fetcher.errors import Shortage, StoreFailed

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.05
MAX_WAIT_SECONDS = 30.0

MAX_SHORTAGE_WAIT_SECONDS = 5.0

log = structlog.get_logger()


async def retry_write(write: Callable[[], Awaitable[R]], *, max_wait_seconds: float = MAX_WAIT_SECONDS) -> R:
    """Write, and try again for as long as the index is locked, full or broken.

    Without this an import whose end could not be written would stand as
    running until the next start, with nobody running it.

    Args:
        max_wait_seconds: Between two tries, at most.
    """
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return await write()
        except StoreFailed as error:
            log.error("index.refused", detail=str(error), again_in_seconds=wait)  # noqa: TRY400 - a fact, not a fault
        await asyncio.sleep(wait)
        wait = min(2 * wait, max_wait_seconds)


def shortage_wait(number: int) -> float:
    """Return the seconds to wait after a number of shortages in a row; random, so that waiters spread out."""
    most: float = min(FIRST_WAIT_SECONDS * 2 ** min(number, 20), MAX_SHORTAGE_WAIT_SECONDS)
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


async def retry_while_short(work: Callable[[], Awaitable[R]]) -> R:
    """Do something that a shortage of the machine may keep from happening, until it happens.

    Raises:
        Failure: Any other that the work ends in.
    """
    number = 0
    while True:
        try:
            return await work()
        except Shortage as error:
            number += 1
            log.warning("machine.short", detail=str(error))
        await asyncio.sleep(shortage_wait(number))
