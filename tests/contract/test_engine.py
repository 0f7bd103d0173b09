"""What every engine promises, held against each; what several hosts need, against the one that has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import msgspec
import psycopg
import pytest

from fetcher.engine import LocalEngine
from fetcher.engine.leading import led
from fetcher.engine.pgqueuer import PgqueuerEngine
from fetcher.engine.postgres import PostgresEngine
from fetcher.engine.postgres.engine import read
from fetcher.engine.protocol import Engine
from fetcher.engine.values import Caps, Elsewhere, Host, Place, Progress, Signal
from fetcher.index.postgres.session import Session
from fetcher.index.values import Waiting, Worker
from fetcher.model import Phase
from fetcher.store.digest_locks import DigestLocks
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.index.conftest import make

ENGINES: dict[str, type[PostgresEngine]] = {"postgres": PostgresEngine, "pgqueuer": PgqueuerEngine}
MANY = Caps(project=100, origin=100)
STARTS = count()


@asynccontextmanager
async def host(place: PostgresPlace, name: str, lease_seconds: float = 60.0) -> AsyncIterator[PostgresEngine]:
    """A host with an index of its own on the same database."""
    worker = Worker(name=name, lease_seconds=lease_seconds)
    this = Host(name=name, start=str(next(STARTS)), engine=place.engine, lease_seconds=lease_seconds)
    kind = ENGINES[place.engine]
    async with place.open(worker=worker) as index, kind(index.connection, this) as engine:
        yield engine


@pytest.fixture(params=list(ENGINES))
def place(
    request: pytest.FixtureRequest,
    databases: PostgresPlaces,
) -> PostgresPlace:
    """An empty database, once for each engine on one."""
    made = databases.new()
    made.engine = request.param
    return made


@pytest.fixture(params=["local", *ENGINES])
async def engine(
    request: pytest.FixtureRequest,
    databases: PostgresPlaces,
) -> AsyncIterator[Engine]:
    """An engine that nobody else uses."""
    if request.param == "local":
        yield LocalEngine()
        return
    place = databases.new()
    place.engine = request.param
    async with host(place, "a") as made:
        yield made


@pytest.fixture
async def two(place: PostgresPlace) -> AsyncIterator[tuple[PostgresEngine, PostgresEngine]]:
    """Two hosts."""
    async with host(place, "a") as first, host(place, "b") as second:
        yield first, second


async def expire(engine: PostgresEngine, table: str, name: str) -> None:
    """Let a lease run out, as the database's clock would."""

    async def past(db: Session) -> None:
        sql = f"UPDATE {table} SET lease_until = clock_timestamp() - interval '1 s' WHERE name = ?"
        await db.execute(sql, [name])

    await engine._connection.write(past)


async def test_a_host_alone_does_everything(engine: Engine) -> None:
    """It lives, has room for its pulls, leads every chore, and nothing is left by others."""
    assert await engine.beat(3)
    place = Place(id="p1", project_id="p", origin="o", request="r")
    assert await engine.enter(place, MANY)
    assert await engine.move("p1", "mirror", 1)
    await engine.seal("p1")
    assert await engine.elsewhere() == Elsewhere()
    await engine.leave("p1")
    assert await engine.leads("maintenance")
    assert await engine.leads("maintenance")
    assert (await engine.overdue(), await engine.queued()) == ([], [])
    assert await engine.take_exports() == 0
    await engine.take_over(["unknown"])
    await engine.report_progress([Progress("i", 1, 2)])
    async with engine.across(DigestLocks().holding)("0" * 64):
        assert engine.host.name


async def test_work_that_a_lone_host_leads_just_runs(engine: Engine) -> None:
    """Whoever is alone begins at once."""
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()
        await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(led(engine, "chore", work)())
    await asyncio.wait_for(ran.wait(), 60)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


