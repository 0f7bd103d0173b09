"""Receive buffers: bytes between sockets and readers, bounded for each body and over all of them."""

from collections import deque
from collections.abc import Callable

from fetcher.model import BLOCK_BYTES

SCRATCH_BYTES = 1_048_576
LEAST_BYTES = 16_384
OWN_BYTES = 1_048_576
FAST_BYTES = 524_288  # Without a pause between: a source that is worth a buffer of its own.
PAUSE_SECONDS = 0.05
# TLS may hand over what it holds all at once: 256 KiB of records in asyncio and uvloop, and the one begun.
SECURE_BYTES = 294_912


class ReceivePool:
    """The pool that all bodies of one gate share.

    Attributes:
        scratch: Where the loop reads to for a body without a buffer of its own; lives only within one call.
        held_bytes: What all of them hold, buffers of their own counted in full.
    """

    def __init__(self) -> None:
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))
        self.held_bytes = 0

    def room(self, total_bytes: int) -> int:
        """Return what one body may hold now: a part of what is left, so that silent sources take nothing."""
        return max(LEAST_BYTES, min(OWN_BYTES, (total_bytes - self.held_bytes) // 4))


class ReceiveBuffer:
    """The bytes of one body that have come and that nobody has read yet.

    A fast source gathers in a buffer of its own, which is copied once when its
    reader comes; others are copied out of the shared one as they come. The
    buffer goes when the source pauses.

    Args:
        is_secure: TLS is in between, which may hand over more at once.
        now: A monotonic clock in seconds.
    """

    def __init__(self, shared: ReceivePool, *, is_secure: bool, now: Callable[[], float]) -> None:
        self.size = 0
        self._is_closed = False
        self._shared = shared
        self._is_secure = is_secure
        self._now = now
        self._chunks: deque[bytes] = deque()
        self._own: memoryview | None = None
        self._gathered_bytes = 0
        self._begun_bytes = 0
        self._given_bytes = 0
        self._streak_bytes = 0
        self._streak_at = 0.0

    @property
    def has_own(self) -> bool:
        """Return whether a buffer of its own has to be given back."""
        return self._own is not None

    @property
    def has_new(self) -> bool:
        """Return whether something has come that was not left over by the last reader on purpose."""
        return bool(self._chunks) or self._gathered_bytes > self._begun_bytes

    def add(self, chunk: bytes) -> None:
        """Take bytes that were read elsewhere."""
        if self._is_closed:
            return
        self._chunks.append(chunk)
        self._shared.held_bytes += len(chunk)
        self._given_bytes += len(chunk)
        self.size += len(chunk)

    def lend(self, left_bytes: int, room: int) -> memoryview:
        """Lend a buffer for one read, and never more of it than the body has left.

        TLS gets as much as it can hold: when the source hangs up, asyncio asks
        once more and throws the rest away.
        """
        if self._own is None and self._streak_bytes >= FAST_BYTES and room >= OWN_BYTES:
            self._own = memoryview(bytearray(OWN_BYTES))
            self._shared.held_bytes += OWN_BYTES
        most = min(left_bytes, SCRATCH_BYTES if self._is_secure else room)
        if self._own is None:
            return self._shared.scratch[:most]
        if OWN_BYTES - self._gathered_bytes < (SECURE_BYTES if self._is_secure else 1):
            self._flush(is_aligned=True)
        return self._own[self._gathered_bytes :][:most]

    def took(self, size: int) -> None:
        """Count what was read to the buffer that was lent."""
        if self._own is not None:
            self._gathered_bytes += size
            self.size += size
            return
        now = self._now()
        if now - self._streak_at > PAUSE_SECONDS:
            self._streak_bytes = 0
        self._streak_at = now
        self._streak_bytes += size
        self.add(bytes(self._shared.scratch[:size]))

    def take(self, *, is_aligned: bool) -> bytes:
        """Give the next bytes to the reader; empty when there are none.

        Args:
            is_aligned: A block that is begun may stay for the next time.
        """
        if not self._chunks:
            self._flush(is_aligned=is_aligned)
        if not self._chunks:
            return b""
        chunk = self._chunks.popleft()
        self._shared.held_bytes -= len(chunk)
        self.size -= len(chunk)
        return chunk

    def settle(self) -> None:
        """Be ready to give everything, and give the buffer back: the source has paused, or ended."""
        self._flush(is_aligned=False)
        if self._own is not None:
            self._own = None
            self._shared.held_bytes -= OWN_BYTES
        self._streak_bytes = 0

    def close(self) -> None:
        """Hold nothing any more, whatever still comes."""
        self._is_closed = True
        self.settle()
        while self.take(is_aligned=False):
            pass

    def _flush(self, *, is_aligned: bool) -> None:
        """Copy what was gathered, so that its buffer can be written again."""
        own, size = self._own, self._gathered_bytes
        if own is None or not size:
            return
        rest = 0
        if is_aligned and size > 4 * BLOCK_BYTES:
            rest = (self._given_bytes + size) % BLOCK_BYTES
        self._chunks.append(bytes(own[: size - rest]))
        self._shared.held_bytes += size - rest
        self._given_bytes += size - rest
        own[:rest] = bytes(own[size - rest : size])
        self._gathered_bytes = self._begun_bytes = rest
