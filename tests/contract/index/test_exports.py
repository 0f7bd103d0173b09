"""Exports: bounded, scoped and fenced as imports are; what only their runs may know goes with the end."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from fetcher.errors import Conflict, IdempotencyMismatch, QueueFull, SendLimit, UnknownExport
from fetcher.index.protocol import Index
from fetcher.index.values import (
    SENT,
    Export,
    ExportAttempt,
    ExportBounds,
    ExportOptions,
    IdempotencyKey,
    ReadBack,
    ReceiverAccess,
    ReceiverSecrets,
)
from fetcher.lifecycle import Event, State
from fetcher.model import Actor, BucketAccess
from tests.contract.index.places import Place
from tests.index.conftest import ADMIN, ALICE, BOB, START

SECRETS = ReceiverSecrets(url="https://u:s3cr3t@put.example/", headers={"x-key": "s3cr3t"})


def export(actor: Actor = ALICE, number: int = 0, size: int = 5) -> Export:
    at = START + timedelta(seconds=number)
    return Export(
        id=str(uuid4()),
        image_id="i",
        project_id=actor.project_id,
        user_id=actor.user_id,
        receiver="https://put.example/",
        sender="put",
        size=size,
        sha256="0" * 64,
        created_at=at,
        updated_at=at,
    )


async def submitted(
    index: Index,
    made: Export,
    max_waiting: int = 99,
    max_bytes: int = 1000,
    key: IdempotencyKey | None = None,
    *,
    max_made: int = 99,
) -> Export:
    bounds = ExportBounds(
        max_waiting=max_waiting, max_bytes=max_bytes, max_made=max_made, since=START - timedelta(days=1)
    )
    return await index.exports.submit(made, SECRETS, bounds=bounds, key=key)


async def test_an_export_goes_from_submission_to_verdict(place: Place) -> None:
    """It is claimed once, written down as it goes, and its secrets are nowhere when it has ended."""
    async with place.open() as index, place.open() as other:
        made = await submitted(index, export())
        assert await index.exports.waiting() == [made]
        jobs = [(index, other)[number % 2].exports.claim(made.id, START) for number in range(6)]
        [(running, secrets)] = [found for found in await asyncio.gather(*jobs) if found is not None]
        assert (running.claim, running.state, secrets) == (1, State.RUNNING, SECRETS)
        assert "s3cr3t" in await place.dump(index)
        attempts = (ExportAttempt(number=1, started_at=START, sent_bytes=5),)
        sent = msgspec.structs.replace(running, sent_bytes=5, attempts=attempts, answer={"etag": "e"})
        assert await index.exports.record(sent)
        done = sent.moved(Event.SUCCEED, START, verdict=SENT)
        assert await index.exports.record(done)
        assert not await index.exports.record(done)
        assert await other.exports.find(made.id, ALICE) == done
        assert "s3cr3t" not in await place.dump(index)


async def test_a_request_that_is_repeated_makes_one_export(place: Place) -> None:
    """With the same key the first one comes back, however it stands and whatever is full; never another's."""
    key = IdempotencyKey(key="k", fingerprint="a")
    async with place.open() as index, place.open() as other:
        calls = [submitted((index, other)[number % 2], export(number=number), key=key) for number in range(6)]
        made = await asyncio.gather(*calls)
        assert len({one.id for one in made}) == 1
        assert await index.exports.waiting() == [made[0]]
        await index.exports.cancel(made[0].id, ALICE, START)
        again = await submitted(other, export(), max_waiting=0, max_bytes=0, key=key)
        assert (again.id, again.state) == (made[0].id, State.CANCELLED)
        with pytest.raises(IdempotencyMismatch):
            await submitted(index, export(), key=IdempotencyKey(key="k", fingerprint="b"))
        assert (await submitted(index, export(BOB), key=key)).id != made[0].id
        assert (await submitted(index, export())).id != (await submitted(index, export())).id


async def test_how_far_a_sender_is_goes_to_the_next_run_and_goes_with_the_end(place: Place) -> None:
    """What is kept comes back with the next claim; a lost claim keeps nothing, and the end leaves nothing."""
    access = ReceiverAccess(s3=BucketAccess(secret_access_key="s3cr3t"), read_url="https://s3cr3t.example/")
    options = ExportOptions(format="raw", verify=True)
    async with place.open() as index:
        made = msgspec.structs.replace(export(), options=options)
        secrets = msgspec.structs.replace(SECRETS, access=access)
        bounds = ExportBounds(max_waiting=9, max_bytes=99, max_made=9, since=START - timedelta(days=1))
        await index.exports.submit(made, secrets, bounds=bounds)
        stale = await index.exports.claim(made.id, START)
        assert stale is not None
        assert stale[1] == secrets
        assert await index.exports.remember(stale[0], {"upload": "u s3cr3t", "parts": [["e", "d"]]})
        assert await index.exports.requeue(START) == 1
        assert not await index.exports.remember(stale[0], {})
        fresh = await index.exports.claim(made.id, START)
        assert fresh is not None
        assert fresh[1].resume == {"upload": "u s3cr3t", "parts": [["e", "d"]]}
        read_back = ReadBack(result="not-possible", reason="no URL")
        sent = msgspec.structs.replace(fresh[0], size=9, sha256="1" * 64, read_back=read_back)
        assert await index.exports.record(sent.moved(Event.SUCCEED, START, verdict=SENT))
        found = await index.exports.find(made.id, ALICE)
        assert (found.size, found.sha256, found.options) == (9, "1" * 64, options)
        assert found.read_back == read_back
        assert not await index.exports.remember(fresh[0], {})
        assert "s3cr3t" not in await place.dump(index)


