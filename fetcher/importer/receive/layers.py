"""The layers between a source and a file: unpacking, and conversion of the bytes as they come."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fetcher.config import Settings
from fetcher.convert.streaming import HEAD_BYTES as IMAGE_HEAD_BYTES
from fetcher.convert.streaming import Staged as NotWhileItComes
from fetcher.convert.streaming import Streamable, may_stream, plan
from fetcher.errors import FormatUnsafe, TooManyBytes
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.base import Guard
from fetcher.importer.receive.converting import Converting, ConvertingPeer
from fetcher.importer.receive.head import HeadPeer, is_packed, read_head
from fetcher.importer.receive.unpacking import Unpacking, UnpackingPeer, wants_disk
from fetcher.importer.records.requests import target_of
from fetcher.model import Submission
from fetcher.pipeline import Judges, Peer, PeerClock, Watched, WorkerPool
from fetcher.store.protocol import Staged, Store
from fetcher.store.reservation import Reservation

ANY_ORDER = frozenset({"vmdk"})
"""Formats whose parts may come in an order that no converter can follow, which only their bytes show."""


def converts_pull(settings: Settings, submission: Submission) -> bool:
    """Return whether what a submission's URL gives becomes a raw disk while it comes in, where it can."""
    is_meant = target_of(submission, settings) == "raw" and submission.disk_format != "iso"
    return is_meant and wants_disk(submission)


def converts_upload(settings: Settings, submission: Submission) -> bool:
    """Return whether a body that somebody sends becomes a raw disk while it comes in, where it can.

    Only bytes that are judged: the guard's word on the image is what its head is compared with.
    """
    return settings.format.enforce_on_upload and converts_pull(settings, submission)


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """The bytes of one attempt that are to be kept, as they come, and what judges them.

    Args:
        last: Guards that count what all others have passed.
    """

    peer: Peer
    guards: list[Guard | Watched]
    clock: PeerClock
    last: list[Guard | Watched] = field(default_factory=list)


