"""The stage between what was received and what is judged and kept: packed bytes in, a disk out."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.guards.base import Guard
from fetcher.model import Submission
from fetcher.pipeline import Judges, OrderedQueues, Peer, PeerClock, WorkerPool
from fetcher.unpack import (
    HEAD_BYTES,
    MAX_PIECE_BYTES,
    Evidence,
    Piece,
    Unpacker,
    UnpackLimits,
    plain,
    recognise,
)

DEAR_WEIGHT = 10  # Of xz and bzip2, which keep a whole processor busy.
MAX_NOTED = 64  # Members that are told by name; an archive may have a thousand.
AMAZON = frozenset({"ami", "ari", "aki"})  # Kernels and ramdisks are booted from as they are packed.


def unpacks_pull(settings: Settings, submission: Submission) -> bool:
    """Return whether what a submission's URL gives is unpacked, if it is packed.

    A copy of another service's image stays as it is there; so does what is
    asked for as a container.
    """
    return settings.unpack.enabled and submission.remote is None and wants_disk(submission)


def unpacks_upload(settings: Settings, submission: Submission) -> bool:
    """Return whether a body that somebody sends is unpacked, if it is packed."""
    rule = settings.unpack.uploads
    is_meant = rule == "always" or (rule == "not-raw" and submission.disk_format != "raw")
    return settings.unpack.enabled and is_meant and wants_disk(submission)


def wants_disk(submission: Submission) -> bool:
    """Return whether a submission is for a disk by itself, in no container."""
    return submission.container_format in (None, "bare") and submission.disk_format not in AMAZON


def limits_of(settings: Settings, max_bytes: int) -> UnpackLimits:
    """Return what one unpacking may cost, by the operator's settings and the most that may come out."""
    rules = settings.unpack
    return UnpackLimits(
        max_output_bytes=max_bytes,
        max_layer_bytes=max(rules.max_layer_bytes, max_bytes),
        max_streams=rules.max_streams,
        max_members=rules.max_members,
        max_layers=rules.max_layers,
        max_window_bytes=rules.max_window_bytes,
    )


class Unpacking:
    """The unpacking of one body, over as many attempts as it takes: a broken connection leaves it as it is.

    Args:
        algorithms: Of the digests of what was received.
    """

    def __init__(
        self, worker_pool: WorkerPool, settings: Settings, submission: Submission, algorithms: Sequence[str]
    ) -> None:
        self._unpacker = Unpacker(limits=limits_of(settings, submission.max_bytes), disk=submission.disk)
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._worker_pool = worker_pool
        self._pieces: Iterator[Piece] = iter(())
        self._is_over = False
        self.received_bytes = 0
        self.queues: OrderedQueues = worker_pool.lanes([hasher.update for hasher in self._hashers.values()])

    async def feed(self, chunk: bytes) -> None:
        """Take the next packed bytes; what they give is there to be read."""
        await self.queues.put(chunk)
        self.received_bytes += len(chunk)
        self._pieces = self._unpacker.feed(chunk)

    async def finish(self) -> None:
        """Take the end; afterwards only what is left is there to be read."""
        if not self._is_over:
            self._is_over = True
            await self.queues.drain()
            self._pieces = self._unpacker.finish()

    async def read(self) -> bytes:
        """Return what comes next of the disk, about a mebibyte; nothing where more has to be fed.

        Raises:
            Failure: As `Unpacker.feed` and `Unpacker.finish`.
        """
        is_dear = self._unpacker.weight >= DEAR_WEIGHT
        return await self._worker_pool.run(self._next, is_dear=is_dear)

    def _next(self) -> bytes:
        """Join small pieces, so that each wakes nobody; runs in a thread."""
        parts: list[bytes | memoryview] = []
        size = 0
        for piece in self._pieces:
            parts.append(plain(piece))
            size += len(piece)
            if 2 * size > MAX_PIECE_BYTES:
                break
        return b"".join(parts)

    def digests(self) -> dict[str, str]:
        """Return the digests of what was received, packed as it was."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def story(self) -> dict[str, Any]:
        """Return what was received, how it was unpacked and what was found on the way, in JSON's terms."""
        plan, evidence = self._unpacker.plan, self._unpacker.evidence
        return {
            "received": {"bytes": self.received_bytes, "digests": self.digests()},
            "unpacked": {
                "plan": str(plan),
                "layers": [msgspec.to_builtins(layer) for layer in plan.layers],
                "manifest": evidence.manifest,
                "signature": evidence.signature,
                "members": dict(list(evidence.digests.items())[:MAX_NOTED]),
                "skipped": evidence.skipped[:MAX_NOTED],
                "facts": evidence.facts,
            },
            **_suggested(evidence),
        }

    async def close(self) -> None:
        """Let no thread touch it any more."""
        await self.queues.close()


def _suggested(evidence: Evidence) -> dict[str, Any]:
    found = {
        "properties": evidence.properties,
        "min_ram": evidence.min_ram_mib,
        "min_disk": evidence.min_disk_gib,
    }
    given = {name: value for name, value in found.items() if value}
    return {"suggested": given} if given else {}


class UnpackingPeer:
    """The disk inside what a peer sends.

    Guards of the packed side see every packed byte before it is unpacked; the
    peer's clock runs only while the peer is waited for.
    """

    def __init__(self, unpacking: Unpacking, peer: Peer, judges: Judges, clock: PeerClock) -> None:
        self._unpacking = unpacking
        self._peer = peer
        self._judges = judges
        self._clock = clock
        self._is_over = False

    async def read(self) -> bytes:
        """Return the next bytes of the disk; nothing at its end.

        Raises:
            SourceFailure: The peer broke off; everything before has come out.
            Failure: A guard refused the packed bytes, or they cannot be unpacked.
        """
        while not (chunk := await self._unpacking.read()):
            if self._is_over:
                return b""
            await self._feed()
        return chunk

    async def _feed(self) -> None:
        self._clock.start()
        try:
            packed = await self._peer.read()
        finally:
            self._clock.stop()
        self._is_over = not packed
        await (self._judges.feed(packed) if packed else self._judges.finish())
        await (self._unpacking.feed(packed) if packed else self._unpacking.finish())


class HeadPeer:
    """A peer whose first bytes have been looked at.

    Args:
        chunks: Already read.
    """

    def __init__(self, chunks: Sequence[bytes], peer: Peer) -> None:
        self._chunks = deque(chunks)
        self._peer = peer

    async def read(self) -> bytes:
        """Return what was read first, then what comes."""
        return self._chunks.popleft() if self._chunks else await self._peer.read()


async def read_head(
    chunks: list[bytes], peer: Peer, clock: PeerClock, guards: Sequence[Guard], enough: int = HEAD_BYTES
) -> bytes:
    """Add to `chunks` until there are enough bytes; they hold less only where the peer has no more.

    Raises:
        SourceFailure: The peer broke off first; another may go on with the byte after.
        Failure: What a guard of the peer raised.
    """
    size = sum(map(len, chunks))
    while size < enough and (not chunks or chunks[-1]):
        clock.start()
        try:
            chunk = await peer.read()
        finally:
            clock.stop()
        chunks.append(chunk)
        size += len(chunk)
        for guard in guards if chunk else ():
            guard.feed(chunk)
    return b"".join(chunks)[:enough]


def is_packed(head: bytes) -> bool:
    """Return whether a body that begins so is packed in a way that is known."""
    return recognise(head[:HEAD_BYTES]) is not None