@pytest.mark.parametrize("ends_badly", [False, True])
async def test_who_is_stopped_while_a_chore_is_let_go_stops(
    place: PostgresPlace, *, ends_badly: bool
) -> None:
    """A chore that is another host's now takes a moment to end: a service that stops meanwhile does stop."""
    begun, ending, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ending.set()
            await may_end.wait()
            if ends_badly:
                raise ValueError("of no interest any more")

    async with host(place, "a", lease_seconds=0.3) as first, host(place, "b") as second:
        task = asyncio.create_task(led(first, "chore", work)())
        await asyncio.wait_for(begun.wait(), 60)
        await expire(first, "hosts", "a")
        await expire(first, "chores", "chore")
        assert await second.leads("chore")
        await asyncio.wait_for(ending.wait(), 60)
        task.cancel()
        await asyncio.sleep(0)
        may_end.set()
        done, _ = await asyncio.wait({task}, timeout=5)
        task.cancel()
        assert done
        assert task.cancelled()


async def test_one_request_is_pulled_by_one_host(two: tuple[PostgresEngine, PostgresEngine]) -> None:
    """Of a hundred that enter at once one does; the others may once it is sealed."""
    places = [Place(id=f"p{number}", project_id="p", origin="o", request="r") for number in range(100)]
    entered = await asyncio.gather(*(two[number % 2].enter(one, MANY) for number, one in enumerate(places)))
    assert sum(entered) == 1
    winner = entered.index(True)
    assert (await two[1 - winner % 2].elsewhere()).requests == {"r"}
    await two[winner % 2].seal(f"p{winner}")
    assert (await two[1 - winner % 2].elsewhere()).requests == frozenset()
    assert await two[0].enter(Place(id="next", project_id="p", origin="o", request="r"), MANY)


async def test_caps_hold_over_all_hosts(two: tuple[PostgresEngine, PostgresEngine]) -> None:
    """At the cap passes, one past it does not; what is left makes room."""
    first, second = two
    caps = Caps(project=3, origin=2)
    assert await first.enter(Place(id="1", project_id="p", origin="o"), caps)
    assert await second.enter(Place(id="2", project_id="p", origin="o"), caps)
    assert not await first.enter(Place(id="3", project_id="q", origin="o"), caps)
    assert await first.enter(Place(id="4", project_id="p", origin="other"), caps)
    assert not await second.enter(Place(id="5", project_id="p", origin="third"), caps)
    assert dict((await second.elsewhere()).by_project) == {"p": 2}
    await first.leave("1")
    assert await second.enter(Place(id="5", project_id="p", origin="o"), caps)


async def test_a_pull_that_moves_counts_at_its_new_origin(two: tuple[PostgresEngine, PostgresEngine]) -> None:
    """A pull without room counts at no origin meanwhile: two that change places do not wait for ever."""
    first, second = two
    caps = Caps(project=9, origin=1)
    assert await first.enter(Place(id="1", project_id="p", origin="o"), caps)
    assert await second.enter(Place(id="2", project_id="p", origin="q"), caps)
    assert not await first.move("1", "q", 1)
    assert dict((await second.elsewhere()).by_project) == {"p": 1}
    assert await second.move("2", "o", 1)
    assert await first.move("1", "q", 1)
    assert (await second.elsewhere()).by_origin["q"] == 1
    assert not await first.enter(Place(id="3", project_id="p", origin="o"), caps)
    await expire(second, "hosts", "b")
    assert await first.move("1", "o", 1)


async def test_a_host_whose_lease_is_over_holds_nothing(two: tuple[PostgresEngine, PostgresEngine]) -> None:
    """Its pulls count no more, its chores are another's, and it gets no room until it lives again."""
    first, second = two
    assert await first.enter(Place(id="1", project_id="p", origin="o", request="r"), MANY)
    assert await first.leads("chore")
    assert not await second.leads("chore")
    assert not await second.enter(Place(id="2", project_id="p", origin="o", request="r"), MANY)
    await expire(first, "hosts", "a")
    await expire(first, "chores", "chore")
    assert not await first.enter(Place(id="3", project_id="p", origin="o"), MANY)
    assert not await first.leads("chore")
    assert await second.enter(Place(id="2", project_id="p", origin="o", request="r"), MANY)
    assert await second.leads("chore")
    assert [one.is_alive for one in await second.hosts()] == [False, True]
    assert await first.beat(0)
    assert await first.enter(Place(id="3", project_id="p", origin="o"), MANY)
    assert not await first.leads("chore")


