"""`fetcher migrate` of the records: from SQLite to PostgreSQL and back, all of them or none."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from fetcher.cli.exits import Exit
from fetcher.cli.machine.moving import Plan
from fetcher.crash import VARIABLE
from fetcher.index import Index as SqliteIndex
from fetcher.index.moving import STAYING, STAYING_COLUMNS, Records, move
from fetcher.index.protocol import Index
from fetcher.index.sqlite.moving import FileRecords
from fetcher.index.values import IdempotencyKey, ImageQuery, Worker
from fetcher.lifecycle import Event
from fetcher.model import Delivery, Phase, Verdict
from tests.cli.conftest import COMMAND, Fetcher, fetcher
from tests.contract.index.postgres import PostgresPlace
from tests.contract.index.test_exports import export, submitted
from tests.contract.index.test_lists_of_images import some_images
from tests.contract.index.test_members import shared
from tests.contract.index.test_metadefs import content, item, namespace
from tests.contract.index.test_notices import watched
from tests.contract.index.test_pulls import KEPT
from tests.contract.index.test_schedules import made, schedule
from tests.contract.index.test_statistics import failed
from tests.contract.index.test_uploads import begun, done
from tests.images import raw
from tests.index.conftest import ADMIN, ALICE, BOB, START, activate, blob, make
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import ROOT
from tests.service import Running

__all__ = ["fetcher"]

VERDICT = Verdict(code="cancelled", title="It was cancelled.")
SECRET = "secret@"  # In URLs of `make`.


async def fill(index: Index) -> None:
    """Leave rows in every table, by the verbs that a service calls."""
    for one in some_images(20):
        await index.images.create(one)
    await shared(index)
    await fill_with_imports(index)
    await fill_with_what_imports_leave(index)
    for number in range(3):
        await submitted(index, export(number=number), max_bytes=10**6)
    plan = await made(index, schedule())
    kept = (await index.images.page(ALICE, ImageQuery(sort=(("created_at", False),), limit=1)))[0]
    await index.schedules.promote(plan, kept.id, "1", START)
    await index.metadefs.create(
        namespace(), content(item(name="z", a=[1, None, "ä\n\\N\t"]), item("tag", "t"))
    )
    await index.metadefs.create(namespace("m"), content(item("association", "X::Y")))
    await index.metadefs.delete("n", ADMIN)  # So that numbers have a gap.
    assert await index.maintenance.trim_audit(5)


async def fill_with_imports(index: Index) -> None:
    """One in each state, with secrets, a repeated request and a receiver."""
    await index.imports.submit(make(key=IdempotencyKey(key="k", fingerprint="f")), max_queued=99)
    for number in range(2):
        told = watched(number=number)
        await index.imports.submit(told, max_queued=99)
    await index.imports.cancel(told.record.id, ADMIN, VERDICT, START)
    await failed(index, "source-unreachable", BOB, received=7)
    running = make(BOB)
    await index.imports.submit(running, max_queued=99)
    taken = await index.imports.claim(running.record.id, START)
    assert taken is not None
    half = {"received_bytes": 500, "expected_bytes": 900, "bytes_per_second": 0.1 + 0.2}
    await index.imports.record(msgspec.structs.replace(taken[0], phase=Phase.PULLING, **half))
    delivered = make()
    await index.imports.submit(delivered, max_queued=99)
    taken = await index.imports.claim(delivered.record.id, START)
    assert taken is not None
    there = Delivery(url="https://glance.example", image_id="there", is_away=True)
    assert await index.imports.deliver(
        taken[0].ended(Event.SUCCEED, VERDICT, START, delivery=there), {"a": 1}
    )


async def fill_with_what_imports_leave(index: Index) -> None:
    """Blobs, staged bytes, signed stories, resume states, remembered URLs, names of files without a row."""
    for name in "12":
        new = make()
        await index.imports.submit(new, max_queued=99)
        assert await activate(index, new, name)
    await index.attestations.keep((await index.attestations.unsigned())[0], "k", "envelope", START)
    await index.images.delete(new.image.id, ALICE)
    _image, record = await begun(index)
    assert await index.uploads.stage(done(record), blob("3"))
    await index.pulls.keep(KEPT)
    await index.pulls.remember(["alice"], "r", '"1"', blob("1").address)


def contents(path: Path) -> dict[str, list[Any]]:
    """All rows that move, with their numbers where they have an order."""
    with closing(sqlite3.connect(path)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for name in sorted({*names} - STAYING):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
            moving = [column for column in columns if (name, column) not in STAYING_COLUMNS]
            order = ["rowid"] if name == "images" else []
            found[name] = sorted(
                db.execute(f"SELECT {', '.join(order + moving)} FROM {name}").fetchall(), key=repr
            )
        return found


def number_of_rows(database: PostgresPlace) -> int:
    """How many rows there are beside those that migrations make."""
    with psycopg.connect(database.url) as connection:
        tables = connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
        names = {name for (name,) in tables} - STAYING - {"metadef_resource_types"}
        rows = [connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in names]
    return sum(row[0] for row in rows if row)


@pytest.fixture
async def filled(tmp_path: Path) -> Running:
    """The configuration of a service that has not started, with an index full of records."""
    running = Running(tmp_path)
    running.write_config()
    running.data.mkdir()
    async with SqliteIndex(running.data / "index.sqlite", worker=Worker(name="w")) as index:
        await fill(index)
    return running


async def test_to_a_database_and_back(
    filled: Running, database: PostgresPlace, tmp_path: Path, fetcher: Fetcher
) -> None:
    """Every row of every table is there, counted and chained as before; and what comes back is the same."""
    before = contents(filled.data / "index.sqlite")
    assert [name for name, rows in before.items() if not rows] == []
    config = ("--config", filled.config, "--json")
    there = ("migrate", "--from", filled.data, "--to", database.as_url, *config)
    rows = {name: len(found) for name, found in before.items()}
    dry = await fetcher(*there, "--dry-run")
    assert (dry.code, dry.json["records"]) == (Exit.OK, {"what": "to-move", "rows": rows, "faults": []})
    moved = await fetcher(*there, "--final")
    assert (moved.code, moved.json["records"]) == (Exit.OK, {"what": "moved", "rows": rows, "faults": []})
    assert SECRET not in moved.out + moved.err
    async with database.open(worker=Worker(name="other")) as index:
        assert await index.maintenance.miscounted() == []
        assert (await index.audit.verify()).faults == []
        assert [one.id for one in await index.pulls.unfinished()] == [KEPT.id]
    back = tmp_path / "back"
    returned = await fetcher("migrate", "--from", database.as_url, "--to", back, *config, "--final")
    assert (returned.code, returned.json["records"]["rows"]) == (Exit.OK, rows)
    assert contents(back / "index.sqlite") == before
    async with database.open() as index:  # Numbers go on behind those that were moved.
        await index.metadefs.create(namespace("later"), content(item()))
        await index.images.create(some_images(1)[0])


PG, S3 = "postgresql://u@h/d", "s3://b/p"
PLANS = [
    (["/f"], [PG], Plan(records_from="/f", records_to=PG)),
    (["/f"], [S3], Plan(bytes_from="/f", bytes_to=S3)),
    (["/f"], [S3, PG], Plan(records_from="/f", records_to=PG, bytes_from="/f", bytes_to=S3)),
    ([PG, S3], ["/f"], Plan(records_from=PG, records_to="/f", bytes_from=S3, bytes_to="/f")),
    ([PG], ["/f"], Plan(records_from=PG, records_to="/f")),
    ([PG], ["postgres:///e"], Plan(records_from=PG, records_to="postgres:///e")),
    ([PG], [PG], None),
    ([S3], [PG], None),
    (["/f", "/g"], [PG], None),
    (["/f"], ["/f", PG], None),
    (["/f"], [], None),
    (["/f"], ["mysql://h/d"], None),
]


@pytest.mark.parametrize(("source", "target", "plan"), PLANS)
def test_what_goes_where(source: list[str], target: list[str], plan: Plan | None) -> None:
    """Databases have records, buckets have bytes, a folder has what the other side asks for."""
    if plan is None:
        with pytest.raises(ValueError, match=r"."):
            Plan.of(source, target)
    else:
        assert Plan.of(source, target) == plan


async def test_a_move_that_is_killed_has_moved_nothing(
    filled: Running, database: PostgresPlace, fetcher: Fetcher
) -> None:
    """Killed between two tables: the target is empty, and the next one does it all."""
    command = (
        "migrate",
        "--from",
        filled.data,
        "--to",
        database.as_url,
        "--final",
        "--config",
        filled.config,
    )
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *map(str, command),
        env={**os.environ, VARIABLE: "migrate.filled:9"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert await process.wait() == -9
    assert number_of_rows(database) == 0
    assert (await fetcher(*command)).code == Exit.OK
    assert number_of_rows(database) > 0


def break_off(old: Records, new: Records) -> None:
    """Move everything, and fail before it counts."""
    move(old, new)
    assert new.count("imports")
    raise ZeroDivisionError


async def test_a_move_that_breaks_off_leaves_the_file_as_it_was(filled: Running, tmp_path: Path) -> None:
    """What was written goes with its transaction, and triggers are there again."""
    path = tmp_path / "new.sqlite"
    async with SqliteIndex(path) as index:
        pass
    empty = contents(path)
    source, target = FileRecords(filled.data / "index.sqlite"), FileRecords(path)
    with (
        pytest.raises(ZeroDivisionError),
        source.open(is_target=False) as old,
        target.open(is_target=True) as new,
    ):
        break_off(old, new)
    assert contents(path) == empty
    async with SqliteIndex(path) as index:
        assert await index.maintenance.complaints() == []


async def test_a_move_is_refused_with_words(
    filled: Running, database: PostgresPlace, fetcher: Fetcher
) -> None:
    """A target with records, one in use, a later version's, a password in a URL: nothing is written."""
    command = ("migrate", "--from", filled.data, "--config", filled.config, "--json")

    async def refused(to: str, *more: str) -> str:
        told = await fetcher(*command, "--to", to, *(more or ("--final",)))
        assert told.code not in {Exit.OK, Exit.DAMAGED}
        return str(told.json["error"]["detail"])

    def execute(sql: str) -> None:
        with psycopg.connect(database.url) as connection:
            connection.execute(sql)

    empty = filled.folder / "empty"
    nothing = await fetcher("migrate", "--from", empty, "--to", database.as_url, "--final", *command[3:])
    assert (nothing.code, "There are no records in" in nothing.out) == (Exit.USAGE, True)
    assert not empty.exists()
    with_password = database.as_url.replace("fetcher@", "fetcher:hushhush@")
    told = await refused(with_password)
    assert "index.password_file" in told
    assert "hushhush" not in told
    async with database.open() as index:
        await index.images.create(some_images(1)[0])
    for flag in ("--dry-run", "--final"):
        told = await refused(database.as_url, flag)
        assert "the target has records already (" in told
        assert "1 in images" in told
        assert "give one that is empty" in told
    execute("TRUNCATE images, usage CASCADE")
    execute(
        "INSERT INTO hosts (name, start, roles, version, lease_until)"
        " VALUES ('h1', '', '', '', clock_timestamp() + interval '1 hour')"
    )
    assert "in use by h1: stop the service there first" in await refused(database.as_url)
    execute("DELETE FROM hosts")
    execute("INSERT INTO migrations (name) VALUES ('9999_later')")
    assert "later version's: it has 9999_later" in await refused(database.as_url)
    execute("DELETE FROM migrations WHERE name = '9999_later'")
    execute("ALTER TABLE images ADD COLUMN more text")
    assert "made differently: images" in await refused(database.as_url)
    execute("ALTER TABLE images DROP COLUMN more")
    execute("ALTER TABLE imports ALTER COLUMN bytes_per_second TYPE real")  # Less than was given.
    assert "does not give back the rows of imports" in await refused(database.as_url)
    assert number_of_rows(database) == 0


