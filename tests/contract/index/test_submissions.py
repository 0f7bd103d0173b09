"""Many submissions at the same moment, on one index and on several: each is as if it were alone."""

import asyncio
from collections import Counter

import msgspec
import psycopg
import pytest

from fetcher.errors import IdempotencyMismatch, QueueFull, QuotaExceeded, Shortage
from fetcher.index.postgres.access import Access
from fetcher.index.postgres.index import Index as PostgresIndex
from fetcher.index.protocol import Index
from fetcher.index.values import IdempotencyKey, NewImport, Quota
from fetcher.lifecycle import State
from fetcher.model import Image, Import
from tests.contract.index.places import Place
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.index.conftest import ADMIN, ALICE, BOB, image, make

MANY = 150


async def all_of(*asked: asyncio.Task[Import]) -> list[Import | BaseException]:
    """Wait for all; a refusal stands where its import would."""
    return await asyncio.gather(*asked, return_exceptions=True)


def begin(index: Index, new: NewImport, max_queued: int = 10_000) -> asyncio.Task[Import]:
    """Submit in a task of its own."""
    return asyncio.create_task(index.imports.submit(new, max_queued=max_queued))


def given(new: NewImport, there: Image) -> NewImport:
    """Have a submission bring the bytes of an image that is there."""
    record = msgspec.structs.replace(new.record, image_id=there.id, owns_image=False)
    return msgspec.structs.replace(new, record=record, image=there)


def names(found: list[Import | BaseException]) -> Counter[str]:
    """Count imports and refusals."""
    return Counter(type(one).__name__ for one in found)


async def test_each_is_written_once_and_comes_back_as_itself(place: Place) -> None:
    """Imports of two projects come to two processes at once; the trail tells of each, in one chain."""
    news = [make(BOB if number % 3 else ALICE, number) for number in range(MANY)]
    async with place.open() as first, place.open() as second:
        sides = (first, second)
        found = await all_of(*(begin(sides[number % 2], new) for number, new in enumerate(news)))
        assert [one.id for one in found if isinstance(one, Import)] == [new.record.id for new in news]
        for new in news:
            kept = await first.imports.find(new.record.id, ADMIN)
            assert (kept.project_id, kept.image_id) == (new.record.project_id, new.record.image_id)
            image = await first.images.find(new.record.image_id, ADMIN)
            assert (image.tags, image.properties) == (("t",), {"p": "v"})
        report = await first.audit.verify()
        assert (report.lines, report.faults) == (MANY, [])


