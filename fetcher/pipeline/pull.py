"""The loop: read from the peer, ask every guard, hand over to digests and disk."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from fetcher.errors import SourceFailure
from fetcher.guards.base import Guard, is_divided
from fetcher.model import BLOCK_BYTES
from fetcher.pipeline.offload import OffloadThread
from fetcher.pipeline.worker_pool import OrderedQueues


class Peer(Protocol):
    """A source of bytes: one on the network, an upload, a staged file."""

    async def read(self) -> bytes:
        """Return the next bytes, as many as are there; empty at the honest end.

        Raises:
            Failure: The bytes ended in another way.
        """


class Handover(Exception):
    """The rest of a peer's bytes goes another way; those before are with the lanes, as they came."""


class PeerClock:
    """Counts only the time spent waiting for the peer, so that our own disk is never blamed on it.

    Args:
        now: A monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waited_seconds = 0.0
        self._since: float | None = None

    def __call__(self) -> float:
        """Seconds waited so far."""
        running = 0.0 if self._since is None else self._now() - self._since
        return self._waited_seconds + running

    def start(self) -> None:
        """The wait begins."""
        self._since = self._now()

    def stop(self) -> None:
        """The wait is over."""
        self._waited_seconds = self()
        self._since = None


async def pull(
    peer: Peer,
    guards: Sequence[Guard],
    lanes: OrderedQueues,
    clock: PeerClock,
    *,
    piece_bytes: Callable[[], int],
) -> None:
    """Take all bytes of a peer through the guards, then to the lanes, in order.

    A chunk that a guard refuses goes nowhere. What a guard has to do for longer
    than a moment, it does off the event loop, in its turn. Small chunks are joined up to
    about `piece_bytes()` before they are handed over. When this returns, every byte
    has been dealt with and every guard has passed the whole.

    Raises:
        SourceFailure: The peer's bytes broke off; those before are with the
            lanes, so that another peer can go on from there.
        Handover: Likewise, by the peer's own will.
        Failure: What a guard or a lane raised.
    """
    gathered = _Gathered()
    judges = Judges(guards, lanes.worker_pool.offload)
    try:
        while chunk := await _read(peer, clock):
            await judges.feed(chunk)
            gathered.add(chunk)
            if 2 * gathered.size > piece_bytes():  # A copy costs more than pieces of different length.
                await lanes.put(gathered.take_blocks(lanes.handed_bytes))
    except (SourceFailure, Handover):
        await _put_rest(gathered, lanes)
        raise
    await _put_rest(gathered, lanes)
    await judges.finish()
    await lanes.drain()


class Judges:
    """The guards of a stream, in their order; what a divided one leaves to do is done off the event loop."""

    def __init__(self, guards: Sequence[Guard], offload: OffloadThread) -> None:
        self._guards = [(guard, guard if is_divided(guard) else None) for guard in guards]
        self._offload = offload

    async def feed(self, chunk: bytes) -> None:
        """Show the next bytes to each guard; raises what one raises."""
        for guard, divided in self._guards:
            if divided is None:
                guard.feed(chunk)
            elif not divided.skim(chunk):
                await self._offload.run(divided.go_on)

    async def finish(self) -> None:
        """Have each guard judge the whole; raises what one raises."""
        for guard, divided in self._guards:
            if divided is None:
                guard.finish()
            else:
                await self._offload.run(partial(_finish, divided))


def _finish(guard: Guard) -> bool:
    guard.finish()
    return True


async def _put_rest(gathered: "_Gathered", lanes: OrderedQueues) -> None:
    if gathered.size:
        await lanes.put(gathered.take())


async def _read(peer: Peer, clock: PeerClock) -> bytes:
    clock.start()
    try:
        return await peer.read()
    finally:
        clock.stop()


class _Gathered:
    """Chunks that are on their way to become one piece."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes | memoryview] = []

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.size += len(chunk)

    def take(self) -> bytes:
        """Return all of it."""
        chunks, self._chunks, self.size = self._chunks, [], 0
        return chunks[0] if len(chunks) == 1 and isinstance(chunks[0], bytes) else b"".join(chunks)

    def take_blocks(self, offset: int) -> bytes:
        """Return all but the begun block at its end, so that pieces fit the blocks of a disk."""
        last = self._chunks[-1]
        begun = (offset + self.size) % BLOCK_BYTES
        if not 0 < begun < len(last):
            return self.take()
        self._chunks[-1] = memoryview(last)[:-begun]
        piece = self.take()
        self.add(bytes(last[-begun:]))
        return piece
