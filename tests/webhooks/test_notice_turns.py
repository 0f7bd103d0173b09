"""Whose receiver is told next."""

from datetime import UTC, datetime

import msgspec

from fetcher.config import load_settings
from fetcher.index.values import Due, WebhookTarget
from fetcher.webhooks.notice_turns import Turns, receiver_key

RULES = load_settings().notify


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def due(project: str, number: int, url: str = "https://r.example/") -> Due:
    moment = datetime(2026, 1, 1, second=number, tzinfo=UTC)
    return Due(
        import_id=f"{project}{number}", project_id=project, webhook=WebhookTarget(url=url), due_at=moment
    )


def test_i17_projects_take_turns() -> None:
    """However many one has, and however long they wait, the next is another's."""
    turns = Turns(Clock())
    turns.begin(due("a", 1))
    assert [one.project_id for one in turns.in_turn([due("a", 2), due("b", 9)])] == ["b", "a"]
    turns.begin(due("b", 9))
    assert [one.project_id for one in turns.in_turn([due("b", 10), due("a", 2)])] == ["a", "b"]


def test_i17_some_room_is_left_for_projects_that_have_none() -> None:
    """Two projects with dead receivers do not take all deliveries at once."""
    turns, started = Turns(Clock()), 0
    for number in range(8):
        for project in ("a", "b"):
            if project not in turns.full_projects(RULES) and len(turns.running) < RULES.max_running:
                turns.begin(due(project, number))
                started += 1
    assert started < RULES.max_running
    assert "c" not in turns.full_projects(RULES)


def test_i17_receivers_that_failed_have_half_of_all_room() -> None:
    """And are in the common lane again as soon as they answer, or after a while."""
    clock = Clock()
    turns = Turns(clock)
    dead = due("a", 1, "https://dead.example/")
    turns.begin(dead)
    turns.end(dead, is_delivered=False)
    assert turns.slow_receivers(RULES) == []
    more = [msgspec.structs.replace(dead, import_id=str(number)) for number in range(RULES.max_running // 2)]
    for one in more:
        turns.begin(one)
    assert turns.slow_receivers(RULES) == [receiver_key(dead)]
    turns.end(more[0], is_delivered=True)
    assert turns.slow_receivers(RULES) == []


def test_i17_waits_do_not_hang_on_the_date() -> None:
    """They are over when so much time has passed, whatever the clock on the wall says."""
    clock = Clock()
    turns = Turns(clock)
    turns.postpone("x", 10.0)
    assert turns.waits() == ([], ["x"])
    assert turns.seconds_left(60.0) == 10.0
    clock.now = 10.0
    assert turns.waits() == (["x"], [])
    turns.forget("x")
    assert turns.seconds_left(60.0) == 60.0
