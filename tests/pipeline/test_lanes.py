"""Lanes: order kept per work, one budget for all imports, nothing running after close."""

import asyncio
import threading

import pytest

from fetcher.errors import StoreFull
from fetcher.pipeline.worker_pool import OrderedQueues, Work, WorkerPool


@pytest.fixture
def worker_pool():
    made = WorkerPool(threads=2, buffer_bytes=1_048_576, piece_bytes=65_536)
    yield made
    made.close()


async def test_every_work_sees_every_piece_in_order(worker_pool: WorkerPool) -> None:
    """A digest over pieces out of order would be a digest of something else."""
    seen: list[list[bytes]] = [[], [], []]
    lanes = worker_pool.lanes([sink.append for sink in seen])
    pieces = [bytes([number % 256]) * 1000 for number in range(500)]
    for piece in pieces:
        await lanes.put(piece)
    await lanes.drain()
    await lanes.close()
    assert seen == [pieces, pieces, pieces]


async def test_failure_of_a_work_ends_the_import(worker_pool: WorkerPool) -> None:
    """A full disk is told to the import, not to a thread's traceback."""

    def refuse(_chunk: bytes) -> None:
        raise StoreFull

    lanes = worker_pool.lanes([refuse])
    await lanes.put(b"x")
    with pytest.raises(StoreFull):
        await lanes.drain()
    await lanes.close()
    assert worker_pool.budget.taken_bytes == 0


async def test_close_waits_for_the_running_piece(worker_pool: WorkerPool) -> None:
    """After close no thread may touch the file: its descriptor may be another file's by then."""
    started, go_on = threading.Event(), threading.Event()
    seen: list[bytes] = []

    def slow(chunk: bytes) -> None:
        started.set()
        assert go_on.wait(10)
        seen.append(chunk)

    lanes = worker_pool.lanes([slow])
    await lanes.put(b"first")
    await lanes.put(b"second")
    assert await asyncio.to_thread(started.wait, 10)
    closing = asyncio.create_task(lanes.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert seen == [b"first"]
    assert worker_pool.open_lanes == 0


async def test_budget_is_shared_and_given_back(worker_pool: WorkerPool) -> None:
    """A slow disk of one import holds the readers of all back before memory fills."""
    gate = threading.Event()
    lanes = worker_pool.lanes([lambda _chunk: gate.wait(10) or None])  # type: ignore[func-returns-value] # a consumer returns nothing
    other = worker_pool.lanes([lambda _chunk: None])
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
    assert worker_pool.budget.taken_bytes == 0


async def test_pieces_shrink_with_the_number_of_imports() -> None:
    """A thousand imports cannot each hold a mebibyte."""
    worker_pool = WorkerPool(threads=1, buffer_bytes=64 << 20, piece_bytes=1 << 20)
    alone = worker_pool.lanes([])
    large = worker_pool.piece_bytes()
    many = [worker_pool.lanes([]) for _ in range(999)]
    assert (large, worker_pool.piece_bytes()) == (1 << 20, WorkerPool.LEAST_PIECE_BYTES)
    assert worker_pool.budget.total_bytes >= 1000 * WorkerPool.LEAST_PIECE_BYTES
    for lanes in (alone, *many):
        await lanes.close()
    worker_pool.close()


async def test_a_long_lane_gives_its_thread_to_others() -> None:
    """One big import does not hold the only thread while others wait."""
    worker_pool = WorkerPool(threads=1, buffer_bytes=64 << 20, piece_bytes=1 << 20)
    order: list[str] = []
    first = worker_pool.lanes([lambda _chunk: order.append("first")])
    second = worker_pool.lanes([lambda _chunk: order.append("second")])
    block = threading.Event()
    third = worker_pool.lanes([lambda _chunk: block.wait(10) or None])  # type: ignore[func-returns-value] # a consumer returns nothing
    await third.put(b"x")
    for _ in range(7):
        await first.put(bytes(1 << 20))
    await second.put(b"x")
    block.set()
    await first.drain()
    await second.drain()
    assert order.index("second") == 4
    for lanes in (first, second, third):
        await lanes.close()
    worker_pool.close()


async def test_what_lanes_wait_for_goes_before_what_waits() -> None:
    """A decoder has its turn before digests that wait: without it they have nothing to do a moment later."""
    worker_pool = WorkerPool(threads=1, buffer_bytes=1 << 20, piece_bytes=1 << 16)
    block = threading.Event()
    order: list[str] = []
    running = worker_pool.lanes([lambda _chunk: block.wait(10) or None])  # type: ignore[func-returns-value] # a consumer returns nothing
    waiting = worker_pool.lanes([lambda _chunk: order.append("digest")])
    await running.put(b"x")
    await waiting.put(b"x")
    others = [
        asyncio.create_task(worker_pool.run(lambda: order.append("other"))),
        asyncio.create_task(worker_pool.run(lambda: order.append("decoder"), is_first=True)),
    ]
    await asyncio.sleep(0)
    block.set()
    await asyncio.gather(*others)
    for lanes in (running, waiting):
        await lanes.drain()
        await lanes.close()
    worker_pool.close()
    assert order == ["decoder", "digest", "other"]


async def test_works_of_a_crowd_are_done_one_by_one_and_in_order() -> None:
    """With more imports than threads each is served by one thread at a time; no piece is lost or turned."""
    worker_pool = WorkerPool(threads=2, buffer_bytes=1 << 20, piece_bytes=1 << 10)
    block = threading.Event()
    seen: list[list[list[bytes]]] = [[[], []] for _ in range(8)]

    def works(sinks: list[list[bytes]]) -> list[Work]:
        return [lambda chunk, sink=sink: (block.wait(10), sink.append(chunk))[1] for sink in sinks]  # type: ignore[misc] # bound to its sink by a default

    crowd = [worker_pool.lanes(works(sinks)) for sinks in seen]
    pieces = [bytes([number]) * 10 for number in range(50)]

    async def feed(lanes: OrderedQueues) -> None:
        for piece in pieces:
            await lanes.put(piece)
        await lanes.drain()

    feeding = [asyncio.create_task(feed(lanes)) for lanes in crowd]
    while not worker_pool.is_crowded:
        await asyncio.sleep(0)
    block.set()
    await asyncio.gather(*feeding)
    assert seen == [[pieces, pieces]] * 8
    assert not worker_pool.is_crowded
    for lanes in crowd:
        await lanes.close()
    worker_pool.close()


async def test_a_small_body_is_dealt_with_by_one_thread(worker_pool: WorkerPool) -> None:
    """All works of a small body follow each other in one thread; those of a larger one run side by side."""
    small = OrderedQueues.SMALL_BYTES
    threads: list[int] = []
    meeting = threading.Barrier(2)

    def note(_chunk: bytes) -> None:
        threads.append(threading.get_ident())

    lanes = worker_pool.lanes([note, note, note])
    await lanes.put(bytes(small))
    await lanes.drain()
    await lanes.close()
    assert len(threads) == 3
    assert len(set(threads)) == 1

    def meet(chunk: bytes) -> None:
        if len(chunk) > small:
            meeting.wait(10)  # Broken where one thread does both.

    lanes = worker_pool.lanes([meet, meet])
    await lanes.put(bytes(small))
    await lanes.put(bytes(small + 1))
    await lanes.drain()
    await lanes.close()
