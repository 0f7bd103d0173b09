"""What PostgreSQL alone has: migrations by several hosts, connections that break, reads that take long."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from sqlite_utils.db import Database

from fetcher.errors import ReadGivenUp, Shortage, StoreFailed
from fetcher.index import Index as SqliteIndex
from fetcher.index.moving import STAYING, STAYING_COLUMNS
from fetcher.index.postgres.access import Access
from fetcher.index.postgres.bookkeeping.audit import note_line
from fetcher.index.postgres.image_records.listing import statement
from fetcher.index.postgres.index import Index
from fetcher.index.postgres.schema import FILES
from fetcher.index.postgres.session import Session, placeholders
from fetcher.index.values import READER, ImageQuery, Reader
from fetcher.model import Actor
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces, open_once
from tests.index.conftest import ADMIN, ALICE, make

ONE = Actor(project_id="p1", user_id="u")
FROZEN = Path(__file__).with_name("postgres.sha256")


@pytest.fixture
def place(databases: PostgresPlaces) -> PostgresPlace:
    return databases.new()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def filled(databases: PostgresPlaces) -> AsyncIterator[Index]:
    """An index with many images."""
    place = databases.new()
    async with place.open() as index:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute(FILL)
            connection.execute("VACUUM ANALYZE images")
        yield index


def test_a_migration_never_changes() -> None:
    """A database that has been through one was made by these very bytes; what differs is a further file."""
    frozen = dict(line.split()[::-1] for line in FROZEN.read_text().splitlines())
    assert frozen == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(FILES.glob("*.sql"))
    }


def test_parameters_are_written_as_psycopg_wants_them() -> None:
    """A cast is no parameter, and a per cent sign is one of SQL's."""
    assert (
        placeholders("a = :b::text AND c LIKE '%' AND d = ?") == "a = %(b)s::text AND c LIKE '%%' AND d = %s"
    )


async def test_hosts_that_start_at_once_migrate_once(place: PostgresPlace) -> None:
    """The first one makes the tables while the others wait, and all of them go on."""
    indexes = [place.open() for _ in range(4)]
    await asyncio.gather(*(index.__aenter__() for index in indexes))
    await indexes[0].imports.submit(make(), max_queued=10)
    assert await indexes[3].imports.counts() == {"queued": 1}
    await asyncio.gather(*(index.__aexit__(None, None, None) for index in indexes))


async def test_an_import_that_ends_beside_a_migration_stops_neither(place: PostgresPlace) -> None:
    """Both take the locks of imports and images in the same order: the one waits for the other."""
    async with place.open() as index:
        await index.imports.submit(make(), max_queued=10)
    with psycopg.connect(place.url) as ending, psycopg.connect(place.url, autocommit=True) as seen:
        seen.execute("DELETE FROM migrations WHERE name = '0030_fewer_pages'")
        seen.execute("CREATE INDEX imports_waiting ON imports (state)")
        ending.execute("UPDATE imports SET updated_at = updated_at")
        upgraded = asyncio.ensure_future(open_once(place))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        while seen.execute(waiting).fetchone() != (1,):
            assert not upgraded.done()
            await asyncio.sleep(0.01)
        ending.execute("UPDATE images SET updated_at = updated_at")
        ending.commit()
        await upgraded
        assert seen.execute("SELECT count(*) FROM migrations WHERE name = '0030_fewer_pages'").fetchone() == (
            1,
        )


async def test_a_later_versions_database_is_left_alone(place: PostgresPlace) -> None:
    """A host that was not upgraded yet says so in place of writing what it does not understand."""
    async with place.open():
        pass
    with psycopg.connect(place.url) as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('9999_later')")
    with pytest.raises(StoreFailed, match="later version's: it has 9999_later"):
        await place.open().__aenter__()


async def test_a_database_that_is_not_there_is_said(place: PostgresPlace) -> None:
    """An operator reads what the server says."""
    with pytest.raises(StoreFailed, match="does not exist"):
        await Index(Access(url=place.url + "x")).__aenter__()


