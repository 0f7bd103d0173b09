"""The fair queue: turns between projects, caps on projects and origins."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fetcher.config import load_settings
from fetcher.importer.schedule.queue import MAX_FOLLOWERS, FairQueue, Slot, Ticket
from fetcher.settings.imports import Imports


def caps(**changes: int) -> Imports:
    return msgspec.structs.replace(load_settings().imports, **changes)


def ids(taken) -> list[str]:
    return [ticket.import_id for _slot, ticket in taken]


def test_projects_take_turns() -> None:
    """One project's hundred imports never hold back another's first."""
    queue = FairQueue()
    for number in range(100):
        queue.add(Ticket(f"a{number}", "a", f"origin{number}"))
    queue.add(Ticket("b0", "b", "other"))
    assert ids(queue.take(caps(max_running=3))) == ["a0", "b0", "a1"]


def test_a_project_at_its_cap_waits() -> None:
    """A cap on a project leaves slots to the others."""
    queue = FairQueue()
    for number in range(3):
        queue.add(Ticket(f"a{number}", "a", f"origin{number}"))
    queue.add(Ticket("b0", "b", "origin0"))
    taken = list(queue.take(caps(max_running_per_project=1)))
    assert ids(taken) == ["a0", "b0"]
    queue.release(taken[0][0])
    assert ids(queue.take(caps(max_running_per_project=1))) == ["a1"]


def test_an_origin_at_its_cap_lets_others_pass() -> None:
    """A slow origin does not hold up its project's other origins."""
    queue = FairQueue()
    for name, origin in (("1", "slow"), ("2", "slow"), ("3", "fast")):
        queue.add(Ticket(name, "a", origin))
    assert ids(queue.take(caps(max_running_per_origin=1))) == ["1", "3"]
    assert len(queue) == 1


def test_a_crowd_follows_a_pull_by_and_by() -> None:
    """Of thousands that may follow a pull some are let in at a time; the others need no slot either."""
    queue, limits = FairQueue(), caps(max_running=1)
    for number in range(2 * MAX_FOLLOWERS + 50):
        queue.add(Ticket(f"{number}", "a", "x", request="same", is_shared=True))
    taken, counts = [], []
    for _ in range(3):
        some = list(queue.take(limits))
        taken += some
        counts.append((len(some), bool(queue.followed)))
    assert counts == [(MAX_FOLLOWERS + 1, True), (MAX_FOLLOWERS, True), (49, False)]
    assert len({slot for slot, _ticket in taken}) == 1
    assert len(set(ids(taken))) == 2 * MAX_FOLLOWERS + 50
    assert (list(queue.take(limits)), len(queue)) == ([], 0)


def test_what_is_left_of_a_crowd_waits_for_a_pull_of_its_own() -> None:
    """Nobody follows a pull that was sealed before their turn came."""
    queue, limits = FairQueue(), caps(max_running=1)
    for number in range(MAX_FOLLOWERS + 3):
        queue.add(Ticket(f"{number}", "a", "x", request="same", is_shared=True))
    slot = next(iter(list(queue.take(limits))))[0]
    assert queue.seal(slot)
    assert (list(queue.take(limits)), len(queue)) == ([], 2)
    queue.release(slot)
    assert len(list(queue.take(limits))) == 2


def test_a_dropped_import_never_starts() -> None:
    """A cancelled import leaves the line; an unknown one was not in it."""
    queue = FairQueue()
    queue.add(Ticket("1", "a", "x"))
    assert queue.drop("1")
    assert not queue.drop("1")
    assert ids(queue.take(caps())) == []


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=40),
    running=st.integers(1, 5),
    per_project=st.integers(1, 4),
    per_origin=st.integers(1, 3),
)
def test_caps_hold_and_everybody_runs_once(
    steps: list[tuple[str, str]], running: int, per_project: int, per_origin: int
) -> None:
    """Whatever is submitted, no cap is passed and no import is lost or run twice."""
    limits = caps(max_running=running, max_running_per_project=per_project, max_running_per_origin=per_origin)
    queue = FairQueue()
    for number, (project, origin) in enumerate(steps):
        queue.add(Ticket(str(number), project, origin))
    started: list[str] = []
    active: list[tuple[Slot, Ticket]] = []
    while True:
        active += queue.take(limits)
        assert len(active) <= running
        for slot, _ticket in active:
            assert sum(other.project_id == slot.project_id for other, _ in active) <= per_project
            assert sum(other.origin == slot.origin for other, _ in active) <= per_origin
        if not active:
            break
        slot, done = active.pop(0)
        started.append(done.import_id)
        queue.release(slot)
    assert sorted(started) == sorted(str(number) for number in range(len(steps)))


