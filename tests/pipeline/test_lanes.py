"""Lanes: order kept per work, one budget for all imports, nothing running after close."""

import asyncio
import threading

import pytest

from fetcher.errors import StoreFull
from fetcher.pipeline.lanes import Budget, Workshop


@pytest.fixture
def workshop():
    made = Workshop(threads=2, buffer_bytes=1_048_576, piece_bytes=65_536)
    yield made
    made.close()


async def test_every_work_sees_every_piece_in_order(workshop: Workshop) -> None:
    """A digest over pieces out of order would be a digest of something else."""
    seen: list[list[bytes]] = [[], [], []]
    lanes = workshop.lanes([sink.append for sink in seen])
    pieces = [bytes([number % 256]) * 1000 for number in range(500)]
    for piece in pieces:
        await lanes.put(piece)
    await lanes.drain()
    await lanes.close()
    assert seen == [pieces, pieces, pieces]


async def test_failure_of_a_work_ends_the_import(workshop: Workshop) -> None:
    """A full disk is told to the import, not to a thread's traceback."""

    def refuse(_chunk: bytes) -> None:
        raise StoreFull

    lanes = workshop.lanes([refuse])
    await lanes.put(b"x")
    with pytest.raises(StoreFull):
        await lanes.drain()
    await lanes.close()
    assert workshop.budget.taken_bytes == 0


async def test_close_waits_for_the_running_piece(workshop: Workshop) -> None:
    """After close no thread may touch the file: its descriptor may be another file's by then."""
    started, go_on = threading.Event(), threading.Event()
    seen: list[bytes] = []

    def slow(chunk: bytes) -> None:
        started.set()
        assert go_on.wait(10)
        seen.append(chunk)

    lanes = workshop.lanes([slow])
    await lanes.put(b"first")
    await lanes.put(b"second")
    assert await asyncio.to_thread(started.wait, 10)
    closing = asyncio.create_task(lanes.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert seen == [b"first"]
    assert workshop.open_lanes == 0


async def test_budget_is_shared_and_given_back(workshop: Workshop) -> None:
    """A slow disk of one import holds the readers of all back before memory fills."""
    gate = threading.Event()
    lanes = workshop.lanes([lambda _chunk: gate.wait(10) or None])  # type: ignore[func-returns-value]
    other = workshop.lanes([lambda _chunk: None])
    await lanes.put(bytes(1_048_576))
    waiting = asyncio.create_task(other.put(b"x"))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    await waiting
    await lanes.drain()
    await other.drain()
    await lanes.close()
    await other.close()
    assert workshop.budget.taken_bytes == 0


async def test_budget_survives_cancelled_waiters() -> None:
    """A cancelled import neither keeps bytes nor blocks the line."""
    budget = Budget(10)
    await budget.take(10)
    first, second = asyncio.create_task(budget.take(5)), asyncio.create_task(budget.take(5))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    budget.give_back(10)
    await second
    assert budget.taken_bytes == 5
    third = asyncio.create_task(budget.take(10))
    await asyncio.sleep(0)
    budget.give_back(5)
    third.cancel()  # Its turn has come, but it has not yet noticed.
    await asyncio.wait({third})
    assert budget.taken_bytes == 0


async def test_one_piece_larger_than_the_budget_still_passes() -> None:
    """A small budget slows down; it never stops."""
    budget = Budget(10)
    await budget.take(100)
    budget.give_back(100)
    assert budget.taken_bytes == 0


async def test_pieces_shrink_with_the_number_of_imports(workshop: Workshop) -> None:
    """A thousand imports cannot each hold a mebibyte."""
    alone = workshop.lanes([])
    large = workshop.piece_bytes()
    many = [workshop.lanes([]) for _ in range(50)]
    assert (large, workshop.piece_bytes()) == (65_536, Workshop.LEAST_PIECE_BYTES)
    for lanes in (alone, *many):
        await lanes.close()


async def test_a_long_lane_gives_its_thread_to_others() -> None:
    """One big import does not hold the only thread while others wait."""
    workshop = Workshop(threads=1, buffer_bytes=64 << 20, piece_bytes=1 << 20)
    order: list[str] = []
    first = workshop.lanes([lambda _chunk: order.append("first")])
    second = workshop.lanes([lambda _chunk: order.append("second")])
    block = threading.Event()
    workshop.pool.submit(block.wait, 10)
    for _ in range(7):
        await first.put(bytes(1 << 20))
    await second.put(b"x")
    block.set()
    await first.drain()
    await second.drain()
    assert order.index("second") == 4
    await first.close()
    await second.close()
    workshop.close()
