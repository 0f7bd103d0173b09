"""The size of one read for each of many readers: what slow ones have not taken yet is memory."""

from collections.abc import Iterator
from contextlib import contextmanager

MAX_BYTES = 1_048_576
LEAST_BYTES = 65_536  # Smaller ones would cost more in calls than they spare in memory.


class Pieces:
    """One budget of bytes for the pieces of all readers.

    Args:
        total_bytes: Of all of them together; many readers get smaller pieces.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._readers = 0

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Count a reader for as long as this lasts."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    @property
    def bytes(self) -> int:
        """Return how large the next piece may be."""
        return max(LEAST_BYTES, min(MAX_BYTES, self._total_bytes // max(1, self._readers)))
