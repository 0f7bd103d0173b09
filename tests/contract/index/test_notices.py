"""Notices: due with the end of their import, in one transaction, and gone when told or given up."""

import asyncio
from datetime import timedelta

import msgspec

from fetcher.index.protocol import Index
from fetcher.index.values import Due, NewImport, Wanted, WebhookTarget
from fetcher.lifecycle import State
from fetcher.model import Actor, Notice, Verdict
from tests.contract.index.places import Place
from tests.index.conftest import ADMIN, ALICE, BOB, START, make

VERDICT = Verdict(code="cancelled", title="It was cancelled.")
TARGET = WebhookTarget(url="https://u:s3cr3t@hook.example/", secret="s3cr3t key")


def wanted(**changes: object) -> Wanted:
    nothing: dict[str, list[object]] = {
        "waited": [],
        "but_imports": [],
        "but_projects": [],
        "but_receivers": [],
    }
    now = START + timedelta(hours=1)
    return Wanted(**{"now": now, "far": now + timedelta(days=1), **nothing, **changes})  # type: ignore[arg-type] # fields by name, as each test wants them


def watched(actor: Actor = ALICE, number: int = 0, target: WebhookTarget = TARGET) -> NewImport:
    new = make(actor, number, webhook=target)
    return msgspec.structs.replace(new, record=msgspec.structs.replace(new.record, notice=Notice()))


async def ended(index: Index, new: NewImport) -> None:
    await index.imports.submit(new, max_queued=10)
    await index.imports.cancel(new.record.id, ADMIN, VERDICT, START)


async def test_a_notice_is_due_when_its_import_has_ended(index: Index) -> None:
    """Not before, and with what is needed to tell it."""
    new = watched()
    await index.imports.submit(new, max_queued=10)
    assert await index.notices.due(wanted()) == []
    assert await index.notices.waiting() == 0
    assert await index.notices.next_at() is None
    await index.imports.cancel(new.record.id, ALICE, VERDICT, START)
    due = Due(import_id=new.record.id, project_id="alice", webhook=TARGET, due_at=START)
    assert await index.notices.due(wanted()) == [due]
    assert await index.notices.waiting() == 1
    assert await index.notices.next_at() == START


async def test_whoever_watches_is_woken_by_an_end(index: Index) -> None:
    """By each verb that ends an import that somebody is to be told of; no longer once nobody watches."""
    woken = asyncio.Event()
    first, second = watched(), watched()
    for new in (first, second):
        await index.imports.submit(new, max_queued=10)
    with index.notices.watched(woken.set):
        await index.imports.cancel(first.record.id, ALICE, VERDICT, START)
        await asyncio.wait_for(woken.wait(), 30)
        woken.clear()
        taken = await index.imports.claim(second.record.id, START)
        assert taken is not None
        failed = msgspec.structs.replace(taken[0], state=State.FAILED, verdict=VERDICT, ended_at=START)
        assert await index.imports.end(failed, {})
        await asyncio.wait_for(woken.wait(), 30)
    woken.clear()
    await ended(index, watched())
    assert not woken.is_set()


async def test_each_project_has_its_turn(index: Index) -> None:
    """Of each project the one that waits for longest; those that are left out give way to the next."""
    made = [watched(ALICE, 0), watched(ALICE, 1), watched(BOB, 2)]
    for new in made:
        await ended(index, new)
    first = {due.project_id: due.import_id for due in await index.notices.due(wanted())}
    assert set(first) == {"alice", "bob"}
    assert first["bob"] == made[2].record.id
    rest = await index.notices.due(wanted(but_imports=list(first.values())))
    assert [due.project_id for due in rest] == ["alice"]
    assert rest[0].import_id != first["alice"]
    assert [due.project_id for due in await index.notices.due(wanted(but_projects=["alice"]))] == ["bob"]
    slow = ("alice", TARGET.url)
    assert [due.project_id for due in await index.notices.due(wanted(but_receivers=[slow]))] == ["bob"]


async def test_a_postponed_notice_waits(index: Index) -> None:
    """Until its moment, or until whoever counted the wait says that it is over, or the clock was set back."""
    new = watched()
    await ended(index, new)
    later = START + timedelta(hours=2)
    await index.notices.postpone(new.record.id, Notice(attempts=1, next_at=later))
    assert await index.notices.due(wanted()) == []
    assert await index.notices.next_at() == later
    assert len(await index.notices.due(wanted(now=later, far=later + timedelta(days=1)))) == 1
    assert len(await index.notices.due(wanted(waited=[new.record.id]))) == 1
    assert len(await index.notices.due(wanted(far=later - timedelta(seconds=1)))) == 1
    record = await index.imports.find(new.record.id, ALICE)
    assert record.notice == Notice(attempts=1, next_at=later)


async def test_a_settled_notice_leaves_no_secret(place: Place) -> None:
    """What became of it is in the import; URL and secret are nowhere any more."""
    async with place.open() as index:
        new = watched()
        await ended(index, new)
        assert "s3cr3t" in await place.dump(index)
        record = await index.imports.find(new.record.id, ALICE)
        told = Notice(state="delivered", attempts=1, at=START, status=204)
        await index.notices.settle(record, told)
        await index.notices.settle(record, Notice(state="given-up"))
        assert (await index.imports.find(new.record.id, ALICE)).notice == told
        assert await index.notices.waiting() == 0
        assert "s3cr3t" not in await place.dump(index)


async def test_notices_that_are_too_many_are_named(index: Index) -> None:
    """As many as are over the bound, and none at it."""
    for number in range(3):
        await ended(index, watched(number=number))
    assert await index.notices.excess(3) == []
    assert len(await index.notices.excess(1)) == 2


async def test_an_import_stays_until_its_receiver_is_told(index: Index) -> None:
    """However old it is."""
    new = watched()
    await ended(index, new)
    later = START + timedelta(days=1)
    assert await index.imports.forget(later) == 0
    await index.notices.settle(await index.imports.find(new.record.id, ALICE), Notice(state="given-up"))
    assert await index.imports.forget(later) == 1
