"""The exports of a day: what an index keeps of them, and holds submissions to, is what its rows say."""

import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from fetcher.errors import QueueFull, SendLimit, UnknownExport
from fetcher.index.postgres.session import Session
from fetcher.index.protocol import Index
from fetcher.index.rows import to_text
from fetcher.index.values import Export, ExportBounds
from fetcher.model import Actor
from tests.contract.index.places import Place
from tests.contract.index.postgres import PostgresPlaces
from tests.contract.index.test_exports import ALICE, BOB, SECRETS, START, export

DAY = timedelta(days=1)
EVER = 10**9


async def submit(index: Index, made: Export, *, max_bytes: int = EVER, max_made: int = EVER) -> None:
    bounds = ExportBounds(
        max_waiting=EVER, max_bytes=max_bytes, max_made=max_made, since=made.created_at - DAY
    )
    await index.exports.submit(made, SECRETS, bounds=bounds)


async def day_of(index: Index, actor: Actor, since: datetime) -> tuple[int, int]:
    """Return the number and bytes of a project's exports since a moment, by its list."""
    listed = await index.exports.page(actor, limit=1000)
    sizes = [one.size for one in listed if one.created_at > since]
    return len(sizes), sum(sizes)


async def held_to(index: Index, probe: Export) -> tuple[int, int]:
    """Return what an index holds a project to: found out by submissions that it refuses."""
    number, _size = await day_of(index, OWNERS[probe.project_id], probe.created_at - DAY)
    if number:
        with pytest.raises(QueueFull):
            await submit(index, probe, max_made=number)
    with pytest.raises(SendLimit) as refused:  # So the bound on their number let it pass.
        await submit(index, probe, max_made=number + 1, max_bytes=-1)
    return number, refused.value.used_bytes


OWNERS = {actor.project_id: actor for actor in (ALICE, BOB)}


@pytest.mark.parametrize("seed", range(3))
async def test_i26_what_is_kept_of_a_day_is_what_is_there(seed: int, place: Place) -> None:
    """Through submissions, ends, conversions, removals, two processes and a clock that jumps."""
    chance = random.Random(seed)
    async with place.open() as index, place.open() as other:
        moment, made = START, []
        for _ in range(60):
            moment += timedelta(minutes=chance.choice([0, 1, 30, 300, -10]))
            one = msgspec.structs.replace(
                export(chance.choice([ALICE, BOB]), size=chance.randrange(100)),
                created_at=moment,
                updated_at=moment,
            )
            await submit(chance.choice([index, other]), one)
            made.append(one)
            await change(chance, chance.choice([index, other]), chance.choice(made), moment)
            some = OWNERS[chance.choice(made).project_id]
            probe = msgspec.structs.replace(export(some), created_at=moment)
            assert await held_to(chance.choice([index, other]), probe) == await day_of(
                index, some, moment - DAY
            )


async def change(chance: random.Random, index: Index, some: Export, moment: datetime) -> None:
    what = chance.randrange(8)
    if what == 0:
        with suppress(UnknownExport):
            await index.exports.cancel(some.id, OWNERS[some.project_id], moment)
    elif what == 1 and (claimed := await index.exports.claim(some.id, moment)) is not None:
        await index.exports.record(msgspec.structs.replace(claimed[0], size=chance.randrange(100)))
    elif what == 2:
        await index.exports.trim(moment - DAY, 5)
    elif what == 3:
        await index.exports.forget(moment - timedelta(hours=3))


async def pages_read(index: Any, since: datetime) -> int:
    """Return how many pages PostgreSQL looks at for what a submission is held to."""
    sql = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM exports_of_day(?, ?)"
    [row] = await index.connection.write(lambda db: db.select(sql, [ALICE.project_id, to_text(since)]))
    plan = row["QUERY PLAN"][0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


async def test_i26_a_submission_reads_no_more_for_those_before_it(databases: PostgresPlaces) -> None:
    """After 3,000 exports of the day as few pages as after 30."""

    async def more(db: Session, count: int) -> None:
        [row] = await db.select("SELECT * FROM exports LIMIT 1")
        await db.insert_all("exports", [{**row, "id": str(uuid4())} for _ in range(count)])

    async with databases.new().open() as index:
        await submit(index, export())
        read = []
        for count in (29, 2970):
            await index.connection.write(more, count)
            await pages_read(index, START - DAY)  # Whatever is counted now is kept for the next.
            read.append(await pages_read(index, START - DAY))
        assert read[1] <= read[0] + 10
        with pytest.raises(SendLimit) as refused:
            await submit(index, export(), max_bytes=-1)
        assert refused.value.used_bytes == 3000 * export().size


async def test_i26_a_sum_that_is_wrong_is_counted_anew(databases: PostgresPlaces) -> None:
    """Whatever became of it: a repair, or a move into the database, begins each day from its rows."""
    async with databases.new().open() as index:
        for _ in range(3):
            await submit(index, export())
        await index.connection.write(lambda db: db.execute("UPDATE export_days SET made = -7, size = 10 ^ 9"))
        await index.maintenance.recount()
        assert await held_to(index, export()) == (3, 3 * export().size)


async def test_i26_hosts_with_clocks_a_little_apart_count_no_day_anew(databases: PostgresPlaces) -> None:
    """A host that is 50 ms behind the one before it takes that one's sum, and the row is not written."""
    async with databases.new().open() as index:
        await submit(index, export())
        versions = set()
        for milliseconds in (50, 0, 50, 0):
            begins = to_text(START - DAY + timedelta(milliseconds=milliseconds))
            await index.connection.write(day_since, begins)
            [row] = await index.connection.read(
                lambda db: db.select("SELECT xmin::text AS v FROM export_days")
            )
            versions.add(row["v"])
        assert len(versions) == 1


async def day_since(db: Session, begins: str) -> None:
    await db.select("SELECT * FROM exports_of_day(?, ?)", [ALICE.project_id, begins])
