"""Ordered work of many imports on a few threads, with one budget of bytes for all of them."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Any, TypeVar

from fetcher.aio.shield import shielded
from fetcher.pipeline.budget import Budget
from fetcher.pipeline.offload import OffloadThread

R = TypeVar("R")
Work = Callable[[bytes], None]

TURN_BYTES = 4_194_304  # A lane gives its thread back after this much, so that others get their turn.


class WorkerPool:
    """The threads and the byte budget that all imports share.

    Args:
        threads: How many digests and writes go on at once.
        buffer_bytes: Received and not yet dealt with, over all imports.
        piece_bytes: What is handed over at once when there is room.

    Attributes:
        is_crowded: So many imports have bytes waiting that each is best served by one thread.
        offload: Where guards do what is too long for the event loop.
    """

    # The format guard holds as much of each import's end anyway, and each hand-over wakes threads.
    LEAST_PIECE_BYTES = 65_536

    def __init__(self, *, threads: int, buffer_bytes: int, piece_bytes: int) -> None:
        self.budget = Budget(buffer_bytes)
        self.offload = OffloadThread()
        self.most_piece_bytes = piece_bytes
        self.open_lanes = 0
        self.is_crowded = False
        self._busy = 0
        # A queue of its own: an executor makes a future for each turn, under one lock for the whole process.
        self._ready: SimpleQueue[_OrderedQueue | _Call | None] = SimpleQueue()
        # One thread stays for everybody else, whatever xz and bzip2 files come in at once.
        self._dear = asyncio.Semaphore(max(1, threads - 1))
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def piece_bytes(self) -> int:
        """Return how much one import gathers before handing it over: less, the more imports there are."""
        share = self.budget.total_bytes // (4 * max(1, self.open_lanes))
        return max(self.LEAST_PIECE_BYTES, min(self.most_piece_bytes, share))

    def lanes(self, works: Sequence[Work]) -> "OrderedQueues":
        """Open the lanes of one import: each piece goes through every work, each work in order."""
        return OrderedQueues(self, works)

    def count_busy(self, change: int) -> None:
        """Count imports that have bytes waiting; two thresholds keep the answer from flapping."""
        self._busy += change
        if self._busy > len(self._threads):
            self.is_crowded = True
        elif self._busy <= len(self._threads) // 2:
            self.is_crowded = False

    def start(self, lane: "_OrderedQueue") -> None:
        """Give a lane to the next free thread."""
        self._ready.put(lane)

    def has_waiting(self) -> bool:
        """Return whether a lane waits for a thread."""
        return not self._ready.empty()

    async def run(self, work: Callable[[], R], *, is_dear: bool = False) -> R:
        """Do a short piece of work in a thread, in turn with the lanes; runs to its end even when cancelled.

        Args:
            is_dear: It takes much of a processor; such works never have all threads at once.
        """
        async with self._dear if is_dear else nullcontext():
            call = _Call(work, asyncio.get_running_loop())
            self._ready.put(call)
            result: R
            result, error = await shielded(call.done)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the threads when their work is done."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        self.offload.close()

    def _work(self) -> None:
        while (lane := self._ready.get()) is not None:
            lane.run()


class _Call:
    """One piece of work with a waiting caller."""

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        self._work = work
        self._loop = loop

    def run(self) -> None:
        """Do it; runs in a thread."""
        result, failure = None, None
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised to the waiting caller
            failure = error
        self._loop.call_soon_threadsafe(self.done.set_result, (result, failure))


class _Piece:
    """One chunk on its way through all lanes of an import."""

    def __init__(self, chunk: bytes, lanes: int) -> None:
        self.chunk = chunk
        self.lanes_left = lanes


class _OrderedQueue:
    """Some works of one import: pieces in order, never two at once."""

    def __init__(self, works: Sequence[Work], owner: "OrderedQueues") -> None:
        self.works = works
        self.owner = owner
        self.waiting: deque[_Piece] = deque()
        self.is_running = False

    def run(self) -> None:
        """Work through what waits; runs in a thread of the worker pool."""
        turn_bytes = 0
        while True:
            with self.owner.lock:
                if not self.waiting:
                    self.is_running = False
                    self.owner.settle()
                    return
                if turn_bytes >= TURN_BYTES and self.owner.worker_pool.has_waiting():
                    self.owner.worker_pool.start(self)
                    return
                piece = self.waiting.popleft()
            turn_bytes += len(piece.chunk)
            try:
                if self.owner.failure is None:
                    for work in self.works:
                        work(piece.chunk)
            except BaseException as error:  # noqa: BLE001 - carried to the import, which ends by it
                self.owner.failure = error
            self.owner.done_with(piece)


class OrderedQueues:
    """The digests and the write of one import: side by side, or one after the other when it is crowded.

    With as many imports at work as there are threads, works side by side gain
    nothing, and cost a hand-over each for bytes that another thread's cache holds. Nor do they for a small
    body, or the beginning of a large one.
    """

    SMALL_BYTES = 262_144  # A body of no more is dealt with sooner than further threads are woken.
    MAX_BYTES_AHEAD = 8_388_608  # More falls out of the processor's caches before it is hashed.

    def __init__(self, worker_pool: WorkerPool, works: Sequence[Work]) -> None:
        self.lock = threading.Lock()
        self.failure: BaseException | None = None
        self.handed_bytes = 0
        self.worker_pool = worker_pool
        self._loop = asyncio.get_running_loop()
        self._works = tuple(works)
        self._is_one = False
        self._queues = [_OrderedQueue((work,), self) for work in works]
        self._bytes_ahead = 0
        self._room = asyncio.Event()
        self._settled = asyncio.Event()
        self._room.set()
        self._settled.set()
        worker_pool.open_lanes += 1

    async def put(self, chunk: bytes) -> None:
        """Hand over the next bytes; waits while too many are on their way.

        Raises:
            Failure: What a work raised on an earlier piece.
        """
        await self._room.wait()
        is_small = self.handed_bytes + len(chunk) <= self.SMALL_BYTES
        is_one = is_small or self.worker_pool.is_crowded
        if self._is_one is not is_one and len(self._works) > 1:
            await self._settled.wait()
            self._regroup(is_one=is_one)
        self.raise_failure()
        await self.worker_pool.budget.take(len(chunk))
        self._bytes_ahead += len(chunk)
        self.handed_bytes += len(chunk)
        if self._bytes_ahead >= self.MAX_BYTES_AHEAD:
            self._room.clear()
        if self._settled.is_set():
            self._settled.clear()
            self.worker_pool.count_busy(1)
        piece = _Piece(chunk, len(self._queues))
        with self.lock:
            for lane in self._queues:
                lane.waiting.append(piece)
                if not lane.is_running:
                    lane.is_running = True
                    self.worker_pool.start(lane)

    def _regroup(self, *, is_one: bool) -> None:
        """Deal with the works one by one or all in one; only while nothing waits or runs."""
        self._is_one = is_one
        groups = [self._works] if self._is_one else [(work,) for work in self._works]
        self._queues = [_OrderedQueue(group, self) for group in groups]

    async def drain(self) -> None:
        """Wait until everything handed over has been dealt with.

        Raises:
            Failure: What a work raised.
        """
        await self._settled.wait()
        self.raise_failure()

    async def close(self) -> None:
        """Drop what waits and wait for what runs; afterwards no thread touches this import."""
        if self.failure is None:
            self.failure = asyncio.CancelledError()
        while not self._settled.is_set():
            await self._settled.wait()
        self.worker_pool.open_lanes -= 1

    @property
    def is_settled(self) -> bool:
        """Return whether everything handed over has been dealt with."""
        return self._settled.is_set()

    def raise_failure(self) -> None:
        """Raise what a work raised, in the import's own task."""
        if self.failure is not None:
            raise self.failure

    def done_with(self, piece: _Piece) -> None:
        """Count a piece off; the last lane gives its bytes back. Called from threads."""
        with self.lock:
            piece.lanes_left -= 1
            is_last = piece.lanes_left == 0
        if is_last:
            self._loop.call_soon_threadsafe(self._give_back, len(piece.chunk))

    def settle(self) -> None:
        """Tell the import when nothing waits or runs any more. Called from threads, under the lock."""
        if not any(lane.is_running or lane.waiting for lane in self._queues):
            self._loop.call_soon_threadsafe(self._say_settled)

    def _say_settled(self) -> None:
        with self.lock:
            is_settled = not any(lane.is_running or lane.waiting for lane in self._queues)
        if is_settled and not self._settled.is_set():
            self._settled.set()
            self.worker_pool.count_busy(-1)

    def _give_back(self, size: int) -> None:
        self.worker_pool.budget.give_back(size)
        self._bytes_ahead -= size
        if self._bytes_ahead < self.MAX_BYTES_AHEAD:
            self._room.set()
