"""Leases: a start takes up what nobody holds, and no lease makes a write count."""

import msgspec

from fetcher.index.protocol import Index
from fetcher.index.values import NewImport, Worker
from fetcher.lifecycle import Event, State
from fetcher.model import Import, Status, Verdict
from tests.contract.index.places import Place
from tests.index.conftest import ALICE, START, blob, image, make

ONE, TWO = Worker(name="one"), Worker(name="two")
BRIEF = Worker(name="one", lease_seconds=0.0)
VERDICT = Verdict(code="interrupted", title="The service was stopped.")


async def claimed(index: Index, number: int = 0) -> tuple[NewImport, Import]:
    new = make(number=number)
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    return new, taken[0]


async def left(index: Index) -> list[str]:
    return [one.id for one in (await index.recovery.left_behind()).waiting]


async def test_a_start_leaves_what_others_run(place: Place) -> None:
    """It takes up what waits, and the other's run goes on to its end."""
    async with place.open(worker=ONE) as one, place.open(worker=TWO) as two:
        new, running = await claimed(one)
        waiting = await one.imports.submit(make(number=1), max_queued=10)
        assert await left(two) == [waiting.id]
        await two.recovery.take_up([], START)
        assert await one.imports.record(msgspec.structs.replace(running, received_bytes=3))
        assert (await one.imports.find(waiting.id, ALICE)).state is State.QUEUED
        done = msgspec.structs.replace(running, state=State.SUCCEEDED, ended_at=START)
        assert await one.imports.activate(done, blob(), new.image, {})


async def test_a_worker_takes_up_its_own_at_once(place: Place) -> None:
    """After a restart it waits for no lease: nobody else has its name."""
    async with place.open(worker=ONE) as one:
        _, running = await claimed(one)
    async with place.open(worker=ONE) as one:
        assert await left(one) == [running.id]
        await one.recovery.take_up([], START)
        assert await one.imports.counts() == {"queued": 1}


async def test_what_is_not_renewed_is_taken_up_by_others(place: Place) -> None:
    """The frozen run that wakes up later has lost its claim, and is told so."""
    async with place.open(worker=BRIEF) as one, place.open(worker=TWO) as two:
        new, running = await claimed(one)
        assert await left(two) == [running.id]
        await two.recovery.take_up([], START)
        assert await two.imports.claim(running.id, START) is not None
        assert await one.imports.renew({running.id: running.claim}) == [running.id]
        assert not await one.imports.record(running)
        done = msgspec.structs.replace(running, state=State.SUCCEEDED, ended_at=START)
        assert not await one.imports.activate(done, blob(), new.image, {})
        assert await left(two) == [running.id]


async def test_a_renewed_lease_counts_from_now(place: Place) -> None:
    """Whoever renews in time keeps its imports, however long they run; one that has ended is named."""
    async with (
        place.open(worker=BRIEF) as one,
        place.open(worker=ONE) as again,
        place.open(worker=TWO) as two,
    ):
        _, running = await claimed(one)
        _, cancelled = await claimed(one, 1)
        assert await left(two) == [running.id, cancelled.id]
        await one.imports.cancel(cancelled.id, ALICE, VERDICT, START)
        claims = {running.id: running.claim, cancelled.id: cancelled.claim, "gone": 1}
        assert await again.imports.renew(claims) == [cancelled.id, "gone"]
        assert await left(two) == []
        assert await again.imports.renew({}) == []


async def test_a_waiting_run_is_held_too(place: Place) -> None:
    """Between two attempts nobody else takes it up."""
    async with place.open(worker=ONE) as one, place.open(worker=TWO) as two:
        _, running = await claimed(one)
        assert await one.imports.record(running.moved(Event.PAUSE, START))
        assert await left(two) == []


async def test_a_body_that_is_being_sent_is_held(place: Place) -> None:
    """A start of another worker does not end an upload whose sender is still there."""
    async with place.open(worker=ONE) as one, place.open(worker=TWO) as two:
        made = image()
        await one.images.create(made)
        record = msgspec.structs.replace(
            make().record, image_id=made.id, owns_image=False, state=State.RUNNING, claim=1
        )
        await one.uploads.begin(record, "saving")
        assert await left(two) == []
        await two.recovery.take_up([], START)
        assert (await one.images.find(made.id, ALICE)).status is Status.SAVING
        assert await one.imports.record(record)
