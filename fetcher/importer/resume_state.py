"""Writing down, while a pull goes on, what a later process would need to take it up."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from fetcher import crash
from fetcher.errors import StoreFailed
from fetcher.importer.download.attempts import Attempts
from fetcher.index.protocol import Index
from fetcher.index.values import ResumeState

log = structlog.get_logger()

# While next to nothing comes, a row would record the time alone: it is written every so many times then.
QUIET_TURNS = 6
NEWS_BYTES = 1_048_576


class ResumeStateWriter:
    """The row of one pull in the index: there while the pull goes on, if that takes long enough to matter.

    Args:
        kept: What an earlier process left, or a new id.
        save_seconds: How long the row is left as it is at most, when nothing calls for it earlier.
    """

    def __init__(self, index: Index, resume_state: ResumeState, save_seconds: float) -> None:
        self._index = index
        self._resume_state = resume_state
        self._save_seconds = save_seconds
        self._loop = asyncio.get_running_loop()
        self._marked = asyncio.Event()
        self._is_written = bool(resume_state.spent_seconds)
        self._saved = resume_state
        self._is_due = False  # The last write failed.
        self._has_waited = False
        self._work: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None

    def begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have work, which calls `save_often`, start at the first turn: a small body is whole before that."""
        self._work = work
        self._timer = self._loop.call_later(self._pause_seconds(), self._take_turn)

    async def end(self) -> None:
        """Write nothing more by itself."""
        self._work = None
        if self._timer is not None:
            self._timer.cancel()
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.wait({self._saving})

    def mark(self) -> None:
        """Have the row written soon; called from threads."""
        self._loop.call_soon_threadsafe(self._take_mark)

    def _take_mark(self) -> None:
        self._marked.set()
        self._go_on()

    def _take_turn(self) -> None:
        self._has_waited = True
        self._go_on()

    def _go_on(self) -> None:
        if self._work is not None and self._saving is None:
            self._saving = asyncio.create_task(self._work())

    def _pause_seconds(self) -> float:
        """Return how long to wait: a thousand pulls that began together do not all write at once."""
        return self._save_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    async def _wait(self) -> None:
        if self._has_waited:
            self._has_waited = False
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_seconds()):
                await self._marked.wait()

    async def save_often(self, attempts: Attempts) -> None:
        """Write the row again and again, until cancelled."""
        while True:
            await self._wait()
            is_marked = self._marked.is_set()
            self._marked.clear()
            resume_state = attempts.resume_state()
            if is_marked or self._is_news(resume_state):
                try:
                    await self.save(resume_state)
                except StoreFailed as failure:  # A later turn saves what is known then; the pull goes on.
                    log.warning("resume_state.unsaved", pull_id=resume_state.id, detail=str(failure))
                    self._is_due = True

    def _is_news(self, resume_state: ResumeState) -> bool:
        """Return whether more than the time has changed: silent sources are no reason to write."""
        last = self._saved
        if self._is_due:
            return True
        if resume_state.spent_seconds - last.spent_seconds >= QUIET_TURNS * self._save_seconds:
            return True
        spent = {"spent_seconds": last.spent_seconds, "spent_bytes": last.spent_bytes}
        is_same = msgspec.structs.replace(resume_state, **spent) == last
        return not is_same or resume_state.spent_bytes - last.spent_bytes >= NEWS_BYTES

    async def save(self, resume_state: ResumeState) -> None:
        """Write the row."""
        self._is_written = True  # A write that reports an error may count all the same.
        await self._index.pulls.keep(resume_state)
        self._saved, self._is_due = resume_state, False
        crash.reach("importer.kept")

    async def release(self, resume_state: ResumeState) -> None:
        """Write the row for the process that resumes the pull."""
        await self._index.pulls.release(resume_state)
        crash.reach("importer.kept")

    async def drop(self) -> None:
        """Remove the row, if there is one."""
        if self._is_written:
            await self._index.pulls.drop(self._resume_state.id)
