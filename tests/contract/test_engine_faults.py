"""What a job engine may do wrong, done to it: the rows decide, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest
from pgqueuer.domain.models import utc_now
from psycopg.pq import TransactionStatus

from fetcher.engine.pgqueuer import PgqueuerEngine, jobs
from fetcher.engine.pgqueuer import engine as engine_module
from fetcher.engine.pgqueuer.driver import ConnectionDriver
from fetcher.engine.values import Host, Signal
from fetcher.index.postgres.index import Index
from fetcher.index.postgres.session import Session
from fetcher.index.values import Worker
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.index.conftest import make

PATIENT_SECONDS = 60


class Listener:
    """A host that listens, and takes what it is woken for where it may."""

    def __init__(self, name: str, index: Index, engine: PgqueuerEngine, *, takes: bool = True) -> None:
        self.name = name
        self.index = index
        self.engine = engine
        self.woken: list[str] = []
        self.won: list[str] = []
        self._takes = takes
        self._moved = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        engine.watch(self._on_signal)

    def _on_signal(self, signal: Signal) -> None:
        if signal.what == "import" and signal.state == "queued" and signal.wakes:
            self.woken.append(signal.id)
            self._tasks.add(asyncio.create_task(self._take(signal.id)))
        if signal.what == "missed":
            self._tasks.add(asyncio.create_task(self._take_all()))
        self._moved.set()

    async def _take_all(self) -> None:
        for record, _secrets in await self.engine.queued():
            await self._take(record.id)

    async def _take(self, import_id: str) -> None:
        if self._takes and await self.index.imports.claim(import_id, utc_now()) is not None:
            self.won.append(import_id)
        self._moved.set()

    async def until(self, has: "list[str]", import_id: str) -> None:
        """Wait until an import is in one of this host's lists."""
        async with asyncio.timeout(PATIENT_SECONDS):
            while import_id not in has:
                self._moved.clear()
                await self._moved.wait()


@asynccontextmanager
async def listening(place: PostgresPlace, name: str, *, takes: bool = True) -> AsyncIterator[Listener]:
    """A host whose engine dispatches."""
    worker = Worker(name=name, lease_seconds=60)
    host = Host(name=name, start=name, engine="pgqueuer", lease_seconds=60)
    async with place.open(worker=worker) as index, PgqueuerEngine(index.connection, host) as engine:
        listener = Listener(name, index, engine, takes=takes)
        task = asyncio.create_task(engine.listen())
        try:
            async with asyncio.timeout(PATIENT_SECONDS):
                while not engine._is_dispatching:
                    await asyncio.sleep(0.02)
            yield listener
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def place(databases: PostgresPlaces) -> PostgresPlace:
    """An empty database."""
    return databases.new()


