"""The exports of a day: what is kept of them is what a count of all rows says."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlite_utils.db import Database

from fetcher.errors import QueueFull, UnknownExport
from fetcher.index import Index
from fetcher.index.export_rows import RECENT
from fetcher.index.rows import to_text
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Export, ExportBounds
from fetcher.model import Actor
from tests.contract.index.test_exports import ALICE, BOB, SECRETS, START, export

DAY = timedelta(days=1)
EVER = 10**9


async def submit(index: Index, made: Export, max_made: int = EVER) -> None:
    bounds = ExportBounds(max_waiting=EVER, max_bytes=EVER, max_made=max_made, since=made.created_at - DAY)
    await index.exports.submit(made, SECRETS, bounds=bounds)


def rows(actor: Actor, since: datetime, index: Index) -> Callable[[Database], tuple[Any, Any]]:
    """Return a write that tells what is kept, and what there is."""

    def both(db: Database) -> tuple[Any, Any]:
        (counted,) = select(db, RECENT, [actor.project_id, to_text(since)])
        return index.exports._day.row(db, actor.project_id, since), counted

    return both


def owner(one: Export) -> Actor:
    return ALICE if one.project_id == ALICE.project_id else BOB


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_is_what_is_there(seed: int, tmp_path: Path) -> None:
    """Through submissions, ends, conversions, removals and a clock that jumps, both are the same."""
    chance = random.Random(seed)
    async with Index(tmp_path / "index.sqlite") as index, Index(tmp_path / "index.sqlite") as other:
        moment, made = START, []
        for _ in range(300):
            moment += timedelta(minutes=chance.choice([0, 1, 30, 300, -10]))
            actor = chance.choice([ALICE, BOB])
            one = msgspec.structs.replace(
                export(actor, size=chance.randrange(100)), created_at=moment, updated_at=moment
            )
            await submit(chance.choice([index, index, index, other]), one)
            made.append(one)
            kept, counted = await index.connection.write(rows(actor, moment - DAY, index))
            assert kept == counted
            what, some = chance.randrange(8), chance.choice(made)
            if what == 0:
                with suppress(UnknownExport):
                    await index.exports.cancel(some.id, owner(some), moment)
            elif what == 1 and (claimed := await index.exports.claim(some.id, moment)) is not None:
                await index.exports.record(msgspec.structs.replace(claimed[0], size=chance.randrange(100)))
            elif what == 2:
                await index.exports.trim(moment - DAY, 5)
            elif what == 3:
                await index.exports.forget(moment - timedelta(hours=3))
            kept, counted = await index.connection.write(rows(owner(some), moment - DAY, index))
            assert kept == counted


async def test_i26_a_submission_costs_no_more_for_those_before_it(tmp_path: Path) -> None:
    """Taken or not, one takes as many steps of SQLite after 3,000 of the day as after 30."""
    steps: list[int] = []

    def count(db: Database) -> None:
        db.conn.set_progress_handler(lambda: steps.append(1) or 0, 100)  # type: ignore[func-returns-value] # goes on

    async def cost(number: int, max_made: int = EVER) -> int:
        before = len(steps)
        with suppress(QueueFull):
            await submit(index, export(number=number), max_made)
        return len(steps) - before

    async with Index(tmp_path / "index.sqlite") as index:
        await index.connection.write(count)
        for number in range(30):
            await submit(index, export(number=number))
        few = max([await cost(30 + number) for number in range(5)])
        for begin in range(40, 3040, 250):
            some = [export(number=begin + number) for number in range(250)]
            await asyncio.gather(*(submit(index, one) for one in some))
            await asyncio.gather(*(index.exports.cancel(one.id, ALICE, START) for one in some))
        assert min([await cost(4000 + number) for number in range(5)]) <= 2 * few + 5
        assert min([await cost(4005 + number, max_made=3) for number in range(5)]) <= 2 * few + 5
