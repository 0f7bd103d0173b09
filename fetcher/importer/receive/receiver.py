"""One body being taken in: its staged file, guards and digests, over as many attempts as it needs."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from fetcher.aio.shield import shielded
from fetcher.config import Settings
from fetcher.errors import SourceFailure
from fetcher.guards import Chain
from fetcher.guards.base import EachChunk
from fetcher.importer.receive.checkpoints import Checkpoint, Checkpoints
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.converting import ConvertingPeer
from fetcher.importer.receive.layers import Layers
from fetcher.importer.receive.staged_peer import read_back
from fetcher.model import FormatVerdict
from fetcher.pipeline import GuardTimes, Handover, OrderedQueues, Peer, PeerClock, Work, WorkerPool, pull
from fetcher.store.protocol import Staged, Store
from fetcher.store.reservation import Reservation


class _Tap(EachChunk):
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


class Receiver:
    """Takes in one body from its first byte to its last.

    An attempt that breaks off leaves everything as it is, so that the next
    one can go on with the byte after; a source that begins anew needs a new
    receiver. After a crash, `replay` brings a new receiver to where an earlier
    one was, from the bytes that it left.

    Args:
        staged: Where the bytes go; may hold the first of them already.
        chain: The guards of the body.
        unpacks: Whether a packed body is unpacked on its way: guards, digests and file then see its disk.
        converts: Whether an image becomes a raw disk on its way, where its head says that it can: digests and
            file then see the disk.
        comes_once: Whether the bytes cannot be asked for again.
        algorithms: Which digests to compute.
        address: The one of them that will name the bytes; checkpoints hold it, too.
        received: Of these, which to compute of what was received, where that is not what is kept.
        count: Called with the size of every chunk that passed the guards.
        marked: Called at every checkpoint, in a thread of the worker pool.
        times: Collects how long each guard took.

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
        converts: bool = False,
        comes_once: bool = False,
        algorithms: Sequence[str],
        address: str,
        received: Sequence[str] | None = None,
        reservation: Reservation,
        count: Callable[[int], None],
        times: GuardTimes,
        marked: Callable[[], None] = lambda: None,
    ) -> None:
        self.staged, self.reservation = staged, reservation
        self.received_bytes = self.kept_bytes = 0
        self.is_marked = False
        self._store = store
        self._worker_pool = worker_pool
        self._count = count
        self._times = times
        self._chain = chain
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._address, self._marked = address, marked
        self._marks = Checkpoints(settings.resume.mark_bytes, lambda: None, self._mark)
        self._checkpoints = Checkpoints(settings.resume.checkpoint_bytes, staged.sync, marked)
        self._least_point = min(settings.resume.mark_bytes, settings.resume.checkpoint_bytes)
        self._hashed_bytes = self._written_bytes = 0
        self._queues: OrderedQueues = worker_pool.lanes(self._works())
        self._digests: dict[str, str] | None = None
        self._is_whole = self._is_broken = False
        self._layers = Layers(
            staged=staged,
            store=store,
            worker_pool=worker_pool,
            settings=settings,
            chain=chain,
            unpacks=unpacks,
            converts=converts,
            comes_once=comes_once,
            algorithms=algorithms if received is None else received,
            reservation=reservation,
            timed=times.timed,
            received=_Tap(None, self._receive),
            put_aside=self._put_aside,
        )

    def _works(self) -> list[Work]:
        others = [hasher.update for name, hasher in self._hashers.items() if name != self._address]
        return [*others, self._hash, self._write]

    def _hash(self, chunk: bytes) -> None:
        before, hasher = self._hashed_bytes, self._hashers[self._address]
        hasher.update(chunk)
        self._hashed_bytes += len(chunk)
        if not self._layers.is_plain or self._hashed_bytes < self._least_point:
            return  # Few bytes have no point; of a decoder, which cannot be saved, no later process goes on.
        self._checkpoints.digested(before, self._hashed_bytes, hasher.hexdigest)
        self._marks.digested(before, self._hashed_bytes, hasher.hexdigest)

    def _write(self, chunk: bytes) -> None:
        before = self._written_bytes
        self._written_bytes += len(chunk)
        if self._written_bytes <= self.staged.size:
            return  # It came from there.
        self.staged.write(chunk)
        if not self._layers.is_plain or self._written_bytes < self._least_point:
            return
        self._checkpoints.written(before, self._written_bytes)
        self._marks.written(before, self._written_bytes)

    def _mark(self) -> None:
        point = self._marks.latest()
        if point is not None:
            self.staged.mark(point.size, point.digest)
        if not self.is_marked:
            self.is_marked = True
            self._marked()

    async def take(self, peer: Peer, clock: PeerClock, *, is_proven: bool = False) -> None:
        """Take in a peer's bytes to their end.

        Args:
            is_proven: Something else than the bytes shows whether all of them came: a length that is kept,
                or a digest that is compared later.

        Raises:
            SourceFailure: They broke off; `received_bytes` shows where.
            Failure: A guard or the store refused.
        """
        self._layers.is_proven = is_proven
        try:
            await self._take(peer, clock)
        except SourceFailure:
            raise  # The next attempt goes on with the byte after.
        except BaseException:
            self._is_broken = not self._layers.is_plain  # What had come out of a layer is lost.
            raise
        finally:
            if not self._layers.is_plain:
                await shielded(self._layers.leave())
        self._is_whole = True

    async def _take(self, peer: Peer, clock: PeerClock) -> None:
        incoming = await self._layers.open(peer, clock)
        guards = [*incoming.guards, _Tap(self._use, self._keep), *incoming.last]
        try:
            await pull(
                incoming.peer, guards, self._queues, incoming.clock, piece_bytes=self._worker_pool.piece_bytes
            )
        except Handover:
            assert isinstance(incoming.peer, ConvertingPeer)
            await self._scatter(incoming.peer)

    async def _scatter(self, peer: ConvertingPeer) -> None:
        """Have the rest of a disk written at its places; then judge and digest it from its file."""
        await self._queues.drain()
        await peer.scatter()
        self.kept_bytes = self.staged.size
        self._layers.result = self._layers.of_result()
        self._digests = await read_back(
            self._store, self.staged, self._layers.result, list(self._hashers), self._worker_pool
        )

    async def replay(self, peer: Peer, clock: PeerClock) -> None:
        """Bring guards and digests to where they were, from bytes that the staged file holds already.

        Raises:
            SourceFailure: At the peer's end, unless the bytes are a whole.
            Failure: A guard refused: it judges by the limits of today.
        """
        guards = [*self._chain.guards, _Tap(None, self._keep), _Tap(None, self._receive)]
        try:
            await pull(peer, guards, self._queues, clock, piece_bytes=self._worker_pool.piece_bytes)
        finally:
            await self._queues.drain()

    def _use(self, size: int) -> None:
        self.reservation.use(size, self.kept_bytes + size - self.staged.size)

    def _receive(self, size: int) -> None:
        self.received_bytes += size
        self._count(size)

    def _keep(self, size: int) -> None:
        self.kept_bytes += size

    def _put_aside(self, size: int) -> None:
        self.reservation.use(size, self.kept_bytes - self.staged.size)

    @property
    def format(self) -> FormatVerdict | None:
        """Return what the bytes are, as far as that is known yet; of a converted image when it is whole."""
        result = self._layers.result
        return result.format if self._is_whole and result is not None else self._chain.format

    @property
    def is_broken(self) -> bool:
        """Return whether a write or a digest has failed, so that nothing can be added."""
        return self._queues.failure is not None or self._is_broken

    @property
    def fault(self) -> Exception | None:
        """Return what broke inside the format guard, if anything: a fault of ours, reported as a refusal."""
        return self._chain.fault

    def digests(self) -> dict[str, str]:
        """Return the digests of what is kept, in lower-case hex."""
        return self._digests or {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def complete(self) -> Complete:
        """Return what was taken in, once it is whole."""
        digests = received = self.digests()
        stages: dict[str, Any] = {}
        if not self._layers.is_plain:
            received, stages = self._layers.digests() or digests, self._layers.story()
        return Complete(
            staged=self.staged,
            size=self.kept_bytes,
            digests=digests,
            received_digests=received,
            format=self.format,
            received_bytes=self.received_bytes,
            stages=stages,
        )

    @property
    def is_resumable(self) -> bool:
        """Return whether a later process could go on from the staged bytes."""
        return self._layers.is_plain

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
        return Checkpoint(self._written_bytes, self._hashers[self._address].hexdigest())

    async def close(self, *, is_kept: bool = False) -> None:
        """Let no thread touch the file any more, and remove it unless it was committed or is kept.

        Runs to its end even when the task is cancelled meanwhile.
        """
        closing = self._close(is_kept=is_kept)
        # What has come to its end has nothing to wait for, and so nothing that could be cancelled.
        await (closing if self._is_over and not is_kept else shielded(closing))

    @property
    def _is_over(self) -> bool:
        return self.staged.is_moved and self._layers.is_plain and self._queues.is_settled

    async def _close(self, *, is_kept: bool) -> None:
        await self._queues.close()
        await self._layers.close()
        if is_kept:
            self.staged.close()
        else:
            await self._store.discard(self.staged)
