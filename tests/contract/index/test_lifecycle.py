"""The index refuses what the table of states does not have, whoever asks in whatever order."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.errors import Conflict
from fetcher.index.protocol import Index
from fetcher.lifecycle import TABLE, Event, IllegalMove, State, origins_of
from fetcher.model import Import, Verdict
from tests.contract.index.places import Place, Places
from tests.index.conftest import ADMIN, START, blob, make

VERDICT = Verdict(code="cancelled", title="It was cancelled.")


async def test_a_row_is_not_written_over_from_a_state_that_cannot_lead_there(index: Index) -> None:
    """A record that says succeeded while its row waits is a fault, and the row stays as it is."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    waiting = taken[0].moved(Event.PAUSE, START)
    assert await index.imports.record(waiting)
    forged = msgspec.structs.replace(taken[0], state=State.SUCCEEDED, verdict=VERDICT, ended_at=START)
    with pytest.raises(IllegalMove, match="waiting"):
        await index.imports.activate(forged, blob(), new.image, {})
    assert (await index.imports.find(new.record.id, ADMIN)).state is State.WAITING
    assert await index.images.blobs(limit=1) == []


async def test_a_queued_row_cannot_fail_without_a_run(index: Index) -> None:
    """What nobody has claimed ends by its owner alone."""
    new = make()
    queued = await index.imports.submit(new, max_queued=10)
    failed = msgspec.structs.replace(queued, state=State.FAILED, verdict=VERDICT, ended_at=START)
    with pytest.raises(IllegalMove):
        await index.imports.end(failed, {})
    assert (await index.imports.find(new.record.id, ADMIN)).state is State.QUEUED


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["claim", "requeue", "cancel", "start"]),
        st.tuples(st.just("write"), st.sampled_from(State), st.booleans()),
    ),
    max_size=8,
)


async def take_step(index: Index, import_id: str, held: Import, step: object) -> Import:
    """Do one thing to an import; the answer is the record that its run holds afterwards."""
    if step == "claim":
        taken = await index.imports.claim(import_id, START)
        return taken[0] if taken else held
    if step == "requeue":
        await index.imports.requeue(import_id, START)
    elif step == "cancel":
        await index.imports.cancel(import_id, ADMIN, VERDICT, START)
    elif step == "start":
        await index.recovery.take_up([], START)
    elif isinstance(step, tuple):
        _write, state, is_current = step
        record = await index.imports.find(import_id, ADMIN) if is_current else held
        ended_at = START if state.is_final else None
        forged = msgspec.structs.replace(record, state=state, ended_at=ended_at, verdict=VERDICT)
        await (index.imports.end(forged, {}) if state.is_final else index.imports.record(forged))
    return held


async def go_through(steps: list[object], place: Place) -> list[State]:
    """Take steps one after the other; the state at first, and that of the row after each, come back."""
    async with place.open() as index:
        new = make()
        held = await index.imports.submit(new, max_queued=10)
        states = [held.state]
        for step in steps:
            with suppress(IllegalMove, Conflict):
                held = await take_step(index, held.id, held, step)
            states.append((await index.imports.find(held.id, ADMIN)).state)
        return states


def test_the_steps_reach_what_the_table_allows(places: Places) -> None:
    """Claimed, put back, claimed again and ended: what follows does not pass for want of any move."""
    steps: list[object] = ["claim", "requeue", "claim", ("write", State.FAILED, False), "cancel"]
    assert asyncio.run(go_through(steps, places.new()))[-1] is State.FAILED


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_sequence_of_writes_leaves_the_table(places: Places, steps: list[object]) -> None:
    """Late, forged and repeated writes of any state change a row along the table or not at all."""
    states = asyncio.run(go_through(steps, places.new()))
    for before, after in pairwise(states):
        assert after is before or after in TABLE[before].values(), (steps, states)
        assert after is before or before in origins_of(after)
