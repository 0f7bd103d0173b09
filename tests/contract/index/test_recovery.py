"""What a stopped process left behind: found whole, and taken up in one transaction."""

import msgspec
import pytest

from fetcher.errors import UnknownImage
from fetcher.index.protocol import Index
from fetcher.index.values import LeftBehind, NewImport
from fetcher.lifecycle import Event, State
from fetcher.model import Import, Phase, Status, Verdict
from tests.contract.index.places import Place
from tests.index.conftest import ALICE, START, activate, make

VERDICT = Verdict(code="interrupted", title="The service was stopped.")


async def test_a_start_queues_what_has_no_end(place: Place) -> None:
    """Queued, running and waiting imports come back under a new claim; ended ones are left alone."""
    made = [make(number=number) for number in range(4)]
    async with place.open() as index:
        for new in made:
            await index.imports.submit(new, max_queued=10)
        await activate(index, made[0])
        await index.imports.claim(made[1].record.id, START)
        taken = await index.imports.claim(made[2].record.id, START)
        assert taken is not None
        assert await index.imports.record(taken[0].moved(Event.PAUSE, START))
    async with place.open() as index:
        left = await index.recovery.left_behind()
        assert [one.id for one in left.waiting] == [new.record.id for new in made[1:]]
        assert all(one.secrets == made[0].secrets for one in left.waiting)
        assert (left.sent, left.committing) == ([], [])
        found = await every(index, made[1:])
        assert [record.state for record in found] == [State.RUNNING, State.WAITING, State.QUEUED]
        await index.recovery.take_up([], START)
        assert await index.imports.counts() == {"queued": 3}
        claims = [record.claim for record in await every(index, made[1:])]
        assert claims[:2] == [2, 2]  # Whether what waited anyway gets a new one makes no difference.
        assert not await index.imports.record(taken[0])


async def test_what_cannot_be_taken_up_ends(index: Index) -> None:
    """An upload's sender is gone: its import ends, its image waits or goes, and all else is queued."""
    sent, pulled = make(), make(number=1)
    for new in (sent, pulled):
        await index.imports.submit(new, max_queued=10)
        await index.imports.claim(new.record.id, START)
    record = await index.imports.find(sent.record.id, ALICE)
    await index.recovery.take_up([record.ended(Event.FAIL, VERDICT, START)], START)
    assert (await index.imports.find(sent.record.id, ALICE)).verdict == VERDICT
    with pytest.raises(UnknownImage):
        await index.images.find(sent.image.id, ALICE)
    assert [one.id for one in (await index.recovery.left_behind()).waiting] == [pulled.record.id]


async def every(index: Index, made: list[NewImport]) -> list[Import]:
    return [await index.imports.find(new.record.id, ALICE) for new in made]


async def test_what_was_sent_is_told_apart(index: Index) -> None:
    """A body that was sent to the service came from no URL: nobody can take it up, and it has no secrets."""
    new = make()
    record = msgspec.structs.replace(new.record, state=State.RUNNING, claim=1, owns_image=False)
    await index.images.create(msgspec.structs.replace(new.image, status=Status.QUEUED))
    await index.uploads.begin(record, "saving")
    left = await index.recovery.left_behind([record.method])
    assert (left.waiting, left.committing) == ([], [])
    assert left.sent == [await index.imports.find(record.id, ALICE)]
    assert await index.recovery.left_behind(["another"]) == LeftBehind([], [], [])


async def test_what_was_in_its_commit_is_found_whole(index: Index) -> None:
    """The announced address, and what was received, is needed to take up bytes that may be there already."""
    made = [make(number=number) for number in range(2)]
    for new in made:
        await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(made[1].record.id, START)
    assert taken is not None
    assert await index.imports.record(
        msgspec.structs.replace(taken[0], phase=Phase.COMMITTING, digests={"sha256": "ab" * 32})
    )
    left = await index.recovery.left_behind(["upload"])
    assert [one.id for one in left.waiting] == [new.record.id for new in made]
    assert left.committing == await every(index, made[1:])
    assert [record.announced for record in left.committing] == ["ab" * 32]