async def test_a_service_goes_on_where_it_was(
    database: PostgresPlace, tmp_path: Path, fetcher: Fetcher
) -> None:
    """Records and images of a folder are there with one command; while the server runs, it is refused."""
    body = raw(100_000)
    async with Origin({"/x": behaviours.serve(body)}) as origin:
        async with Running(tmp_path, origin) as service:
            ended = await service.run(url=origin.url("/x"))
            places = ("--from", service.data, "--to", database.as_url, tmp_path / "other")
            command = ("migrate", *places, "--config", service.config)
            assert (await fetcher(*command)).code == Exit.OK  # Bytes are copied, records counted.
            assert (await fetcher(*command, "--final")).code == Exit.BUSY
        with closing(sqlite3.connect(service.data / "index.sqlite")) as db, db:
            db.execute("UPDATE usage SET images = 7")  # As some mistake has left it.
        told = await fetcher(*command, "--final")
        assert told.code == Exit.OK
        async with database.open() as index:
            assert await index.maintenance.miscounted() == []
        assert "there: 1 blob" in told.out + told.err
        assert "moved: " in told.out + told.err
        there = {"index": {"url": database.as_url}, "store": {"folder": str(tmp_path / "other")}}
        async with Running(tmp_path, origin, **there) as service:
            async with service.client.get(f"/v2/images/{ended['image_id']}/file") as answer:
                assert await answer.read() == body
            found = await service.get(f"/v2/images/{ended['image_id']}")
            assert (found["status"], found["size"]) == ("active", len(body))
            assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
            assert (await fetcher("audit", "verify", "--config", service.config)).code == Exit.OK