async def test_a_name_is_the_last_ones(place: PostgresPlace) -> None:
    """A second process of the same name makes the first find out that it is not meant any more."""
    async with host(place, "a") as first, host(place, "a") as second:
        assert not await first.beat(0)
        assert not await first.enter(Place(id="1", project_id="p", origin="o"), MANY)
        assert await second.beat(7)
        assert [(one.name, one.running) for one in await first.hosts()] == [("a", 7)]


async def test_a_host_that_leaves_is_missed_by_nobody(place: PostgresPlace) -> None:
    """What it had is free at once, and it stands in no list."""
    async with host(place, "b") as second:
        async with host(place, "a") as first:
            assert await first.enter(Place(id="1", project_id="p", origin="o", request="r"), MANY)
            assert await first.leads("chore")
        assert [one.name for one in await second.hosts()] == ["b"]
        assert await second.leads("chore")
        assert await second.enter(Place(id="2", project_id="p", origin="o", request="r"), MANY)


async def test_all_hosts_hear_of_what_counts(place: PostgresPlace) -> None:
    """An import is told of when its transaction has counted, with its claim; and so is progress, in parts."""
    heard: list[Signal] = []
    told = asyncio.Event()

    def on_signal(signal: Signal) -> None:
        heard.append(signal)
        told.set()

    async def until(what: str, count: int) -> list[Signal]:
        """The news of a kind since the last time."""
        async with asyncio.timeout(60):
            while len(found := [one for one in heard if one.what == what]) < count:
                told.clear()
                await told.wait()
        heard.clear()
        return found

    async with host(place, "a") as first, host(place, "b"), place.open() as index:
        first.watch(on_signal)
        listening = asyncio.create_task(first.listen())
        await until("missed", 1)
        record = await index.imports.submit(make(), max_queued=10)
        first_news = (await until("import", 1))[0]
        assert (first_news.id, first_news.state, first_news.claim) == (record.id, "queued", 0)
        progress = [
            Progress(f"{number:036}", number, 2**60, 2**60, 2**40, Phase.VERIFYING) for number in range(120)
        ]
        await first.report_progress(progress)
        assert [one for signal in await until("progress", 3) for one in signal.progress] == progress
        with psycopg.connect(place.url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        await until("missed", 1)
        listening.cancel()
        await asyncio.wait({listening})


async def test_all_hosts_hear_what_they_need_to_begin_imports(place: PostgresPlace) -> None:
    """Ahead of the import's own news, in as few notifications as hold them; one too long is left out."""
    heard: list[Signal] = []
    is_all = asyncio.Event()
    origins = [f"http://{number:03}.{'o' * 240}.example" for number in range(60)] + ["o" * 8000]
    news = [make(number=number) for number in range(len(origins))]
    told = [
        msgspec.structs.replace(
            new, waiting=Waiting(new.record.id, "alice", origin, "r" * 64, is_shared=True)
        )
        for new, origin in zip(news, origins, strict=True)
    ]

    def on_signal(signal: Signal) -> None:
        heard.append(signal)
        if sum(one.what == "import" for one in heard) == len(news):
            is_all.set()

    async with host(place, "a") as first, host(place, "b"), place.open() as index:
        first.watch(on_signal)
        listening = asyncio.create_task(first.listen())
        while not heard:
            await asyncio.sleep(0.01)
        await asyncio.gather(*(index.imports.submit(new, max_queued=100) for new in told))
        await asyncio.wait_for(is_all.wait(), 60)
        listening.cancel()
        await asyncio.wait({listening})
    hints = [one for signal in heard if signal.what == "waiting" for one in signal.waiting]
    assert sorted(hints, key=lambda one: one.origin) == [new.waiting for new in told[:-1]]
    assert sum(signal.what == "waiting" for signal in heard) <= 6
    known: set[str] = set()
    for signal in heard:
        known.update(one.import_id for one in signal.waiting)
        if signal.what == "import":
            assert signal.id in known or signal.id == news[-1].record.id


@pytest.mark.parametrize(
    "payload",
    ["", "new thing", "import a", "import a queued x", "progress {", "progress [[]]", "waiting [[1]]"],
)
def test_what_a_later_version_tells_is_passed_over(payload: str) -> None:
    """Two versions run side by side in an upgrade."""
    assert read(payload) is None


async def test_what_nobody_holds_is_taken_over_once(place: PostgresPlace) -> None:
    """A run is left alone while its lease holds; then it waits again, and late writes change nothing."""
    worker = Worker(name="a", lease_seconds=60)
    async with place.open(worker=worker) as index, host(place, "b") as second, host(place, "c") as third:
        record = await index.imports.submit(make(), max_queued=10)
        claimed = await index.imports.claim(record.id, record.created_at)
        assert claimed is not None
        assert await second.overdue() == []
        await second.take_over([record.id])
        assert await second.queued() == []
        with psycopg.connect(place.url, autocommit=True) as admin:
            admin.execute("UPDATE imports SET lease_until = clock_timestamp() - interval '1 s'")
        assert [one.id for one, _secrets in await second.overdue()] == [record.id]
        await asyncio.gather(second.take_over([record.id]), third.take_over([record.id]))
        [(again, secrets)] = await third.queued([record.id])
        assert (again.claim, secrets.url) == (claimed[0].claim + 1, claimed[1].url)
        assert not await index.imports.record(claimed[0])
        assert await index.imports.renew({record.id: claimed[0].claim}) == [record.id]


async def test_the_same_bytes_are_one_hosts_at_a_time(two: tuple[PostgresEngine, PostgresEngine]) -> None:
    """Commit and removal are kept apart over all hosts; a host that loses its connection loses its lock."""
    first, second = two
    order: list[str] = []
    inside = asyncio.Event()

    async def hold(engine: PostgresEngine, name: str) -> None:
        async with engine.across(DigestLocks().holding)("f" * 64):
            order.append(f"{name} in")
            inside.set()
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    holder = asyncio.create_task(hold(first, "first"))
    await inside.wait()
    await asyncio.wait_for(hold(second, "second"), 60)
    await holder
    assert order == ["first in", "first out", "second in", "second out"]


async def test_who_is_cancelled_while_it_asks_for_bytes_holds_none(
    two: tuple[PostgresEngine, PostgresEngine],
) -> None:
    """The database may have given the lock by then: it is given back, whenever the cancellation comes."""
    first, second = (engine.across(DigestLocks().holding) for engine in two)

    async def hold() -> None:
        async with first("0" * 64):
            await asyncio.sleep(60)

    assert await two[0].beat(0)  # The connection is made, and what follows takes few turns of the loop.
    for ticks in range(30):
        task = asyncio.create_task(hold())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=30)
        assert task.cancelled()
        async with asyncio.timeout(30), second("0" * 64):
            pass


