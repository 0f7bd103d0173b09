"""Pieces that are made, and bytes that are fetched, before somebody asks for them."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from fetcher.errors import UnpackFailed
from fetcher.importer.receive.ahead import MAX_PIECES, FetchingBeside, PiecesAhead
from fetcher.pipeline import WorkerPool


@pytest.fixture
async def worker_pool():
    pool = WorkerPool(threads=2, buffer_bytes=1 << 20, piece_bytes=1 << 16)
    yield pool
    pool.close()


class Making:
    """Makes pieces of what it was given, each after it was let."""

    def __init__(self, count: int, failure: Exception | None = None) -> None:
        self.left: Iterator[bytes] = iter([b"%d" % number for number in range(count)])
        self.failure = failure
        self.made = 0
        self.has_work = True
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def make(self) -> bytes:
        self.may_go_on.wait(10)
        piece = next(self.left, b"")
        self.has_work = bool(piece)
        self.made += bool(piece)
        if not piece and self.failure is not None:
            raise self.failure
        return piece


def ahead_of(making: Making, worker_pool: WorkerPool) -> PiecesAhead:
    return PiecesAhead(worker_pool, make=making.make, has_work=lambda: making.has_work)


async def test_few_pieces_are_made_before_they_are_asked_for(worker_pool: WorkerPool) -> None:
    """They come in order, and no more than a few wait, so that memory is bounded."""
    making = Making(10)
    ahead = ahead_of(making, worker_pool)
    found = [await ahead.read()]
    while ahead._making is not None:
        await asyncio.sleep(0)
    assert making.made == 1 + MAX_PIECES
    while piece := await ahead.read():
        found.append(piece)
    assert found == [b"%d" % number for number in range(10)]


async def test_one_piece_waits_where_there_is_a_crowd(worker_pool: WorkerPool) -> None:
    """A hundred imports at once do not hold three pieces each."""
    worker_pool.is_crowded = True
    making = Making(10)
    ahead = ahead_of(making, worker_pool)
    await ahead.read()
    while ahead._making is not None:
        await asyncio.sleep(0)
    assert making.made == 2


async def test_a_failure_comes_behind_the_pieces_before_it(worker_pool: WorkerPool) -> None:
    """Pieces before the damage are read first, and the damage is told as often as it is asked for."""
    ahead = ahead_of(Making(2, UnpackFailed(packing="gzip", rule="damaged", reason="x")), worker_pool)
    ahead.go_on()
    while ahead._making is not None:
        await asyncio.sleep(0)
    assert [await ahead.read(), await ahead.read()] == [b"0", b"1"]
    for _ in range(2):
        with pytest.raises(UnpackFailed):
            await ahead.read()


async def test_no_thread_is_at_work_after_the_end(worker_pool: WorkerPool) -> None:
    """Whoever is closed in the middle of a piece waits for it, and makes no other."""
    making = Making(10)
    making.may_go_on.clear()
    ahead = ahead_of(making, worker_pool)
    ahead.go_on()
    await asyncio.sleep(0)
    closing = asyncio.create_task(ahead.close())
    await asyncio.sleep(0)
    assert not closing.done()
    making.may_go_on.set()
    await closing
    assert making.made == 1


async def test_a_fetch_goes_on_while_others_wait() -> None:
    """Its failure is for whoever waits for it, once, and not for whoever begins the next."""
    may_come, fetched = asyncio.Event(), []

    async def fetch() -> None:
        await may_come.wait()
        fetched.append(1)
        if len(fetched) == 2:
            raise ConnectionError

    fetching = FetchingBeside(fetch)
    assert not await fetching.wait()
    fetching.start()
    fetching.start()
    may_come.set()
    assert await fetching.wait()
    assert fetched == [1]
    fetching.start()
    while len(fetched) < 2:
        await asyncio.sleep(0)
    fetching.start()
    with pytest.raises(ConnectionError):
        await fetching.wait()
    assert fetched == [1, 1]
    assert not await fetching.wait()


async def test_a_fetch_ends_with_its_attempt() -> None:
    """A fetch that nobody waits for any more asks the peer for nothing."""
    ended = []

    async def fetch() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    fetching = FetchingBeside(fetch)
    fetching.start()
    await asyncio.sleep(0)
    await fetching.close()
    await fetching.close()
    assert ended == [True]
