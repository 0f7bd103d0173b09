"""Parts of an image on their way: several at once, and each that was answered is kept for later attempts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fetcher.errors import Failure
from fetcher.exporter.reading import Part
from fetcher.exporter.senders.base import SendJob

Answered = list[str]  # What the receiver said of a part, then the part's sha256, then what else is needed.


class Parts:
    """The parts of one upload.

    Args:
        resume: Remembered with `parts` in it, which has None for those that were not answered yet.
        part_bytes: Of every part but the last.
    """

    def __init__(self, job: SendJob, resume: dict[str, Any], part_bytes: int) -> None:
        self._job = job
        self._resume = resume
        self._answered: list[Answered | None] = resume["parts"]
        self._part_bytes = part_bytes
        self._turn = asyncio.Lock()

    async def send(self, send: Callable[[int, Part], Awaitable[Answered]]) -> list[Answered]:
        """Send what was not answered yet, `exports.parts_at_once` at a time; the answers to all parts.

        Args:
            send: Takes a part's number, from 1, and the part.

        Raises:
            Failure: A part did not arrive, or the bytes cannot be read.
        """
        count = 0

        async def missing() -> AsyncIterator[Part]:
            nonlocal count
            async for part in self._job.reading.parts(self._part_bytes):
                count += 1
                if self._has(count, part):
                    await self._job.reading.skip(part)
                else:
                    yield part

        async def one(part: Part) -> None:
            number = part.offset // self._part_bytes + 1
            await self._note(number, await send(number, part))

        await several(missing(), self._job.settings.exports.parts_at_once, one)
        return [one for one in self._answered[:count] if one is not None]

    def _has(self, number: int, part: Part) -> bool:
        known = self._answered[number - 1] if number <= len(self._answered) else None
        return known is not None and known[1] == part.sha256

    async def _note(self, number: int, answer: Answered) -> None:
        """Keep an answer; one after the other, so that no older note ends up over a newer one."""
        async with self._turn:
            missing = number - len(self._answered)
            self._answered.extend([None] * missing)
            self._answered[number - 1] = answer
            count = sum(1 for one in self._answered if one is not None)
            await self._job.remember(self._resume, min(self._job.reading.size, count * self._part_bytes))


async def several(parts: AsyncIterator[Part], at_once: int, send: Callable[[Part], Awaitable[None]]) -> None:
    """Send parts, so many at a time; the next one is read and digested meanwhile.

    After a failure that may pass no further part is begun, and those on their way may still arrive.

    Raises:
        Failure: The first one.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        async for part in parts:
            await _until(running, at_once - 1)
            running.add(asyncio.ensure_future(send(part)))
        await _until(running, 0)
    except Failure as failure:
        if failure.is_retryable():
            await asyncio.gather(*running, return_exceptions=True)
        raise
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _until(running: set[asyncio.Task[None]], most: int) -> None:
    """Wait until so few are under way; raises what one of them failed by."""
    while len(running) > most:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        running -= done
        await asyncio.gather(*done)
