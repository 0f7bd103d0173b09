"""Work that one host does for all."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from fetcher.aio.shield import shielded
from fetcher.engine.protocol import Engine
from fetcher.errors import StoreFailed

log = structlog.get_logger()

Work = Callable[[], Coroutine[Any, Any, None]]


def led(engine: Engine, chore: str, work: Work) -> Work:
    """Return work that runs while this host leads a chore: it stops when another one does, or may."""
    if not engine.is_shared:
        return work

    async def lead() -> None:
        while True:
            if await _leads(engine, chore):
                log.info("chore.taken", chore=chore)
                await _work(engine, chore, work)
                log.info("chore.left", chore=chore)
            await asyncio.sleep(engine.host.beat_seconds)

    return lead


async def _work(engine: Engine, chore: str, work: Work) -> None:
    task = asyncio.create_task(work(), name=chore)
    try:
        while not (await asyncio.wait({task}, timeout=engine.host.beat_seconds))[0]:
            if not await _leads(engine, chore):
                return
        task.result()
    finally:
        task.cancel()
        await shielded(asyncio.wait({task}))  # A stop meanwhile waits for the end of the chore.
        if not task.cancelled():
            task.exception()  # Seen, so that it is not reported as forgotten.


async def _leads(engine: Engine, chore: str) -> bool:
    try:
        return await engine.leads(chore)
    except StoreFailed as failure:
        log.warning("chore.unknown", chore=chore, detail=str(failure))
        return False
