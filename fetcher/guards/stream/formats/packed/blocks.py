"""Walks over streams of framed blocks, many in one piece: their steps are too small for windows.

A walk is given pieces of the stream, reads what lies whole in them, and says from where it goes on. A block
that is followed by copies of itself, as packed zeros are, is one step with them.
"""

from typing import Protocol

from fetcher.guards.stream.formats.report import Report, Steps, Window
from fetcher.guards.stream.formats.work import SHORT_BYTES
from fetcher.parsers.archives.skippable import HEADER_BYTES, frame_bytes

LOOKAHEAD_BYTES = SHORT_BYTES  # A frame's header, or a block that counts as short, lies whole in this.
PIECE_BYTES = 4_096
DENSE_BYTES = 1_024  # Blocks shorter than this are read several at a time.


class Frames(Protocol):
    """Reads one format's frames and blocks.

    Attributes:
        is_dense: The last block was small, so that it pays to see several at once.
    """

    is_dense: bool

    def take(self, piece: bytes, at: int, *, is_last: bool) -> int:
        """Read what lies whole in a piece from byte `at`; return where to go on, `at` if that is over."""


def follow_blocks(report: Report, frames: Frames) -> Steps:
    """Take a walk through the whole stream.

    Raises:
        WorkExceeded: The budget of the import is spent.
    """
    at = 0
    while not report.findings:
        piece = yield Window(at, LOOKAHEAD_BYTES, PIECE_BYTES if frames.is_dense else LOOKAHEAD_BYTES)
        is_last = len(piece) < LOOKAHEAD_BYTES
        at = frames.take(piece, at, is_last=is_last)
        if is_last:
            return


class Repeats:
    """Tells blocks that are followed by copies of themselves, and counts the short ones that are not.

    Args:
        report: Has the budget that short blocks are paid from.
    """

    def __init__(self, report: Report) -> None:
        self._work = report.work
        self._former = b""

    def blocks(self, piece: bytes, here: int, step: int) -> int:
        """Return how many blocks like the one at `here`, of `step` bytes, may be passed at once.

        Raises:
            WorkExceeded: The budget of the import is spent.
        """
        if step >= SHORT_BYTES:
            self._former = b""
            return 1
        block = piece[here : here + step]
        if block != self._former:
            self._work.spend(1)
            self._former = block
        copies = 1
        while piece[here + copies * step : here + 2 * copies * step] == block * copies:
            copies *= 2
        return copies

    def skipped(self, piece: bytes, here: int) -> int:
        """Return where to go on behind a frame without data that begins at `here`, and its copies.

        Raises:
            WorkExceeded: The budget of the import is spent.
        """
        header = piece[here : here + HEADER_BYTES]
        step = frame_bytes(header)
        return here + step * (self.blocks(piece, here, step) if len(header) == HEADER_BYTES else 1)
