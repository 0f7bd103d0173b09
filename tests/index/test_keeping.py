"""How much is kept of what has ended: a number and bytes for each project, whatever its age."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlite_utils import Database

from fetcher.errors import Cancelled
from fetcher.importer.records.verdicts import verdict_of
from fetcher.index import Index
from fetcher.index.sqlite.keeping import OVERFULL
from fetcher.index.values import IdempotencyKey, WebhookTarget
from fetcher.model import Actor, Attempt, Hop, Notice
from tests.index.conftest import ALICE, BOB, START, make
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

MANY = 2**53
AUDIT_IDS = "SELECT id FROM audit ORDER BY id"


async def ended(index: Index, number: int, actor: Actor = ALICE, **changes: object) -> str:
    """An import that was cancelled at second `number`."""
    new = make(actor, number, **changes)
    await index.imports.submit(new, max_queued=1000)
    moment = START + timedelta(seconds=number)
    await index.imports.cancel(new.record.id, actor, verdict_of(Cancelled()), moment)
    return new.record.id


async def test_the_newest_of_each_project_are_kept(index: Index) -> None:
    """One project's many go down to the bound, oldest first; another's few are left alone."""
    ids = [await ended(index, number) for number in range(7)]
    others = [await ended(index, number, BOB) for number in range(4)]
    found = await index.maintenance.surplus(4, MANY)
    assert set(found) == set(ids[:3])
    assert await index.maintenance.drop(found) == 3
    assert await index.maintenance.surplus(4, MANY) == []
    assert [record.id for record in await index.imports.page(BOB, {}, limit=10)] == others[::-1]


async def test_their_bytes_have_a_bound_too(index: Index) -> None:
    """A record with a history of long redirects counts for what it takes."""
    long = "https://a.example/" + "x" * 8000
    hops = tuple(Hop(url=long, status=302, at=START) for _ in range(10))
    fat = []
    for number in range(3):
        new = make(number=number)
        await index.imports.submit(new, max_queued=1000)
        taken = await index.imports.claim(new.record.id, START)
        assert taken is not None
        attempts = (Attempt(number=1, started_at=START, hops=hops),)
        assert await index.imports.record(msgspec.structs.replace(taken[0], attempts=attempts))
        moment = START + timedelta(seconds=number)
        await index.imports.cancel(new.record.id, ALICE, verdict_of(Cancelled()), moment)
        fat.append(new.record.id)
    thin = [await ended(index, 10 + number) for number in range(10)]
    found = await index.maintenance.surplus(100, 140_000)
    assert set(found) == set(fat[:2])
    assert not set(found) & set(thin)


async def test_what_is_not_over_stays(index: Index) -> None:
    """What runs, waits, or has a receiver that is yet to be told is never surplus; keyed ones go last."""
    new = make(number=0)
    await index.imports.submit(new, max_queued=1000)
    webhook = WebhookTarget(url="https://a.example/", secret="s")
    record = msgspec.structs.replace(make(number=1).record, notice=Notice())
    told = await ended(index, 1, record=record, image=make().image, webhook=webhook)
    keyed = await ended(index, 2, key=IdempotencyKey(key="k", fingerprint="f"))
    plain = [await ended(index, 3 + number) for number in range(3)]
    assert set(await index.maintenance.surplus(1, MANY)) == set(plain)
    await index.maintenance.drop([new.record.id])
    left = {record.id for record in await index.imports.page(ALICE, {}, limit=10)}
    assert left == {new.record.id, told, keyed, *plain}


async def test_looking_reads_an_index_alone(index: Index) -> None:
    """A million records are counted once a minute: no row of theirs is read for that."""

    def plan(db: Database) -> str:
        bounds = {"most": 1, "most_bytes": 1}
        return " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {OVERFULL}", bounds))

    assert "USING COVERING INDEX imports_kept" in await index.connection.read(plan)


@pytest.mark.parametrize("most", [3, 0])
async def test_the_oldest_lines_of_the_audit_trail_go(index: Index, most: int) -> None:
    """Beyond a number of lines the oldest go, a few at a time."""
    for number in range(5):
        await ended(index, number)
    before = await index.connection.read(lambda db: [row[0] for row in db.execute(AUDIT_IDS)])
    gone = 0
    while trimmed := await index.maintenance.trim_audit(most, most=2):
        assert trimmed <= 2
        gone += trimmed
    assert gone == len(before) - most
    left = await index.connection.read(lambda db: [row[0] for row in db.execute(AUDIT_IDS)])
    assert left == before[len(before) - most :]


async def test_i11_records_of_ended_imports_have_a_bound(tmp_path: Path) -> None:
    """A project that makes imports without end keeps the newest; the bound is published."""
    rules = {"quota": {"max_records": 3}, "upkeep": {"max_audit_lines": 4, "mend": False}}
    async with Origin({"*": behaviours.status(404)}) as origin, Running(tmp_path, origin, **rules) as service:
        ids = [(await service.run(url=origin.url(f"/{number}")))["id"] for number in range(6)]
        await service.service.app.state.services.upkeep.forget_surplus()
        assert [shown["id"] for shown in (await service.get("/imports"))["imports"]] == ids[:2:-1]
        limits = (await service.get("/limits"))["limits"]
        assert limits["project_max_records"]["value"] == 3
        assert limits["project_max_record_bytes"]["value"] == 268_435_456
        db = Database(service.data / "index.sqlite")
        assert db.table("audit").count == 4
        db.close()


async def test_i11_a_line_of_the_audit_trail_has_a_bound(tmp_path: Path) -> None:
    """An URL of eight kilobytes leaves no eight kilobytes in a trail that is kept for a year."""
    async with Origin({"*": behaviours.status(404)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/" + "x" * 7000))
        db = Database(service.data / "index.sqlite")
        (size,) = db.execute("SELECT max(length(url) + length(detail)) FROM audit").fetchone()
        assert size < 1024
        db.close()