async def test_one_key_makes_one_import_whoever_is_asked(place: Place) -> None:
    """Ten keys are used fifteen times each, at two processes at once."""
    keys = [IdempotencyKey(key=f"k{number % 10}", fingerprint="f") for number in range(MANY)]
    async with place.open() as first, place.open() as second:
        sides = (first, second)
        asked = [begin(sides[number // 10 % 2], make(key=key)) for number, key in enumerate(keys)]
        found = [one for one in await all_of(*asked) if isinstance(one, Import)]
        assert len(found) == MANY
        for number in range(10):
            assert len({one.id for one in found[number::10]}) == 1
        assert await first.imports.counts() == {"queued": 10}


async def test_a_refusal_is_its_own(place: Place) -> None:
    """Two with a key that stands for something else are refused; all beside them are written."""
    known = IdempotencyKey(key="k", fingerprint="f")
    wrong = IdempotencyKey(key="k", fingerprint="g")
    async with place.open() as index:
        await index.imports.submit(make(key=known), max_queued=MANY)
        news = [make(key=wrong if number in {7, 70} else None) for number in range(100)]
        found = await all_of(*(begin(index, new) for new in news))
        assert isinstance(found[7], IdempotencyMismatch)
        assert isinstance(found[70], IdempotencyMismatch)
        assert names(found)["Import"] == 98
        assert await index.imports.counts() == {"queued": 99}


async def test_the_queue_is_full_to_the_import(place: Place) -> None:
    """Two processes fill it at once, and stop at its bound."""
    async with place.open() as first, place.open() as second:
        sides = (first, second)
        asked = [begin(sides[number % 2], make(), max_queued=70) for number in range(MANY)]
        assert names(await all_of(*asked)) == {"Import": 70, QueueFull.__name__: MANY - 70}
        assert await first.imports.counts() == {"queued": 70}


async def test_a_quota_is_full_to_the_image_and_harms_nobody_else(place: Place) -> None:
    """One project asks for more than it may have while another asks for what it may."""

    def quota(project_id: str) -> Quota:
        return Quota(max_images=20 if project_id == ALICE.project_id else MANY, max_bytes=10**9)

    async with place.open(quota) as first, place.open(quota) as second:
        sides = (first, second)
        asked = [begin(sides[n % 4 // 2], make(ALICE if n % 2 else BOB)) for n in range(MANY)]
        found = await all_of(*asked)
        assert names(found[::2]) == {"Import": MANY // 2}
        assert names(found[1::2]) == {"Import": 20, QuotaExceeded.__name__: MANY // 2 - 20}
        assert await first.imports.counts() == {"queued": MANY // 2 + 20}


@pytest.fixture
def database(databases: PostgresPlaces) -> PostgresPlace:
    """An empty database of PostgreSQL."""
    return databases.new()


async def held_up(
    database: PostgresPlace, index: PostgresIndex, *news: NewImport
) -> list[asyncio.Task[Import]]:
    """Submit while the table is locked; return when one transaction waits for it, and all others for that."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'imports'::regclass"
        asked = [begin(index, news[0])]
        while connection.execute(sql).fetchone() == (0,):
            await asyncio.sleep(0.01)
    asked += [begin(index, new) for new in news[1:]]
    await asyncio.sleep(0)  # Each of them asks.
    return asked


async def test_those_who_wait_are_written_together(database: PostgresPlace) -> None:
    """What comes while a transaction waits is in few further ones."""
    async with database.open() as index:
        with psycopg.connect(database.url) as blocker:
            blocker.execute("LOCK TABLE imports IN ACCESS EXCLUSIVE MODE")
            asked = await held_up(database, index, *(make() for _ in range(MANY)))
        assert names(await all_of(*asked)) == {"Import": MANY}
        with psycopg.connect(database.url) as connection:
            written = connection.execute("SELECT count(DISTINCT xmin::text) FROM imports").fetchone()
        assert written is not None
        assert written[0] <= 1 + MANY // 64 + 1


async def test_those_who_come_before_a_hosts_turn_are_in_its_transaction(database: PostgresPlace) -> None:
    """Another host has the turn; all that came by the end of it are written at once."""
    async with database.open() as index:
        with psycopg.connect(database.url) as other:
            other.execute("SELECT pg_advisory_xact_lock(hashtextextended('submissions', 0))")
            asked = [begin(index, make())]
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            while other.execute(waits).fetchone() == (0,):
                await asyncio.sleep(0.01)
            asked += [begin(index, make()) for _ in range(50)]
            await asyncio.sleep(0)  # Each of them asks.
        assert names(await all_of(*asked)) == {"Import": 51}
        with psycopg.connect(database.url) as connection:
            assert connection.execute("SELECT count(DISTINCT xmin::text) FROM imports").fetchone() == (1,)


async def test_refusals_do_not_part_those_beside_them(database: PostgresPlace) -> None:
    """Those of a project without room, and of keys that stand for something else, are told beside it."""
    known, wrong = IdempotencyKey(key="k", fingerprint="f"), IdempotencyKey(key="k", fingerprint="g")

    def quota(project_id: str) -> Quota:
        return Quota(max_images=3 if project_id == ALICE.project_id else MANY, max_bytes=10**9)

    async with database.open(quota) as index:
        await index.imports.submit(make(BOB, key=known), max_queued=MANY)
        news = [make(ALICE if n % 2 else BOB, n, key=wrong if n % 50 == 2 else None) for n in range(MANY)]
        with psycopg.connect(database.url) as blocker:
            blocker.execute("LOCK TABLE imports IN ACCESS EXCLUSIVE MODE")
            asked = await held_up(database, index, *news)
        found = names(await all_of(*asked))
        wrongs = len(range(2, MANY, 50))
        refused = {QuotaExceeded.__name__: MANY // 2 - 3, IdempotencyMismatch.__name__: wrongs}
        assert found == {"Import": MANY // 2 + 3 - wrongs, **refused}
        with psycopg.connect(database.url) as connection:
            written = connection.execute("SELECT count(DISTINCT xmin::text) FROM imports").fetchone()
        assert written is not None
        assert written[0] <= 2 + MANY // 64 + 1 + wrongs  # Equal keys are of different groups.
        assert await index.maintenance.miscounted() == []
        assert (await index.audit.verify()).faults == []


async def test_a_full_queue_is_told_in_the_transaction_of_those_before(database: PostgresPlace) -> None:
    """Those who fit in are written together, and those behind them change nothing."""
    async with database.open() as index:
        with psycopg.connect(database.url) as blocker:
            blocker.execute("LOCK TABLE imports IN ACCESS EXCLUSIVE MODE")
            asked = [begin(index, make(), max_queued=70) for _ in range(MANY)]
            await asyncio.sleep(0)
        assert names(await all_of(*asked)) == {"Import": 70, QueueFull.__name__: MANY - 70}
        with psycopg.connect(database.url) as connection:
            written = connection.execute("SELECT count(DISTINCT xmin::text) FROM imports").fetchone()
        assert written is not None
        assert written[0] <= 3


async def test_a_quota_of_images_that_are_written_counts_those_of_the_same_transaction(place: Place) -> None:
    """Also beside those of images that are there already; what is refused says how many are written."""

    def quota(_project_id: str) -> Quota:
        return Quota(max_images=MANY, max_bytes=10**9, max_uploading=20)

    async with place.open(quota) as index:
        waiting = [image(number=number) for number in range(5)]
        for one in waiting:
            await index.images.create(one)
        theirs = [make(image=one) for one in waiting]
        found = await all_of(
            *(begin(index, new) for new in [make(number=number) for number in range(30)]),
            *(begin(index, given(new, one)) for new, one in zip(theirs, waiting, strict=True)),
        )
        assert names(found) == {"Import": 20, QuotaExceeded.__name__: 15}
        assert {one.used for one in found if isinstance(one, QuotaExceeded)} == {20}
        assert (await index.usage.find(ALICE.project_id)).uploading == 20


async def test_whoever_leaves_before_its_turn_has_submitted_nothing(database: PostgresPlace) -> None:
    """Those behind it are written all the same."""
    async with database.open() as index:
        with psycopg.connect(database.url) as blocker:
            blocker.execute("LOCK TABLE imports IN ACCESS EXCLUSIVE MODE")
            asked = await held_up(database, index, *(make() for _ in range(20)))
            asked[10].cancel()
            await asyncio.wait({asked[10]})
        assert names(await all_of(*asked)) == {"Import": 19, "CancelledError": 1}
        assert await index.imports.counts() == {"queued": 19}


async def test_a_database_that_goes_away_is_told_to_each(database: PostgresPlace) -> None:
    """Nobody waits for an answer that never comes, and what is submitted later is written."""
    name = database.url.rpartition("dbname=")[2].split()[0]
    async with PostgresIndex(Access(url=database.url, wait_seconds=3)) as index:
        with psycopg.connect(database.url, dbname="postgres", autocommit=True) as admin:
            with psycopg.connect(database.url) as blocker:
                blocker.execute("LOCK TABLE imports IN ACCESS EXCLUSIVE MODE")
                asked = await held_up(database, index, *(make() for _ in range(20)))
                admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
                ended = """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                           WHERE datname = %s AND pid <> %s"""
                admin.execute(ended, [name, blocker.info.backend_pid])
            found = await all_of(*asked)
            assert names(found) == {Shortage.__name__: 20}
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        assert (await index.imports.submit(make(), max_queued=100)).state is State.QUEUED
        assert await index.imports.counts() == {"queued": 1}
