"""Bytes of the source that have been used, so that none are used twice and none are lost."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from fetcher.convert.streaming.values import NotStreamable, unsafe

MAX_CLAIMS = 1 << 17  # Within one look-back window; 12 MiB.
MAX_KEPT = 1 << 19  # Ranges; 8 MiB.
MAX_LATE = 1 << 17  # Clusters that come before their table; 12 MiB.


class Claims:
    """Used ranges inside the look-back window, sorted; and the unused ranges before it."""

    def __init__(self, disk_format: str) -> None:
        self._format = disk_format
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._kept_starts = array("Q")
        self._kept_ends = array("Q")
        self._late: set[int] = set()

    def claim(self, start: int, end: int) -> None:
        """Use a range of the window.

        Raises:
            FormatUnsafe: Some of it was used already.
        """
        at = bisect_right(self._starts, start)
        if at and (self._ends[at - 1] > start or self._starts[at - 1] == start):
            raise self._overlap()
        if at < len(self._starts) and self._starts[at] < end:
            raise self._overlap()
        if at == len(self._starts) and at and self._ends[-1] == start:
            self._ends[-1] = end
            return
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        if len(self._starts) > MAX_CLAIMS:
            raise NotStreamable("it has too many small clusters")

    def unused(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges between `start` and `end` that were not used, and forget the used ones."""
        count = 0
        for begin, stop in zip(self._starts, self._ends, strict=True):
            if begin >= end:
                break
            if begin > start:
                yield start, begin
            start = max(start, stop)
            count += stop <= end
        if start < end:
            yield start, end
        del self._starts[:count]
        del self._ends[:count]

    def keep(self, start: int, end: int) -> None:
        """Note that a range has been kept."""
        if self._kept_ends and self._kept_ends[-1] == start:
            self._kept_ends[-1] = end
            return
        self._kept_starts.append(start)
        self._kept_ends.append(end)
        if len(self._kept_starts) > MAX_KEPT:
            raise NotStreamable("it has too many ranges that no table names")

    def claim_late(self, start: int, end: int) -> None:
        """Use a range that went by, of which at least up to `end` was kept.

        Raises:
            FormatUnsafe: It was used before.
        """
        at = bisect_right(self._kept_starts, start) - 1
        if at < 0 or self._kept_ends[at] < end or start in self._late:
            raise self._overlap()
        self._late.add(start)
        if len(self._late) > MAX_LATE:
            raise NotStreamable("too many clusters come before the tables that name them")

    def is_unused(self, start: int, end: int) -> bool:
        """Return whether no used range of the window touches this one."""
        at = bisect_left(self._starts, end)
        return not at or self._ends[at - 1] <= start

    def _overlap(self) -> Exception:
        return unsafe(self._format, "overlap", "two parts of its disk lie on the same bytes of the file")
