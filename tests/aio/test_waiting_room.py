"""The room in which every limit has its callers wait: order, wake-ups and cancellation."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.aio.waiting_room import WaitingRoom


class Seats:
    """Something scarce, counted."""

    def __init__(self, count: int, *, is_strict: bool = False) -> None:
        self.free = count
        self.room = WaitingRoom(is_strict=is_strict)
        self.order: list[str] = []

    def take(self, size: int) -> bool:
        """Take so many if there are."""
        if size > self.free:
            return False
        self.free -= size
        return True

    def give_back(self, size: int) -> None:
        """Return them."""
        self.free += size
        self.room.admit()

    async def enter(self, name: str, size: int = 1) -> None:
        """Wait for so many."""
        await self.room.enter(lambda: self.take(size), lambda: self.give_back(size))
        self.order.append(name)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_whoever_came_first_is_let_in_first() -> None:
    """Each return lets in as many as find room, in order."""
    seats = Seats(1)
    tasks = [asyncio.create_task(seats.enter(name)) for name in "abc"]
    await settle()
    assert (seats.order, len(seats.room)) == (["a"], 2)
    seats.give_back(2)
    await asyncio.gather(*tasks)
    assert (seats.order, seats.free, len(seats.room)) == (["a", "b", "c"], 0, 0)


@pytest.mark.parametrize(("is_strict", "order"), [(False, ["small"]), (True, [])])
async def test_only_a_room_without_strict_order_lets_small_ones_pass(
    order: list[str], *, is_strict: bool
) -> None:
    """Where much is waited for, a strict room keeps the others behind it."""
    seats = Seats(1, is_strict=is_strict)
    big = asyncio.create_task(seats.enter("big", 2))
    await settle()
    small = asyncio.create_task(seats.enter("small", 1))
    await settle()
    assert seats.order == order
    big.cancel()  # What it alone held up goes on.
    await asyncio.gather(small, big, return_exceptions=True)
    assert seats.order == ["small"]


async def test_whoever_is_cancelled_before_its_turn_takes_nothing() -> None:
    """Room that is given back between the cancellation and its delivery goes to the next."""
    seats = Seats(0)
    first, second = (asyncio.create_task(seats.enter(name)) for name in "ab")
    await settle()
    first.cancel()
    seats.give_back(1)  # The first has not been told yet.
    await asyncio.gather(first, second, return_exceptions=True)
    assert first.cancelled()
    assert (seats.order, seats.free, len(seats.room)) == (["b"], 0, 0)


async def test_whoever_is_cancelled_in_its_turn_gives_back() -> None:
    """What was taken for it is there for the next."""
    seats = Seats(0)
    first, second = (asyncio.create_task(seats.enter(name)) for name in "ab")
    await settle()
    seats.give_back(1)  # The first has it, and does not know yet.
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert first.cancelled()
    assert (seats.order, seats.free, len(seats.room)) == (["b"], 0, 0)


STEP = st.tuples(st.sampled_from(["enter", "cancel", "leave", "run"]), st.integers(0, 3))


@given(
    steps=st.lists(STEP, max_size=40),
    is_strict=st.booleans(),
)
def test_nothing_is_lost_whatever_happens(steps: list[tuple[str, int]], *, is_strict: bool) -> None:
    """All that is taken comes back, and nobody waits while there is room for all."""

    async def play() -> None:
        seats, held = Seats(3, is_strict=is_strict), []
        tasks: list[tuple[asyncio.Task[None], int]] = []
        for step, number in steps:
            if step == "enter":
                size = number % 3 + 1
                tasks.append((asyncio.create_task(seats.enter("x", size)), size))
            elif step == "cancel" and tasks:
                tasks[number % len(tasks)][0].cancel()
            elif step == "leave" and held:
                seats.give_back(held.pop())
            else:
                await settle()
            held += [size for task, size in tasks if task.done() and not task.cancelled()]
            tasks = [(task, size) for task, size in tasks if not task.done()]
        while tasks or held:
            await settle()
            held += [size for task, size in tasks if task.done() and not task.cancelled()]
            tasks = [(task, size) for task, size in tasks if not task.done()]
            assert held or not tasks  # Else somebody waits for room that nobody will make.
            while held:
                seats.give_back(held.pop())
        assert (seats.free, len(seats.room)) == (3, 0)

    asyncio.run(play())
