"""One body being taken in: its staged file, guards and digests, over as many attempts as it needs."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from fetcher.aio.shield import shielded
from fetcher.config import Settings
from fetcher.guards import Chain
from fetcher.guards.base import Guard
from fetcher.importer.guard_times import GuardTimes
from fetcher.importer.receive.checkpoints import Checkpoint, Checkpoints
from fetcher.importer.receive.unpacking import (
    HeadPeer,
    Spared,
    Unpacking,
    UnpackingPeer,
    is_packed,
    read_head,
)
from fetcher.model import FormatVerdict
from fetcher.pipeline import OrderedQueues, Peer, PeerClock, Work, WorkerPool, pull
from fetcher.store.protocol import Staged, Store
from fetcher.store.reservation import Reservation


class _Tap:
    """Counts what passed the guards before it, for progress and for the room in the store.

    Args:
        use: Takes room for so many bytes; None where they have theirs.
    """

    def __init__(self, use: Callable[[int], None] | None, count: Callable[[int], None]) -> None:
        self._use = use
        self._count = count

    def feed(self, chunk: bytes) -> None:
        if self._use is not None:
            self._use(len(chunk))
        self._count(len(chunk))

    def finish(self) -> None:
        """Pass: counting judges nothing."""


class Receiver:
    """Takes in one body from its first byte to its last.

    An attempt that breaks off leaves everything as it is, so that the next
    one can go on with the byte after; a source that begins anew needs a new
    intake. After a crash, `replay` brings a new intake to where an earlier
    one was, from the bytes that it left.

    Args:
        staged: Where the bytes go; may hold the first of them already.
        chain: The guards of the body.
        unpacks: Whether a packed body is unpacked on its way: guards, digests and file then see its disk.
        algorithms: Which digests to compute.
        count: Told the size of every chunk that passed the guards.
        marked: Told of every checkpoint, in a thread of the workshop.
        times: Told how long each guard took.

    Attributes:
        received_bytes: As they came, packed if they were.
        kept_bytes: Of the image.
    """

    def __init__(  # noqa: PLR0913 - the parts of a pull meet here and nowhere else
        self,
        *,
        staged: Staged,
        store: Store,
        worker_pool: WorkerPool,
        settings: Settings,
        chain: Chain,
        unpacks: bool = False,
        algorithms: Sequence[str],
        reservation: Reservation,
        count: Callable[[int], None],
        times: GuardTimes,
        marked: Callable[[], None] = lambda: None,
    ) -> None:
        self.staged = staged
        self.reservation = reservation
        self.received_bytes = 0
        self.kept_bytes = 0
        self.is_marked = False
        self._unpacks = unpacks
        self._packed_guards: list[Guard] = []
        self._head: list[bytes] = []
        self._told_bytes = 0
        self._unpacking: Unpacking | None = None
        self._settings = settings
        self._store = store
        self._worker_pool = worker_pool
        self._count = count
        self._times = times
        self._chain = chain
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._marked = marked
        self._marks = Checkpoints(settings.resume.mark_bytes, lambda: None, self._mark)
        self._checkpoints = Checkpoints(settings.resume.checkpoint_bytes, staged.sync, marked)
        self._hashed_bytes = 0
        self._written_bytes = 0
        self._queues: OrderedQueues = worker_pool.lanes(self._works())

    def _works(self) -> list[Work]:
        others = [hasher.update for name, hasher in self._hashers.items() if name != "sha256"]
        return [*others, self._hash, self._write]

    def _hash(self, chunk: bytes) -> None:
        before, hasher = self._hashed_bytes, self._hashers["sha256"]
        hasher.update(chunk)
        self._hashed_bytes += len(chunk)
        if self._unpacking is not None:
            return  # A decoder cannot be saved, so no later process can go on from here.
        self._checkpoints.digested(before, self._hashed_bytes, hasher.hexdigest)
        self._marks.digested(before, self._hashed_bytes, hasher.hexdigest)

    def _write(self, chunk: bytes) -> None:
        before = self._written_bytes
        self._written_bytes += len(chunk)
        if self._written_bytes <= self.staged.size:
            return  # It came from there.
        self.staged.write(chunk)
        if self._unpacking is not None:
            return
        self._checkpoints.written(before, self._written_bytes)
        self._marks.written(before, self._written_bytes)

    def _mark(self) -> None:
        point = self._marks.latest()
        if point is not None:
            self.staged.mark(point.size, point.sha256)
        if not self.is_marked:
            self.is_marked = True
            self._marked()

    async def take(self, peer: Peer, clock: PeerClock) -> None:
        """Take in a peer's bytes to their end.

        Raises:
            SourceFailure: They broke off; `received_bytes` tells where.
            Failure: A guard or the store refused.
        """
        pace = self._chain.of_peer(clock)
        if self._unpacks:
            await read_head(self._head, peer, clock, [*pace, _Tap(None, self._receive)])
            peer, pace = HeadPeer(self._head, peer), [Spared(guard, len(self._head)) for guard in pace]
            self._told_bytes = self.received_bytes
            self._unpacks = False
            if is_packed(self._head):
                self._unpacking = self._open_unpacking()
        guards: list[Guard]
        if self._unpacking is None:
            guards = [*self._times.timed([*self._chain.guards, *pace]), _Tap(self._use, self._add)]
        else:
            packed = [*self._packed_guards, *pace, _Tap(None, self._receive)]
            peer, clock = UnpackingPeer(self._unpacking, peer, packed, clock), _own_clock()
            guards = [*self._times.timed(self._chain.guards), _Tap(self._use, self._keep)]
        await pull(peer, guards, self._queues, clock, piece_bytes=self._worker_pool.piece_bytes)

    def _open_unpacking(self) -> Unpacking:
        self._packed_guards = self._chain.of_packed()
        return Unpacking(self._worker_pool, self._settings, self._chain.submission, list(self._hashers))

    async def replay(self, peer: Peer, clock: PeerClock) -> None:
        """Bring guards and digests to where they were, from bytes that the staged file holds already.

        Raises:
            SourceFailure: At the peer's end, unless the bytes are a whole.
            Failure: A guard refused: it judges by the limits of today.
        """
        guards = [*self._chain.guards, _Tap(None, self._add)]
        try:
            await pull(peer, guards, self._queues, clock, piece_bytes=self._worker_pool.piece_bytes)
        finally:
            await self._queues.drain()

    def _use(self, size: int) -> None:
        self.reservation.use(size, self.kept_bytes + size - self.staged.size)

    def _add(self, size: int) -> None:
        self._keep(size)
        self._receive(size)

    def _receive(self, size: int) -> None:
        before, self._told_bytes = self._told_bytes, max(0, self._told_bytes - size)
        size -= before - self._told_bytes  # The first bytes were counted when they were looked at.
        self.received_bytes += size
        self._count(size)

    def _keep(self, size: int) -> None:
        self.kept_bytes += size

    @property
    def format(self) -> FormatVerdict | None:
        """Return what the bytes are, as far as that is known yet."""
        return self._chain.format

    @property
    def is_broken(self) -> bool:
        """Return whether a write or a digest has failed, so that nothing can be added."""
        return self._queues.failure is not None

    @property
    def fault(self) -> Exception | None:
        """Return what broke inside the format guard, if something did: a fault of ours, told as a refusal."""
        return self._chain.fault

    def digests(self) -> dict[str, str]:
        """Return the digests of what is kept, in lower-case hex."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def received_digests(self) -> dict[str, str]:
        """Return the digests of what was received: what a publisher's digest speaks of."""
        return self.digests() if self._unpacking is None else self._unpacking.digests()

    def story(self) -> dict[str, Any]:
        """Return what was done to the received bytes, by stage; nothing where they are kept as they came."""
        return {} if self._unpacking is None else self._unpacking.story()

    @property
    def is_resumable(self) -> bool:
        """Return whether a later process could go on from the staged bytes."""
        return self._unpacking is None

    def checkpoint(self) -> Checkpoint | None:
        """Return how much would survive a crash now."""
        return self._checkpoints.latest()

    async def park(self) -> Checkpoint:
        """Leave everything that was handed over to a later process; nothing but `close` may follow.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The disk refused it.
        """
        await self._queues.drain()
        await self._store.park(self.staged)
        return Checkpoint(self._written_bytes, self._hashers["sha256"].hexdigest())

    async def close(self, *, is_kept: bool = False) -> None:
        """Let no thread touch the file any more, and remove it unless it was committed or is kept.

        Runs to its end even when the task is cancelled meanwhile.
        """
        await shielded(self._close(is_kept=is_kept))

    async def _close(self, *, is_kept: bool) -> None:
        await self._queues.close()
        if self._unpacking is not None:
            await self._unpacking.close()
        if is_kept:
            self.staged.close()
        else:
            await self._store.discard(self.staged)


def _own_clock() -> PeerClock:
    """Return a clock that nobody asks: a peer's time counts while we wait for it, not while we unpack."""
    return PeerClock(asyncio.get_running_loop().time)
