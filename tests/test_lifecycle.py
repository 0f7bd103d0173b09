"""The table of an import's states: what it promises, and that nothing goes around it."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.lifecycle import ENDS, TABLE, Event, IllegalMove, State, diagram, moves, next_state, origins_of
from fetcher.model import Verdict
from tests.index.conftest import START, make

ROOT = Path(__file__).parent.parent
VERDICT = Verdict(code="ok", title="It ended.")


@given(events=st.lists(st.sampled_from(Event)))
def test_any_sequence_follows_the_table_or_raises(events: list[Event]) -> None:
    """Whatever happens in whatever order, a state is left only as the table says, and an end never."""
    record = make().record
    for event in events:
        before = record.state
        try:
            record = record.ended(event, VERDICT, START) if event in ENDS else record.moved(event, START)
        except IllegalMove:
            assert event not in TABLE[before]
            assert record.state is before
        else:
            assert record.state is TABLE[before][event]
        assert record.state.is_final is (record.ended_at is not None) is (record.verdict is not None)


def test_every_state_can_be_reached_and_left_or_is_an_end() -> None:
    """No state is decoration, every event has a use, and exactly the ends have nothing after them."""
    assert {following for _state, _event, following in moves()} == set(State)
    assert {event for _state, event, _following in moves()} == set(Event)
    assert set(TABLE) == {None, *State}
    assert {state for state in State if state.is_final} == {
        following for _state, event, following in moves() if event in ENDS
    }


def test_all_that_is_left_to_do_can_be_cancelled_and_queued_again() -> None:
    """An owner can always end what has not ended, and a start can always take it up."""
    for state in State:
        if not state.is_final:
            assert next_state(state, Event.CANCEL) is State.CANCELLED
            assert next_state(state, Event.REQUEUE) is State.QUEUED


def test_an_end_needs_its_verdict() -> None:
    """An end cannot be made as a mere move, nor a move as an end."""
    record = make().record
    with pytest.raises(IllegalMove):
        record.moved(Event.CANCEL, START)
    with pytest.raises(IllegalMove):
        record.ended(Event.CLAIM, VERDICT, START)


def test_progress_leaves_a_row_in_its_state() -> None:
    """A running row may be written again as running; an end may be written over what had not ended only."""
    assert origins_of(State.RUNNING) == {State.QUEUED, State.RUNNING, State.WAITING}
    assert origins_of(State.SUCCEEDED) == {State.RUNNING}
    assert not any(state.is_final for target in State for state in origins_of(target))


def test_the_drawing_has_every_move() -> None:
    """One line of the diagram for each entry of the table, and one for each end."""
    assert len(diagram().splitlines()) == 1 + len(list(moves())) + 4


def test_nobody_sets_a_state_by_hand() -> None:
    """No code but the table's own writes `state=` into an import: every change goes through an event."""
    allowed = {
        ROOT / "fetcher" / name
        for name in ("lifecycle.py", "model/imports.py", "index/rows.py", "index/sqlite/rows.py")
    }
    found = []
    for path in (ROOT / "fetcher").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or path in allowed:
                continue
            names = {"replace", "change", "move", "Import", "moved", "ended"}
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            words = [word for word in node.keywords if word.arg == "state" and name in names]
            if any("next_state" not in ast.unparse(word.value) for word in words):
                found.append(f"{path.name}:{node.lineno}")
    # A webhook's own state is another thing.
    assert [place for place in found if not place.startswith("dispatcher.py")] == []
