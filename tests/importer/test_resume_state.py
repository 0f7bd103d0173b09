"""When the row of a pull is written: when there is something to tell, and now and then in any case."""

import asyncio

import msgspec
import pytest

from fetcher.errors import StoreFailed
from fetcher.importer.resume_state import NEWS_BYTES, QUIET_TURNS, ResumeStateWriter
from fetcher.index.values import ResumeState

BEGUN = ResumeState(id="1", request="r")
NEWS = {
    "nothing": ({}, False),
    "a little time": ({"spent_seconds": QUIET_TURNS * 5.0 - 0.1}, False),
    "a long time": ({"spent_seconds": QUIET_TURNS * 5.0}, True),
    "a few bytes": ({"spent_bytes": NEWS_BYTES - 1}, False),
    "many bytes": ({"spent_bytes": NEWS_BYTES}, True),
    "a validator": ({"validator": '"1"'}, True),
    "durable bytes": ({"kept_bytes": 4096}, True),
    "a failed attempt": ({"consecutive_failures": 1}, True),
}


class Scheduler:
    """Takes the rows."""

    def __init__(self) -> None:
        self.pulls = self
        self.rows: list[ResumeState] = []

    async def keep(self, resume_state: ResumeState) -> None:
        self.rows.append(resume_state)


class Attempts:
    """An attempt that stands where the test says."""

    def __init__(self, resume_state: ResumeState) -> None:
        self._resume_state = resume_state

    def resume_state(self) -> ResumeState:
        return self._resume_state


@pytest.mark.parametrize("name", NEWS)
async def test_silent_sources_are_no_reason_to_write(name: str) -> None:
    """Two hundred sources that hold their imports would otherwise be forty writes a second."""
    changes, is_news = NEWS[name]
    keeping = ResumeStateWriter(Scheduler(), BEGUN, 5.0)
    assert keeping._is_news(msgspec.structs.replace(BEGUN, **changes)) is is_news


async def test_a_mark_is_written_at_once() -> None:
    """Whatever else there is to tell: bytes that are noted beside the file can be gone on from."""
    pulls = Scheduler()
    keeping = ResumeStateWriter(pulls, BEGUN, 3600.0)
    keeping.mark()
    saving = asyncio.create_task(keeping.save_often(Attempts(BEGUN)))
    async with asyncio.timeout(5):
        while not pulls.rows:
            await asyncio.sleep(0)
    saving.cancel()
    assert pulls.rows == [BEGUN]


async def test_one_refused_write_does_not_end_the_saving() -> None:
    """An index that is locked for a moment costs one row, not all later ones of the pull."""

    class Locked(Scheduler):
        async def keep(self, resume_state: ResumeState) -> None:
            self.tries = getattr(self, "tries", 0) + 1
            if self.tries == 1:
                raise StoreFailed(reason="index: database is locked")
            await super().keep(resume_state)

    pulls = Locked()
    keeping = ResumeStateWriter(pulls, BEGUN, 0.01)
    keeping.mark()
    saving = asyncio.create_task(keeping.save_often(Attempts(BEGUN)))
    async with asyncio.timeout(30):
        while not pulls.rows and not saving.done():
            await asyncio.sleep(0.005)
    assert pulls.rows == [BEGUN]
    saving.cancel()
    await asyncio.wait({saving})