async def test_exports_are_their_projects(index: Index) -> None:
    """Another project's does not exist; pages are newest first, and filtered by state."""
    mine = [await submitted(index, export(number=number)) for number in range(3)]
    await submitted(index, export(BOB))
    assert await index.exports.page(ALICE, limit=2) == mine[:0:-1]
    assert await index.exports.page(ALICE, limit=2, marker=mine[1].id) == mine[:1]
    assert await index.exports.page(ALICE, limit=9, state="running") == []
    assert len(await index.exports.page(ADMIN, limit=9)) == 4
    with pytest.raises(UnknownExport):
        await index.exports.find(mine[0].id, BOB)
    with pytest.raises(UnknownExport):
        await index.exports.page(BOB, limit=9, marker=mine[0].id)


async def test_exports_are_bounded_for_all_processes(index: Index, other: Index) -> None:
    """Ten race for four places in the queue, and ten of five bytes for a day's twenty-six."""
    jobs = [submitted((index, other)[n % 2], export(number=n), max_waiting=4) for n in range(10)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, QueueFull) for result in results) == 6
    jobs = [submitted((index, other)[n % 2], export(BOB, n), max_bytes=26) for n in range(10)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, SendLimit) for result in results) == 5


async def test_i11_exports_that_are_cancelled_at_once_have_a_bound(index: Index) -> None:
    """A project makes as many in a day as it may, whatever became of them, and hears when it may again."""
    for number in range(3):
        made = await submitted(index, export(number=number), max_made=3)
        await index.exports.cancel(made.id, ALICE, START)
    with pytest.raises(QueueFull) as full:
        await submitted(index, export(number=3), max_made=3)
    assert full.value.limit == 3
    assert full.value.retry_after_seconds == 86_400
    await submitted(index, export(BOB, 4), max_made=3)


async def test_i11_records_of_ended_exports_have_a_bound(index: Index) -> None:
    """The newest are kept, and before them those that a repeated request may ask for; never one that runs."""
    key = IdempotencyKey(key="k", fingerprint="0" * 64)
    mine = [await submitted(index, export(number=n), key=key if n == 0 else None) for n in range(6)]
    other = await submitted(index, export(BOB))
    for made in (*mine[:5], other):
        await index.exports.cancel(made.id, ALICE if made in mine else BOB, START)
    assert await index.exports.trim(START, 3) == 0  # All of the last day.
    later = START + timedelta(days=2)
    assert await index.exports.trim(later, 3, most=2) == 2
    assert await index.exports.trim(later, 3) == 1
    assert await index.exports.trim(later, 3) == 0
    kept = await index.exports.page(ADMIN, limit=9)
    assert {one.id for one in kept} == {mine[0].id, mine[4].id, mine[5].id, other.id}
    assert await index.exports.trim(later, 1) == 2
    assert await index.exports.trim(later, 1) == 0
    assert {one.id for one in await index.exports.page(ADMIN, limit=9)} == {mine[5].id, other.id}


async def test_a_lost_claim_changes_nothing(index: Index) -> None:
    """After a restart or a cancellation the earlier run writes nothing any more."""
    made = await submitted(index, export())
    stale = await index.exports.claim(made.id, START)
    assert stale is not None
    assert await index.exports.requeue(START) == 1
    assert not await index.exports.record(stale[0])
    fresh = await index.exports.claim(made.id, START)
    assert fresh is not None
    assert (await index.exports.cancel(made.id, ALICE, START)).state is State.CANCELLED
    assert (await index.exports.cancel(made.id, ALICE, START)).state is State.CANCELLED
    assert not await index.exports.record(fresh[0])
    assert await index.exports.claim(made.id, START) is None


async def test_an_ended_export_is_not_cancelled_and_is_forgotten(index: Index) -> None:
    """As many as asked for, and none that is young."""
    made = await submitted(index, export())
    taken = await index.exports.claim(made.id, START)
    assert taken is not None
    assert await index.exports.record(taken[0].moved(Event.SUCCEED, START, verdict=SENT))
    with pytest.raises(Conflict):
        await index.exports.cancel(made.id, ALICE, START)
    assert await index.exports.forget(START) == 0
    assert await index.exports.forget(START + timedelta(days=1)) == 1
    with pytest.raises(UnknownExport):
        await index.exports.find(made.id, ALICE)