async def test_a_silent_host_lets_go_of_what_it_locked(place: PostgresPlace) -> None:
    """The database ends the session of a host that is not heard of for a lease: nothing stays locked."""
    holders = []
    async with (
        asyncio.timeout(60),
        host(place, "a", lease_seconds=0.3) as frozen,
        host(place, "b") as second,
        frozen.across(DigestLocks().holding)("e" * 64),
    ):
        holders.append("frozen")  # And it never lets go by itself: this block is the inner one.
        async with second.across(DigestLocks().holding)("e" * 64):
            holders.append("second")
    assert holders == ["frozen", "second"]


async def test_all_hosts_have_one_key(two: tuple[PostgresEngine, PostgresEngine]) -> None:
    """The first one that is given counts for all, until somebody who knows it gives another."""
    first, second = two
    assert await first.shared("k") is None
    given = await asyncio.gather(first.share("k", None, b"1"), second.share("k", None, b"2"))
    assert len(set(given)) == 1
    assert await second.shared("k") == given[0]
    assert await second.share("k", b"another", b"3") == given[0]
    assert await second.share("k", given[0], b"4") == await first.shared("k") == b"4"


async def test_a_lone_hosts_key_is_its_own() -> None:
    """It is kept where that host keeps it."""
    assert await LocalEngine().shared("k") is None
    assert await LocalEngine().share("k", None, b"1") == b"1"
