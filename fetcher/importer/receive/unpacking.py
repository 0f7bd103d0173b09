"""The stage between what was received and what is judged and kept: packed bytes in, a disk out."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.importer.receive.ahead import FetchingBeside, PiecesAhead
from fetcher.importer.receive.gathering import Gathering
from fetcher.model import BLOCK_BYTES, Submission
from fetcher.pipeline import Judges, OrderedQueues, Peer, PeerClock, WorkerPool
from fetcher.unpack import (
    MAX_PIECE_BYTES,
    Evidence,
    Piece,
    Unpacker,
    UnpackLimits,
    plain,
)

DEAR_WEIGHT = 10  # Of xz and bzip2, which keep a whole processor busy.
MAX_NOTED = 64  # Members that are listed by name; an archive may have a thousand.
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
        is_proven: Tells at the end whether something else than the bytes shows that all of them came.
    """

    def __init__(
        self,
        worker_pool: WorkerPool,
        settings: Settings,
        submission: Submission,
        algorithms: Sequence[str],
        *,
        is_proven: Callable[[], bool],
    ) -> None:
        self._unpacker = Unpacker(
            limits=limits_of(settings, submission.max_bytes), disk=submission.disk, is_proven=is_proven
        )
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._gathering = Gathering()
        self._waiting: deque[bytes] = deque()
        self._pieces: Iterator[Piece] = iter(())
        self._rest: list[bytes | memoryview] = []
        self._given_bytes = 0
        self._is_over = self._is_ending = False
        self._is_hungry = True
        self._ahead = PiecesAhead(
            worker_pool,
            make=self._next,
            has_work=self._has_work,
            is_dear=lambda: self._unpacker.weight >= DEAR_WEIGHT,
        )
        self.received_bytes = 0
        self.queues: OrderedQueues = worker_pool.lanes([hasher.update for hasher in self._hashers.values()])

    async def feed(self, chunk: bytes) -> None:
        """Take the next packed bytes; what they give is there to be read when there are enough of them."""
        self.received_bytes += len(chunk)
        self._gathering.add(chunk)
        if self._gathering.is_enough:
            await self._open_up()

    async def _open_up(self) -> None:
        packed = self._gathering.take()
        if packed:
            await self.queues.put(packed)
            self._waiting.append(packed)
            self._ahead.go_on()

    @property
    def has_enough(self) -> bool:
        """Return whether the next packed bytes are there already."""
        return bool(self._waiting)

    async def finish(self) -> None:
        """Take the end; afterwards only what is left is there to be read."""
        if not self._is_over:
            await self._open_up()
            await self.queues.drain()
            self._is_over = True
            self._ahead.go_on()

    async def read(self) -> bytes:
        """Return what comes next of the disk, about a mebibyte; nothing where more has to be fed.

        The pieces after it are made while its caller judges this one.

        Raises:
            Failure: As `Unpacker.feed` and `Unpacker.finish`.
        """
        return await self._ahead.read()

    def _next(self) -> bytes:
        """Join small pieces, so that each wakes nobody; runs in a thread."""
        parts, self._rest = self._rest, []
        size = sum(map(len, parts))
        while size < MAX_PIECE_BYTES:
            piece = next(self._pieces, None)
            if piece is not None:
                parts.append(plain(piece))
                size += len(piece)
            elif not self._advance():
                return self._at_end(parts, size)
        if begun := (self._given_bytes + size) % BLOCK_BYTES:  # Pieces are to fit the blocks of a disk.
            last = parts[-1]
            kept = min(begun, len(last))
            parts[-1], self._rest = memoryview(last)[:-kept], [bytes(last[-kept:])]
            size -= kept
        return self._given(parts, size)

    def _has_work(self) -> bool:
        return bool(self._waiting) or not self._is_hungry or (self._is_over and not self._is_ending)

    @property
    def is_whole(self) -> bool:
        """Return whether everything has been judged, and nothing is left to come out."""
        return self._is_ending and self._is_hungry

    def _advance(self) -> bool:
        """Take the next packed bytes, or the end; return False where there is neither."""
        if self._waiting:
            self._pieces = self._unpacker.feed(self._waiting.popleft())
        elif self._is_over and not self._is_ending:
            self._pieces, self._is_ending = self._unpacker.finish(), True
        else:
            return False
        self._is_hungry = False
        return True

    def _at_end(self, parts: list[bytes | memoryview], size: int) -> bytes:
        """Give out what is left, where it is the beginning or the end; else it waits for more."""
        self._is_hungry = True
        if self._is_ending or self._given_bytes < MAX_PIECE_BYTES:
            return self._given(parts, size)
        self._rest = parts
        return b""

    def _given(self, parts: list[bytes | memoryview], size: int) -> bytes:
        self._given_bytes += size
        only = parts[0] if len(parts) == 1 else None
        return only if isinstance(only, bytes) else b"".join(parts)

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
        await self._ahead.close()
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
        self._fetching = FetchingBeside(self._feed)

    async def read(self) -> bytes:
        """Return the next bytes of the disk; nothing at its end.

        Raises:
            SourceFailure: The peer broke off; everything before has come out.
            Failure: A guard refused the packed bytes, or they cannot be unpacked.
        """
        while True:
            if not self._is_over and not self._unpacking.has_enough:
                self._fetching.start()
            if chunk := await self._unpacking.read():
                return chunk
            if not await self._fetching.wait() and self._is_over:
                assert self._unpacking.is_whole
                return b""

    async def close(self) -> None:
        """Ask the peer for nothing more."""
        await self._fetching.close()

    async def _feed(self) -> None:
        self._clock.start()
        try:
            packed = await self._peer.read()
        finally:
            self._clock.stop()
        await (self._judges.feed(packed) if packed else self._judges.finish())
        await (self._unpacking.feed(packed) if packed else self._unpacking.finish())
        self._is_over = not packed
