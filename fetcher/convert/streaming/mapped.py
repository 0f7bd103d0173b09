"""Puts the clusters of an image in their place on the disk, in the order in which they come by.

Memory is bounded whatever the image says: the look-back window, 16 bytes for each cluster that a table
has named and that has not come by (at most 2 Mi of them), and the ranges of `claims`.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from fetcher.convert.streaming.claims import Claims
from fetcher.convert.streaming.values import PIECE_BYTES, Keep, NotStreamable, Output, Recall, WriteAt, unsafe
from fetcher.convert.streaming.window import Blocks, Window
from fetcher.model import BLOCK_BYTES

MAX_PENDING = 1 << 21

Take = Callable[[bytes | memoryview], tuple[bytes | memoryview, int]]
"""Return what to write for the bytes of one piece, and how many of them were used."""


class Piece(NamedTuple):
    """Bytes of the source that belong somewhere.

    Args:
        host: Where in the source they begin.
        guest: Where on the disk they belong.
        take: Makes bytes of the disk of them, or reads them as a table; None for plain bytes, which
            may go out in parts.
    """

    host: int
    length: int
    guest: int
    take: Take | None = None


class Mapped:
    """The engine of all formats whose tables say where on the disk each cluster belongs.

    Args:
        look_back: How many bytes behind the newest one stay in memory.
    """

    def __init__(
        self, disk_format: str, virtual_bytes: int, *, recall: Recall | None, look_back: int = PIECE_BYTES
    ) -> None:
        self.virtual_bytes = virtual_bytes
        self.disk_format = disk_format
        self._look_back = look_back
        self._recall = recall
        self._blocks = Blocks()
        self._window = Window()
        self._claims = Claims(disk_format)
        self._heads: list[tuple[int, int, Piece]] = []
        self._batches: dict[int, tuple[Iterator[Piece], int]] = {}
        self._serial = 0
        self._pending = 0
        self._is_over = False

    def expect(self, pieces: Iterator[Piece], count: int) -> None:
        """Await pieces, which come in the order of their place in the source.

        Raises:
            NotStreamable: Too many are awaited.
        """
        first = next(pieces, None)
        if first is None:
            return
        self._serial += 1
        self._pending += count
        if self._pending > MAX_PENDING:
            raise NotStreamable("its tables name too many clusters long before they come")
        self._batches[self._serial] = (pieces, count)
        heappush(self._heads, (first.host, self._serial, first))

    def feed(self, chunk: bytes) -> Iterator[Output]:
        """Take the next bytes of the image."""
        for block in self._blocks.feed(chunk):
            yield from self._advance(block)

    def finish(self) -> Iterator[Output]:
        """Take the end of the image."""
        for block in self._blocks.finish():
            yield from self._advance(block)
        self._is_over = True
        yield from self._place()

    def _advance(self, block: bytes) -> Iterator[Output]:
        self._window.append(block)
        yield from self._place()
        base = self._window.end - self._look_back
        if self._heads:
            base = min(base, self._heads[0][0])
        if base > self._window.base:
            yield from self._leave(base)

    def _leave(self, base: int) -> Iterator[Output]:
        """Let go of what is before `base`; what nobody has named may be wanted later."""
        for start, end in self._claims.unused(self._window.base, base):
            if self._recall is None:
                continue
            self._claims.keep(start, end)
            for at in range(start, end, PIECE_BYTES):
                yield Keep(at, self._window.read(at, min(PIECE_BYTES, end - at)))
        self._window.drop(base)

    def _place(self) -> Iterator[Output]:
        """Deal with all pieces that are there."""
        while self._heads:
            host, serial, piece = self._heads[0]
            there = self._window.end - host
            if piece.take is None:
                length = _whole_blocks(piece, there)
            else:
                length = piece.length if there >= piece.length else 0
            if self._is_over:
                self._check_end(piece)
                length = piece.length
            if length <= 0:
                return
            self._replace_head(serial, piece, length)
            yield from self._write(piece, length)

    def _check_end(self, piece: Piece) -> None:
        """Refuse a piece that begins behind the end; one that is only cut is filled up with zeros."""
        if piece.host >= self._window.end:
            raise unsafe(self.disk_format, "cut-short", "its tables name clusters behind its end")

    def _replace_head(self, serial: int, piece: Piece, length: int) -> None:
        if length < piece.length:
            rest = Piece(piece.host + length, piece.length - length, piece.guest + length, piece.take)
            heapreplace(self._heads, (rest.host, serial, rest))
            return
        pieces, count = self._batches[serial]
        following = next(pieces, None)
        if following is None:
            heappop(self._heads)
            del self._batches[serial]
            self._pending -= count
        else:
            heapreplace(self._heads, (following.host, serial, following))

    def _write(self, piece: Piece, length: int) -> Iterator[Output]:
        if piece.take is not None:
            data, used = piece.take(self._bytes_of(piece.host, length))
            self._claim(piece.host, min(piece.host + used, self._window.end))
            yield from self._cut(piece.guest, data)
            return
        end = piece.host + length
        self._claim(piece.host, min(end, self._window.end))
        for at in range(piece.host, end, PIECE_BYTES):
            part = self._bytes_of(at, min(PIECE_BYTES, end - at))
            yield from self._cut(piece.guest + at - piece.host, part)

    def _cut(self, guest: int, data: bytes | memoryview) -> Iterator[WriteAt]:
        """Keep within the disk: its last cluster may reach over its end."""
        length = min(len(data), self.virtual_bytes - guest)
        for at in range(0, length, PIECE_BYTES):
            yield WriteAt(guest + at, data[at : min(at + PIECE_BYTES, length)])

    def _claim(self, start: int, end: int) -> None:
        base = self._window.base
        if start < base:
            if self._recall is None:
                raise NotStreamable("a cluster comes before the table that names it")
            self._claims.claim_late(start, min(end, base))
            start = base
        if start < end:
            self._claims.claim(start, end)

    def _bytes_of(self, offset: int, length: int) -> bytes | memoryview:
        base, end = self._window.base, self._window.end
        if base <= offset and offset + length <= end:
            return self._window.read(offset, length)
        parts: list[bytes | memoryview] = []
        if offset < base:
            if self._recall is None:
                raise NotStreamable("a cluster comes before the table that names it")
            early = min(length, base - offset)
            parts.append(self._recall(offset, early))
            offset, length = base, length - early
        there = min(length, end - offset)
        if there > 0:
            parts.append(self._window.read(offset, there))
        return b"".join([*parts, bytes(length - max(there, 0))])


def _whole_blocks(piece: Piece, there: int) -> int:
    """Return how much of a plain piece may go out: blocks are not cut, so that zeros can be left out."""
    if there >= piece.length:
        return piece.length
    return there - (piece.guest + there) % BLOCK_BYTES
