"""How a test pulls: everything, with what came of it, and nothing left behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.model import Hop
from fetcher.transport import Gate, Source, SourceRequest


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a pull.

    Args:
        failure: None if it went through.
        body: What was read before it ended.
        seconds: How long it took.
    """

    failure: Failure | None
    body: bytes
    hops: list[Hop]
    source: Source | None
    seconds: float

    @property
    def code(self) -> str:
        """`ok`, or the failure's code."""
        return self.failure.code if self.failure else "ok"

    @property
    def told(self) -> str:
        """All that a submitter is told: code, text, advice and fields."""
        if self.failure is None:
            return "ok"
        public = self.failure.public()
        return f"{public.code} {public} {public.advice} {self.failure.public_fields()}"


async def attack(what: str | SourceRequest, settings: Settings, gate: Gate | None = None) -> Outcome:
    """Pull everything behind a URL; fail if anything stays open afterwards."""
    request = SourceRequest(url=what) if isinstance(what, str) else what
    outcome = Outcome(failure=None, body=b"", hops=[], source=None, seconds=0.0)
    parts: list[bytes] = []
    began = time.monotonic()
    async with nothing_left():
        try:
            async with (gate or Gate()).open(request, settings, outcome.hops.append) as source:
                outcome.source = source
                while chunk := await source.read():
                    parts.append(chunk)
        except Failure as failure:
            outcome.failure = failure
        outcome.seconds = time.monotonic() - began
    outcome.body = b"".join(parts)
    return outcome


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fail unless file descriptors and tasks are back where they were.

    The other end lives in this process too and closes a moment later, so a
    few rounds of the loop are granted.
    """
    before = (_descriptors(), _tasks())
    yield
    for _ in range(500):
        if (_descriptors(), _tasks()) == before:
            return
        await asyncio.sleep(0.002)
    assert (_descriptors(), _tasks()) == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _tasks() -> int:
    return len(asyncio.all_tasks())