def alike(name: str, project: str = "a", request: str = "r") -> Ticket:
    return Ticket(name, project, "o", request, is_shared=True)


def test_equal_requests_share_a_slot() -> None:
    """Those who can follow a pull wait for nothing, whatever the caps, also when they come later."""
    queue, limits = FairQueue(), caps(max_running=1, max_running_per_project=1, max_running_per_origin=1)
    for number in range(3):
        queue.add(alike(str(number), f"project{number}"))
    queue.add(alike("other", request="s"))
    taken = list(queue.take(limits))
    assert ids(taken) == ["0", "1", "2"]
    assert len({slot for slot, _ in taken}) == 1
    queue.add(alike("late"))
    assert ids(queue.take(limits)) == ["late"]
    queue.release(taken[0][0])
    assert ids(queue.take(limits)) == ["other"]


def test_nobody_joins_a_sealed_pull_or_one_under_other_limits() -> None:
    """Bytes that are complete, or judged by the limits of before, are not for whoever comes now."""
    queue, limits = FairQueue(), caps(max_running_per_origin=2)
    queue.add(alike("0"))
    [(slot, _ticket)] = queue.take(limits)
    queue.add(alike("1"))
    [(second, _ticket)] = queue.take(caps(max_running_per_origin=2))
    assert second is not slot
    queue.seal(second)
    queue.add(alike("2"))
    assert ids(queue.take(limits)) == []
    queue.release(slot)
    assert ids(queue.take(limits)) == ["2"]


def test_further_connections_count_for_their_origin() -> None:
    """A pull with many connections leaves the limit for one origin as it is, and waiting imports go first."""
    queue, limits = FairQueue(), caps(max_running_per_origin=2)
    queue.add(Ticket("0", "a", "o"))
    assert ids(queue.take(limits)) == ["0"]
    assert queue.connect("o", limits)
    assert not queue.connect("o", limits)
    queue.add(Ticket("1", "a", "o"))
    assert ids(queue.take(limits)) == []
    queue.disconnect("o")
    assert ids(queue.take(limits)) == ["1"]


def test_whoever_has_nobody_before_it_begins_at_once() -> None:
    """Nobody is passed by, no cap is stepped over, and equal requests share the slot as they do in line."""
    queue, limits = FairQueue(), caps(max_running=3, max_running_per_project=2, max_running_per_origin=2)
    slot = queue.begin(Ticket("1", "a", "x", request="same", is_shared=True), limits)
    assert slot is not None
    assert queue.begin(Ticket("2", "a", "x", request="same", is_shared=True), limits) is None
    queue.add(Ticket("2", "a", "x", request="same", is_shared=True))
    assert queue.begin(Ticket("3", "b", "y"), limits) is None
    assert [(found, ticket.import_id) for found, ticket in queue.take(limits)] == [(slot, "2")]
    assert queue.begin(Ticket("4", "a", "y"), limits) is not None
    assert queue.begin(Ticket("5", "a", "z"), limits) is None
    assert queue.begin(Ticket("6", "b", "x"), limits) is not None
    assert queue.begin(Ticket("7", "c", "z"), limits) is None
    queue.release(slot)
    assert queue.begin(Ticket("8", "c", "x"), limits) is not None
    assert (queue.running, len(queue)) == (3, 0)


def test_whoever_begins_at_once_finds_no_more_room_at_an_origin_than_others() -> None:
    """The cap of an origin holds for those who need not wait, too."""
    queue, limits = FairQueue(), caps(max_running=9, max_running_per_project=9, max_running_per_origin=1)
    assert queue.begin(Ticket("1", "a", "x"), limits) is not None
    assert queue.begin(Ticket("2", "b", "x"), limits) is None
    assert queue.begin(Ticket("3", "b", "y"), limits) is not None
