"""The parts of a disk in the order of the disk, where they come nearly so."""

from collections.abc import Iterator
from heapq import heappop, heappush

from fetcher.convert.streaming import PIECE_BYTES

MAX_HELD_BYTES = 16_777_216
"""The distance that parts may come ahead: qemu-img writes up to sixteen requests of 1 MiB side by side."""
ZEROS = bytes(PIECE_BYTES)


class DiskOrder:
    """Holds parts that come too early, and fills what never comes with zeros.

    A part is let go, with zeros before it, when more than `MAX_HELD_BYTES` wait. One that comes
    after that for a place which has gone by is late: the caller has to write it there.

    Attributes:
        position: Everything before it has been given out.
    """

    def __init__(self) -> None:
        self.position = 0
        self._held: list[tuple[int, int, bytes]] = []
        self._held_bytes = 0
        self._serial = 0

    def is_late(self, offset: int) -> bool:
        """Return whether a place has gone by."""
        return offset < self.position

    def take(self, offset: int, data: bytes | memoryview) -> Iterator[bytes | memoryview]:
        """Take a part that is not late; yield what is in order now."""
        if offset == self.position:
            self.position += len(data)
            yield data
        else:
            self._serial += 1
            # A copy: a view would keep alive the whole block that it is a part of.
            heappush(self._held, (offset, self._serial, bytes(data)))
            self._held_bytes += len(data)
        while self._held and (self._held[0][0] == self.position or self._held_bytes > MAX_HELD_BYTES):
            yield from self._let_go()

    def finish(self, size: int) -> Iterator[bytes]:
        """Yield all that is left of a disk of so many bytes."""
        while self._held:
            yield from self._let_go()
        yield from self._fill(size)

    def take_held(self) -> Iterator[tuple[int, bytes]]:
        """Yield the waiting pieces, each with its offset, for the writer."""
        while self._held:
            offset, _serial, data = heappop(self._held)
            yield offset, data

    def _let_go(self) -> Iterator[bytes]:
        offset, _serial, data = heappop(self._held)
        self._held_bytes -= len(data)
        yield from self._fill(offset)
        self.position += len(data)
        yield data

    def _fill(self, end: int) -> Iterator[bytes]:
        while self.position < end:
            piece = ZEROS[: end - self.position]
            self.position += len(piece)
            yield piece
