"""Ordered work of many imports on a few threads, with one budget of bytes for all of them."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

Work = Callable[[bytes], None]

TURN_BYTES = 4_194_304  # A lane gives its thread back after this much, so that others get their turn.


class Budget:
    """Bytes that have been received and not yet dealt with, over all imports.

    Whoever wants more than is left waits in line; one piece always fits when
    nothing else is out, however large it is.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.taken_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes fit."""
        if not self._waiting and self._fits(size):
            self.taken_bytes += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self._waiting.remove(entry)
                self._admit()
            raise

    def give_back(self, size: int) -> None:
        """Return bytes that have been dealt with."""
        self.taken_bytes -= size
        self._admit()

    def _fits(self, size: int) -> bool:
        return self.taken_bytes == 0 or self.taken_bytes + size <= self.total_bytes

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            self.taken_bytes += size
            turn.set_result(None)


class Workshop:
    """The threads and the byte budget that all imports share.

    Args:
        threads: How many digests and writes go on at once.
        buffer_bytes: Received and not yet dealt with, over all imports.
        piece_bytes: What is handed over at once when there is room.
    """

    LEAST_PIECE_BYTES = 16_384

    def __init__(self, *, threads: int, buffer_bytes: int, piece_bytes: int) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="workshop")
        self.budget = Budget(buffer_bytes)
        self.most_piece_bytes = piece_bytes
        self.open_lanes = 0

    def piece_bytes(self) -> int:
        """How much one import gathers before handing it over: less, the more imports there are."""
        share = self.budget.total_bytes // (4 * max(1, self.open_lanes))
        return max(self.LEAST_PIECE_BYTES, min(self.most_piece_bytes, share))

    def lanes(self, works: Sequence[Work]) -> "Lanes":
        """Open the lanes of one import: each piece goes through every work, each work in order."""
        return Lanes(self, works)

    def close(self) -> None:
        """End the threads when their work is done."""
        self.pool.shutdown(wait=True)


class _Piece:
    """One chunk on its way through all lanes of an import."""

    def __init__(self, chunk: bytes, lanes: int) -> None:
        self.chunk = chunk
        self.lanes_left = lanes


class _Lane:
    """One work of one import: pieces in order, never two at once."""

    def __init__(self, work: Work, owner: "Lanes") -> None:
        self.work = work
        self.owner = owner
        self.waiting: deque[_Piece] = deque()
        self.is_running = False

    def run(self) -> None:
        """Work through what waits; runs in a thread of the workshop."""
        turn_bytes = 0
        while True:
            with self.owner.lock:
                if not self.waiting or turn_bytes >= TURN_BYTES:
                    self.is_running = bool(self.waiting)
                    if self.is_running:
                        self.owner.start(self)
                    else:
                        self.owner.settle()
                    return
                piece = self.waiting.popleft()
            turn_bytes += len(piece.chunk)
            try:
                if self.owner.failure is None:
                    self.work(piece.chunk)
            except BaseException as error:  # noqa: BLE001 - carried to the import, which ends by it
                self.owner.failure = error
            self.owner.done_with(piece)


class Lanes:
    """The digests and the write of one import, side by side."""

    MOST_BYTES_AHEAD = 8_388_608  # More falls out of the processor's caches before it is hashed.

    def __init__(self, workshop: Workshop, works: Sequence[Work]) -> None:
        self.lock = threading.Lock()
        self.failure: BaseException | None = None
        self._workshop = workshop
        self._loop = asyncio.get_running_loop()
        self._lanes = [_Lane(work, self) for work in works]
        self._bytes_ahead = 0
        self._room = asyncio.Event()
        self._settled = asyncio.Event()
        self._room.set()
        self._settled.set()
        workshop.open_lanes += 1

    async def put(self, chunk: bytes) -> None:
        """Hand over the next bytes; waits while too many are on their way.

        Raises:
            Failure: What a work raised on an earlier piece.
        """
        await self._room.wait()
        self.raise_failure()
        await self._workshop.budget.take(len(chunk))
        self._bytes_ahead += len(chunk)
        if self._bytes_ahead >= self.MOST_BYTES_AHEAD:
            self._room.clear()
        self._settled.clear()
        piece = _Piece(chunk, len(self._lanes))
        with self.lock:
            for lane in self._lanes:
                lane.waiting.append(piece)
                if not lane.is_running:
                    lane.is_running = True
                    self.start(lane)

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
        self._workshop.open_lanes -= 1

    def raise_failure(self) -> None:
        """Raise what a work raised, in the import's own task."""
        if self.failure is not None:
            raise self.failure

    def start(self, lane: _Lane) -> None:
        """Give a lane to the next free thread."""
        self._workshop.pool.submit(lane.run)

    def done_with(self, piece: _Piece) -> None:
        """Count a piece off; the last lane gives its bytes back. Called from threads."""
        with self.lock:
            piece.lanes_left -= 1
            is_last = piece.lanes_left == 0
        if is_last:
            self._loop.call_soon_threadsafe(self._give_back, len(piece.chunk))

    def settle(self) -> None:
        """Tell the import when nothing waits or runs any more. Called from threads, under the lock."""
        if not any(lane.is_running or lane.waiting for lane in self._lanes):
            self._loop.call_soon_threadsafe(self._say_settled)

    def _say_settled(self) -> None:
        with self.lock:
            if not any(lane.is_running or lane.waiting for lane in self._lanes):
                self._settled.set()

    def _give_back(self, size: int) -> None:
        self._workshop.budget.give_back(size)
        self._bytes_ahead -= size
        if self._bytes_ahead < self.MOST_BYTES_AHEAD:
            self._room.set()
