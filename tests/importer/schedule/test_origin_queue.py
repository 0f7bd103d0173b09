"""A project's line: the same choices as looking at everybody, at the cost of looking at few."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.importer.schedule.origin_queue import OriginQueue
from fetcher.importer.schedule.queue import Ticket


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("xyz")),
            st.tuples(st.just("remove"), st.integers(0, 30)),
            st.tuples(st.just("first"), st.sets(st.sampled_from("xyz"))),
        ),
        max_size=60,
    )
)
def test_the_first_with_room_goes(steps: list[tuple[str, object]]) -> None:
    """Whatever comes and goes, the next one is the longest waiting whose origin has room."""
    line: OriginQueue[Ticket] = OriginQueue()
    plain: list[Ticket] = []
    made: list[Ticket] = []
    for step, what in steps:
        if step == "add":
            made.append(Ticket(str(len(made)), "p", str(what)))
            line.add(made[-1])
            plain.append(made[-1])
        elif step == "remove" and isinstance(what, int) and what < len(made):
            assert line.remove(made[what]) == (made[what] in plain)
            plain = [ticket for ticket in plain if ticket is not made[what]]
        elif isinstance(what, set):
            expected = next((ticket for ticket in plain if ticket.origin in what), None)
            assert line.first(lambda origin, open_ones=what: origin in open_ones) is expected
    assert len(line) == len(plain)
    assert sorted(ticket.import_id for ticket in line) == sorted(ticket.import_id for ticket in plain)


def test_a_choice_looks_at_origins_not_at_imports() -> None:
    """Ten thousand that wait for a full origin do not slow down the choice of another."""
    line: OriginQueue[Ticket] = OriginQueue()
    for number in range(10_000):
        line.add(Ticket(f"a{number}", "p", "full"))
    line.add(Ticket("b", "p", "free"))
    asked: list[str] = []

    def has_room(origin: str) -> bool:
        asked.append(origin)
        return origin == "free"

    for _ in range(3):
        found = line.first(has_room)
        assert found is not None
        assert found.import_id == "b"
    assert asked == ["full", "free"] * 3
