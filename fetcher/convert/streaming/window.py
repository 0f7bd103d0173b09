"""The last bytes of a stream, by their place in it."""

from bisect import bisect_right
from collections.abc import Iterator

BLOCK_BYTES = 65_536
MAX_BLOCK_BYTES = 1_048_576


class Window:
    """Bytes from `base` to `end` of a stream; reading what lies in one block copies nothing."""

    def __init__(self) -> None:
        self.base = 0
        self.end = 0
        self._starts: list[int] = []
        self._blocks: list[memoryview] = []

    def append(self, block: bytes) -> None:
        """Take the next bytes."""
        self._starts.append(self.end)
        self._blocks.append(memoryview(block))
        self.end += len(block)

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """Return the bytes there; all must be inside the window."""
        at = bisect_right(self._starts, offset) - 1
        inside = offset - self._starts[at]
        found = self._blocks[at][inside : inside + length]
        if len(found) == length:
            return found
        parts = [found]
        while length > len(found):
            length -= len(found)
            at += 1
            found = self._blocks[at][:length]
            parts.append(found)
        return b"".join(parts)

    def drop(self, base: int) -> None:
        """Forget what comes before `base`."""
        if base <= self.base:
            return
        self.base = base
        count = bisect_right(self._starts, base) - 1
        if count > 0:
            del self._starts[:count]
            del self._blocks[:count]


class Blocks:
    """Cuts a stream into blocks of 64 KiB to 1 MiB, so that cost does not depend on how it arrives."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the blocks that are full."""
        if self._rest or len(chunk) < BLOCK_BYTES:
            missing = BLOCK_BYTES - len(self._rest)
            self._rest += chunk[:missing]
            chunk = chunk[missing:]
            if len(self._rest) < BLOCK_BYTES:
                return
            yield bytes(self._rest)
            self._rest.clear()
        at = 0
        while len(chunk) - at >= BLOCK_BYTES:
            yield chunk[at : at + MAX_BLOCK_BYTES]
            at += MAX_BLOCK_BYTES
        self._rest += chunk[at:]

    def finish(self) -> Iterator[bytes]:
        """Yield what is left."""
        if self._rest:
            yield bytes(self._rest)
            self._rest.clear()