@dataclass(kw_only=True)
class Layers:
    """The layers of one body, decided by its first bytes and kept over all attempts to get it.

    Args:
        staged: Where the disk goes.
        chain: The guards of the image, as it is before any conversion.
        unpacks: Whether a packed body is unpacked.
        converts: Whether an image becomes a raw disk, if its head says that it can while it comes in.
        comes_once: Whether the bytes cannot be asked for again; then images whose heads do not show enough
            are left for the complete file.
        algorithms: Of the digests of what was received.
        timed: Puts clocks on guards.
        received: Called for every chunk that comes, packed if it was.
        put_aside: Called with the number of bytes that a conversion keeps beside the disk.

    Attributes:
        is_proven: Something else than the bytes shows whether all of them came.
        result: The guards of the disk that an image is converted to.
        is_plain: Bytes are kept as they come, as far as that is known.
    """

    staged: Staged
    store: Store
    worker_pool: WorkerPool
    settings: Settings
    chain: Chain
    unpacks: bool
    converts: bool
    comes_once: bool
    algorithms: Sequence[str]
    reservation: Reservation
    timed: Callable[[Sequence[Guard | Watched]], list[Guard | Watched]]
    received: Guard
    put_aside: Callable[[int], None]
    is_proven: bool = field(default=False, init=False)
    unpacking: Unpacking | None = field(default=None, init=False)
    converting: Converting | None = field(default=None, init=False)
    result: Chain | None = field(default=None, init=False)
    is_plain: bool = field(default=True, init=False)
    _packed_guards: list[Guard] = field(default_factory=list, init=False)
    _peers: list[UnpackingPeer | ConvertingPeer] = field(default_factory=list, init=False)
    _head: list[bytes] = field(default_factory=list, init=False)
    _image_head: list[bytes] = field(default_factory=list, init=False)

    async def open(self, peer: Peer, clock: PeerClock) -> Incoming:
        """Return what a peer's bytes become; looks at the first ones, where they have not been looked at.

        Raises:
            SourceFailure: They broke off before all is known; another attempt goes on.
            Failure: A guard of the peer refused, or they cannot be unpacked.
        """
        guards = [*self.chain.of_peer(clock), self.received]
        outer: list[Guard | Watched] = [*guards]
        if self.unpacks or (self.converts and self.unpacking is None):
            await self._look(peer, clock, guards)
            outer = [Watched(guard, seen_chunks=len(self._head)) for guard in guards]
            peer = HeadPeer(self._head, peer)
        incoming = self._unpacked(peer, clock, outer)
        if self.converts:
            incoming = await self._look_inside(incoming)
        return incoming if self.converting is None else self._converted(incoming, self.converting)

    async def _look(self, peer: Peer, clock: PeerClock, outer: Sequence[Guard]) -> None:
        """Find out whether a body is packed, and if it is not, what image it is."""
        head = await read_head(self._head, peer, clock, outer)
        if self.unpacks and is_packed(head):
            self._packed_guards = self.chain.of_packed()
            self.unpacking = Unpacking(
                self.worker_pool,
                self.settings,
                self.chain.submission,
                self.algorithms,
                is_proven=lambda: self.is_proven,
            )
            self.is_plain = False
        self.unpacks = False
        if self.converts and self.unpacking is None:
            if may_stream(head):
                head = await read_head(self._head, peer, clock, outer, IMAGE_HEAD_BYTES)
            await self._plan(head, self.algorithms)

    async def _look_inside(self, incoming: Incoming) -> Incoming:
        """Find out what image a packed body holds."""
        head = await read_head(self._image_head, incoming.peer, incoming.clock, ())
        if may_stream(head):
            head = await read_head(self._image_head, incoming.peer, incoming.clock, (), IMAGE_HEAD_BYTES)
        await self._plan(head, ())
        return Incoming(
            peer=HeadPeer(self._image_head, incoming.peer), guards=incoming.guards, clock=incoming.clock
        )

    async def _plan(self, head: bytes, algorithms: Sequence[str]) -> None:
        """Decide by an image's first bytes; what breaks a rule is left to the guards and to the stage."""
        self.converts = False
        try:
            found: Streamable | NotWhileItComes = plan(head)
        except FormatUnsafe:
            return
        if isinstance(found, Streamable) and not (self.comes_once and found.disk_format in ANY_ORDER):
            kept = await self.store.stage(f"{self.staged.name}-kept", 0)
            self.result = self.of_result()
            self.converting = Converting(
                found,
                target=self.staged,
                kept=kept,
                worker_pool=self.worker_pool,
                algorithms=algorithms,
                begin=lambda: self._take_room(found.virtual_bytes),
            )
            self.is_plain = False

    def of_result(self) -> Chain:
        """Return new guards for the disk that an image is converted to."""
        claims = Submission(url="", max_bytes=self.chain.submission.max_bytes, disk_format="raw")
        return Chain(GuardContext(purpose=Purpose.CONVERT, settings=self.settings, submission=claims))

    def _take_room(self, virtual_bytes: int) -> None:
        most = self.chain.submission.max_bytes
        if virtual_bytes > most:
            raise TooManyBytes(max_bytes=most, declared_bytes=virtual_bytes)
        self.reservation.expect(virtual_bytes)

    def _unpacked(self, peer: Peer, clock: PeerClock, outer: Sequence[Guard | Watched]) -> Incoming:
        if self.unpacking is None:
            *pace, received = outer
            guards = self.timed([*self.chain.guards, *pace])
            return Incoming(peer=peer, guards=guards, clock=clock, last=[received])
        inner = UnpackingPeer(
            self.unpacking, peer, Judges([*self._packed_guards, *outer], self.worker_pool.offload), clock
        )
        self._peers.append(inner)
        return Incoming(peer=inner, guards=self.timed(self.chain.guards), clock=_own_clock())

    def _converted(self, incoming: Incoming, converting: Converting) -> Incoming:
        assert self.result is not None
        judges = Judges([*incoming.guards, *incoming.last], self.worker_pool.offload)
        peer = ConvertingPeer(
            converting,
            incoming.peer,
            judges,
            incoming.clock,
            verdict=lambda: self.chain.format,
            put_aside=self.put_aside,
        )
        self._peers.append(peer)
        return Incoming(peer=peer, guards=self.timed(self.result.guards), clock=_own_clock())

    def digests(self) -> dict[str, str] | None:
        """Return the digests of what was received; None where that is what is kept."""
        for layer in (self.unpacking, self.converting):
            if layer is not None:
                return layer.digests()
        return None

    def story(self) -> dict[str, Any]:
        """Return what was done to the received bytes, by stage."""
        story: dict[str, Any] = {}
        for layer in (self.converting, self.unpacking):
            story |= {} if layer is None else layer.story()
        return story

    async def leave(self) -> None:
        """Ask the peer of this attempt for nothing more."""
        while self._peers:
            await self._peers.pop().close()  # What asks is ended before what it asks.

    async def close(self) -> None:
        """Let no thread touch them any more, and remove what a conversion kept beside the disk."""
        if self.unpacking is not None:
            await self.unpacking.close()
        if self.converting is not None:
            await self.converting.close()
            await self.store.discard(self.converting.kept)


def _own_clock() -> PeerClock:
    """Return a clock that nobody asks: a peer's time counts while we wait for it, not while we work."""
    return PeerClock(asyncio.get_running_loop().time)