def admin(place: PostgresPlace, sql: str) -> list[tuple[object, ...]]:
    """Do what an operator, or a fault, does to the database."""
    with psycopg.connect(place.url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


async def submit(index: Index) -> str:
    """Submit an import; its job goes with it."""
    return (await index.imports.submit(make(), max_queued=100)).id


async def test_one_host_is_woken_for_an_import(place: PostgresPlace) -> None:
    """Of two hosts one gets the job, and what it begins at once is offered to nobody."""
    async with place.open() as index, listening(place, "a") as first, listening(place, "b") as second:
        index.connection.on_queued = jobs.enqueue
        made = [await submit(index) for _ in range(10)]
        for one in made:
            async with asyncio.timeout(PATIENT_SECONDS):
                while one not in first.won + second.won:
                    await asyncio.sleep(0.01)
        assert sorted(first.won + second.won) == sorted(made)


async def test_a_job_counts_with_its_import(place: PostgresPlace) -> None:
    """A submission that is taken back leaves no job, and one that counts has one."""
    async with listening(place, "a"):
        pass  # The tables are there.
    async with place.open() as index:
        index.connection.on_queued = jobs.enqueue
        with pytest.raises(Exception, match="queue"):
            await index.imports.submit(make(), max_queued=0)
        assert admin(place, "SELECT count(*) FROM pgqueuer.pgqueuer") == [(0,)]
        await submit(index)
        assert admin(place, "SELECT count(*) FROM pgqueuer.pgqueuer") == [(1,)]


async def test_what_a_host_does_not_begin_is_offered_to_all(place: PostgresPlace) -> None:
    """A host without room, or one that may not join, holds an import back for a moment only."""
    async with (
        place.open() as index,
        listening(place, "a", takes=False) as full,
        listening(place, "b") as free,
    ):
        index.connection.on_queued = jobs.enqueue
        for _ in range(4):
            made = await submit(index)
            await free.until(free.won, made)
        assert full.won == []


async def test_a_job_that_comes_twice_or_late_is_run_once(place: PostgresPlace) -> None:
    """The claim decides: of all deliveries of an import one begins it."""
    async with place.open() as index, listening(place, "a") as first, listening(place, "b") as second:
        index.connection.on_queued = jobs.enqueue
        made = await submit(index)
        async with asyncio.timeout(PATIENT_SECONDS):
            while made not in first.won + second.won:
                await asyncio.sleep(0.01)
        await index.connection.write(lambda db: jobs.enqueue(db, [made] * 5))
        async with asyncio.timeout(PATIENT_SECONDS):
            while admin(place, "SELECT count(*) FROM pgqueuer.pgqueuer") != [(0,)]:
                await asyncio.sleep(0.02)
        assert (first.won + second.won).count(made) == 1


async def test_a_job_that_is_lost_is_found(place: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emptied tables lose every job: a sweep finds the imports within two of its intervals."""
    monkeypatch.setattr(engine_module, "SWEEP_SECONDS", 0.5)
    async with place.open() as index, listening(place, "a") as first:
        lost = await submit(index)  # By a host that enqueues nothing.
        await first.until(first.won, lost)

        async def enqueue_and_lose(db: Session, import_ids: Sequence[str]) -> None:
            await jobs.enqueue(db, import_ids)
            assert await db.execute("DELETE FROM pgqueuer.pgqueuer") == 1

        index.connection.on_queued = enqueue_and_lose
        found = await submit(index)
        await first.until(first.won, found)
        assert first.won == [lost, found]


async def test_tables_that_are_gone_stop_nothing(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission goes through without its job, is offered to all, and the tables are made anew."""
    monkeypatch.setattr(engine_module, "SWEEP_SECONDS", 0.5)
    async with place.open() as index, listening(place, "a") as first:
        index.connection.on_queued = jobs.enqueue
        admin(place, "DROP SCHEMA pgqueuer CASCADE")
        made = await submit(index)
        await first.until(first.won, made)
        async with asyncio.timeout(PATIENT_SECONDS):
            while admin(place, "SELECT to_regclass('pgqueuer.pgqueuer') IS NULL") == [(True,)]:
                await asyncio.sleep(0.05)
            while first.engine.troubles or not first.engine._is_dispatching:
                await asyncio.sleep(0.05)
        assert first.won == [made]


async def test_locked_tables_hold_no_submission(place: PostgresPlace) -> None:
    """Who waits for pgqueuer's tables waits a second, and then submits without it."""
    async with place.open() as index, listening(place, "a") as first:
        index.connection.on_queued = jobs.enqueue
        with psycopg.connect(place.url) as other:
            other.execute("LOCK TABLE pgqueuer.pgqueuer IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(PATIENT_SECONDS):
                made = await submit(index)
            await first.until(first.woken, made)
            assert other.info.transaction_status is TransactionStatus.INTRANS  # It still has its lock.


async def test_a_connection_that_is_cut_is_made_anew(place: PostgresPlace) -> None:
    """While pgqueuer does not run, each import wakes this host, and it says so; then it runs again."""
    async with place.open() as index, listening(place, "a") as first:
        index.connection.on_queued = jobs.enqueue
        before = first.engine._driver
        admin(place, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        made = await submit(index)
        await first.until(first.won, made)
        async with asyncio.timeout(PATIENT_SECONDS):
            while first.engine._driver in (None, before):
                await asyncio.sleep(0.05)
            while first.engine.troubles:
                await asyncio.sleep(0.05)
        assert first.won == [made]


async def test_a_later_schema_is_left_as_it_is(place: PostgresPlace) -> None:
    """A host with an earlier pgqueuer changes nothing that a later one made, and uses what fits."""
    async with listening(place, "a"):
        admin(place, "COMMENT ON SCHEMA pgqueuer IS '999.0.0'")
        admin(place, "ALTER TABLE pgqueuer.pgqueuer ADD COLUMN from_later text")
    async with place.open() as index, listening(place, "a") as again:
        index.connection.on_queued = jobs.enqueue
        made = await submit(index)
        await again.until(again.won, made)
    assert admin(place, "SELECT obj_description('pgqueuer'::regnamespace)") == [("999.0.0",)]


async def test_a_schema_that_does_not_fit_is_gone_without(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that cannot use the tables is woken for every import, and says what is wrong."""
    monkeypatch.setattr(engine_module, "AGAIN_SECONDS", 0.05)
    async with listening(place, "a"):
        admin(place, "COMMENT ON SCHEMA pgqueuer IS '999.0.0'")
    admin(place, "ALTER TABLE pgqueuer.pgqueuer RENAME COLUMN heartbeat TO pulse")
    host = Host(name="b", start="1", engine="pgqueuer")
    async with place.open() as index, PgqueuerEngine(index.connection, host) as engine:
        listener = Listener("b", index, engine)
        task = asyncio.create_task(engine.listen())
        async with asyncio.timeout(PATIENT_SECONDS):
            while not engine.troubles:
                await asyncio.sleep(0.02)
        made = await submit(index)
        await listener.until(listener.won, made)
        assert listener.won == [made]
        task.cancel()
        await asyncio.wait({task})


async def test_a_dead_hosts_job_goes_to_another(place: PostgresPlace) -> None:
    """A job that a host had taken when it died is not given to anybody: a sweep finds its import."""
    async with listening(place, "b") as second, place.open() as index:
        made = await submit(index)
        columns = "INSERT INTO pgqueuer.pgqueuer (priority, created, updated, status, entrypoint, payload)"
        admin(place, f"{columns} VALUES (0, now(), now(), 'picked', 'import', '{made}')")
        await second.until(second.won, made)
        assert second.won == [made]


def test_versions_are_compared_by_number() -> None:
    """Ten is later than nine."""
    assert jobs.is_later("1.10.0", "1.9.3")
    assert not jobs.is_later("", "1.6.0")
    assert not jobs.is_later("1.6.0", "1.6.0")


async def test_a_driver_hands_over_what_is_heard(place: PostgresPlace) -> None:
    """Each channel has its own listeners."""
    async with await psycopg.AsyncConnection.connect(place.url, autocommit=True) as connection:
        driver = ConnectionDriver(connection)
        heard: list[object] = []
        await driver.add_listener("one", heard.append)
        driver.dispatch("one", "1")
        driver.dispatch("two", "2")
        await driver.notify("one", "3")
        assert heard == ["1"]
        async with driver:
            assert not driver.shutdown.is_set()
        assert driver.shutdown.is_set()