async def test_what_comes_one_after_the_other_has_one_connection(place: PostgresPlace) -> None:
    """Of several that there are: what is asked again and again is prepared on it."""

    async def backend(db: Session) -> int:
        [row] = await db.select("SELECT pg_backend_pid() AS pid, pg_sleep(0.01)")
        return int(row["pid"])

    async with place.open() as index:
        at_once = await asyncio.gather(*(index.connection.write(backend) for _ in range(20)))
        assert len(set(at_once)) > 1
        assert len({await index.connection.write(backend) for _ in range(20)}) == 1


async def test_broken_connections_are_replaced(place: PostgresPlace) -> None:
    """After a restart of the database, the next verb goes well."""
    async with place.open() as index:
        await index.imports.submit(make(), max_queued=10)
        with psycopg.connect(place.url) as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            gone = connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
            )
            assert gone.fetchall()
        assert await index.imports.counts() == {"queued": 1}
        await index.imports.submit(make(), max_queued=10)


async def test_a_connection_that_breaks_in_a_verb_takes_it_back(place: PostgresPlace) -> None:
    """Its caller is told that the store failed, and nothing of it stays."""

    async def broken(db: Session) -> None:
        await db.execute("DELETE FROM imports")
        await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async with place.open() as index:
        await index.imports.submit(make(), max_queued=10)
        with pytest.raises(StoreFailed):
            await index.connection.write(broken)
        assert await index.imports.counts() == {"queued": 1}


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_connection_cut_before_its_commit_costs_no_request(
    place: PostgresPlace, *, is_read: bool
) -> None:
    """An administrator, or a restart, ends it in the middle: the transaction begins anew on another one."""
    backends: list[int] = []

    async def cut_once(db: Session) -> int:
        first = await db.select("SELECT pg_backend_pid() AS pid")
        backends.append(first[0]["pid"])
        if len(backends) == 1:
            with psycopg.connect(place.url, autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(%s, 10000)", backends)
        found = await db.select("SELECT count(*) AS number FROM imports")
        return int(found[0]["number"])

    async with place.open() as index:
        await index.imports.submit(make(), max_queued=10)
        run = index.connection.read if is_read else index.connection.write
        assert await run(cut_once) == 1
        assert len(set(backends)) == 2


async def test_a_cut_commit_is_not_made_twice(place: PostgresPlace) -> None:
    """Whether it was carried out is not known any more; its caller is told, and nothing is done again."""
    runs: list[int] = []

    async def write(db: Session) -> None:
        runs.append(1)
        await db.execute("DELETE FROM imports")
        row = await db.select("SELECT pg_backend_pid() AS pid")
        db.do_last(partial(end, row[0]["pid"]))

    async def end(pid: int) -> None:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    async with place.open() as index:
        await index.imports.submit(make(), max_queued=10)
        with pytest.raises(Shortage):
            await index.connection.write(write)
        assert len(runs) == 1


async def test_a_read_changes_nothing(place: PostgresPlace) -> None:
    """A verb that reads by its protocol cannot write by mistake."""

    async def write(db: Session) -> int:
        return await db.execute("DELETE FROM imports")

    async with place.open() as index:
        with pytest.raises(StoreFailed, match="read-only"):
            await index.connection.read(write)


async def test_a_read_is_given_up_in_time(place: PostgresPlace) -> None:
    """The database stops it, and the connection serves the next one."""

    async def sleep(db: Session) -> object:
        return await db.select("SELECT pg_sleep(60)")

    async with place.open() as index:
        reader = Reader(seconds=0.05, is_gone=lambda: False, task=asyncio.current_task())
        token = READER.set(reader)
        with pytest.raises(ReadGivenUp):
            await index.connection.read(sleep)
        READER.reset(token)
        assert await index.imports.page(ALICE, {}, limit=5) == []


async def test_two_writers_that_meet_both_write(place: PostgresPlace) -> None:
    """A deadlock ends one of them, which begins anew and sees what the other has written."""
    meeting = asyncio.Barrier(2)
    tries = []

    async def crossing(db: Session, first: str, second: str) -> None:
        tries.append(first)
        await db.execute("UPDATE audit SET code = coalesce(code, '') || ? WHERE action = ?", [first, first])
        if len(tries) <= 2:
            await meeting.wait()
        await db.execute("UPDATE audit SET code = coalesce(code, '') || ? WHERE action = ?", [first, second])

    async def fill(db: Session) -> None:
        for action in "ab":
            await note_line(db, {"at": "", "project_id": "", "user_id": "", "action": action})

    async def codes(db: Session) -> set[str]:
        return {"".join(sorted(row["code"])) for row in await db.select("SELECT code FROM audit")}

    async with place.open() as index:
        await index.connection.write(fill)
        write = index.connection.write
        await asyncio.gather(write(crossing, "a", "b"), write(crossing, "b", "a"))
        assert len(tries) >= 3  # A busy server may find a second deadlock.
        assert await index.connection.read(codes) == {"ab"}


async def test_a_trigger_that_is_gone_is_said(place: PostgresPlace) -> None:
    """Without it, what projects hold would be counted wrong from then on."""
    async with place.open() as index:
        with psycopg.connect(place.url) as connection:
            connection.execute("DROP TRIGGER usage_of_images ON images")
            connection.execute("ALTER TABLE blobs DISABLE TRIGGER loose_blobs")
        missing = ["the trigger usage_of_images is missing", "the trigger loose_blobs is missing"]
        assert await index.maintenance.complaints() == missing


async def test_both_indexes_have_the_same_columns(place: PostgresPlace, tmp_path: Path) -> None:
    """A migration of one is a migration of the other, too: rows are written by the same code."""

    async def columns(db: Session) -> dict[str, set[str]]:
        sql = """SELECT table_name, array_agg(column_name::text) AS names FROM information_schema.columns
                 WHERE table_schema = 'public' GROUP BY 1"""
        return {row["table_name"]: set(row["names"]) for row in await db.select(sql)}

    def sqlite_columns(db: Database) -> dict[str, set[str]]:
        return {name: set(db.table(name).columns_dict) for name in db.table_names()}

    async with place.open() as index, SqliteIndex(tmp_path / "index.sqlite") as sqlite:
        theirs = await index.connection.read(columns)
        ours = await sqlite.connection.read(sqlite_columns)
    theirs["images"] -= {"number"}  # SQLite has a rowid.
    for name in STAYING:
        theirs.pop(name, None)
        ours.pop(name, None)
    for name, column in STAYING_COLUMNS:  # What tells of hosts is in the database alone.
        theirs[name].discard(column)
        ours[name].discard(column)
    assert theirs == ours, "Add the columns to both: fetcher/index/{sqlite,postgres}/migrations/."


FILL = """INSERT INTO images (id, project_id, name, status, visibility, size, created_at, updated_at)
    SELECT lpad(n::text, 36, '0'), 'p' || n % 50, 'n' || n % 5000, 'active',
        CASE WHEN n % 21 = 0 THEN 'public' ELSE 'private' END, n,
        lpad(n::text, 27, '0'), lpad(n::text, 27, '0')
    FROM generate_series(1, 20000) AS n"""
ORDERS = [
    ("created_at", ADMIN),
    ("created_at", ONE),
    ("name", ADMIN),
    ("name", ONE),
    ("size", ADMIN),
    ("size", ONE),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("key", "actor"), ORDERS, ids=lambda value: getattr(value, "project_id", value))
async def test_a_list_reads_what_it_shows(filled: Index, key: str, actor: Actor) -> None:
    """First pages and later ones come out of an index, and no page looks at all images."""

    async def plan(db: Session, query: ImageQuery) -> list[str]:
        sql, arguments = await statement(db, query, actor)
        return [row["QUERY PLAN"] for row in await db.select(f"EXPLAIN {sql}", arguments)]

    for marker in (None, f"{10_001:036}"):
        query = ImageQuery(sort=((key, True),), limit=20, marker=marker, visibility="all")
        said = "\n".join(await filled.connection.read(plan, query))
        assert "Seq Scan on images" not in said, said


async def test_a_cancellation_that_gets_lost_on_the_way_counts(place: PostgresPlace) -> None:
    """Work that goes on for ever is stopped all the same, where what waits for the database forgot to."""
    asked = asyncio.Event()

    async def forgetful(db: Session) -> None:
        with suppress(asyncio.CancelledError):
            asked.set()
            await db.select("SELECT pg_sleep(60)")

    async def forever(index: Index) -> None:
        while True:
            with suppress(StoreFailed):
                await index.connection.read(forgetful)

    async with place.open() as index:
        task = asyncio.create_task(forever(index))
        await asked.wait()
        task.cancel()
        await asyncio.wait({task}, timeout=30)
        assert task.cancelled()
