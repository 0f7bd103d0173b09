"""The order of connections and the bytes that they read, so that one of them always leads to the end."""

from collections.abc import Iterator
from dataclasses import dataclass

from fetcher.importer.download.stretch import Stretch

# Of the connection before it: a further one that is slower than this relieves nobody.
LEAST_SHARE = 0.5
# So many parts are under way between one connection that leads to the end and the next.
CYCLE_PARTS = 4
MAX_REPAIRS = 2


@dataclass(frozen=True, kw_only=True)
class Range:
    """The range that a further connection is asked for.

    Args:
        stop: Before this byte; None leads to the end of the body.
        held_bytes: The memory that is set aside for what comes before its turn.
        failed: The stretch whose rest it is.
    """

    start: int
    stop: int | None
    held_bytes: int
    failed: Stretch | None = None


class Chain:
    """The stretches of one body in their order.

    One open connection leads to the end of the body at all times. It reads on
    until it meets what others have fetched, and is let go only when all from
    there on is fetched or under way, with another one that leads to the end.

    Args:
        end: Of the body, in bytes.
        segment_bytes: The usual size of a part.
    """

    def __init__(self, end: int, segment_bytes: int) -> None:
        self.end = end
        self._segment_bytes = segment_bytes
        self._stretches: list[Stretch] = []
        self._done_bytes = 0

    def __iter__(self) -> Iterator[Stretch]:
        """Go through those that are left."""
        return iter(list(self._stretches))

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._stretches)

    @property
    def head(self) -> Stretch:
        """Return the one whose turn it is."""
        return self._stretches[0]

    @property
    def live(self) -> int:
        """Return how many connections read."""
        return sum(stretch.is_live for stretch in self._stretches)

    @property
    def total_bytes(self) -> int:
        """Return what has come over all connections and was not dropped."""
        return self._done_bytes + sum(stretch.got_bytes for stretch in self._stretches)

    def begin(self, first: Stretch) -> None:
        """Begin with the first connection, which leads to the end."""
        self._stretches.append(first)

    def take_done(self) -> Iterator[Stretch]:
        """Take away, from the front, what was read to its end and taken."""
        while len(self._stretches) > 1 and self.head.is_over and not self.head.has_waiting:
            stretch = self._stretches.pop(0)
            self._done_bytes += stretch.got_bytes
            yield stretch

    def next_range(self, limit: int, part_bytes: int) -> Range | None:
        """Choose what one more connection fetches, if there is anything.

        Args:
            limit: How many connections there may be.
            part_bytes: The most that may be fetched before its turn.
        """
        if any(stretch.failure for stretch in self._stretches):
            return self._rest_of_failed()
        anchor = next((one for one in self._stretches if one.is_live and one.leads_to_end), None)
        if anchor is None:
            return None
        number = self._stretches.index(anchor) + 1
        goal = self.end
        if number < len(self._stretches):
            goal = self._stretches[number].start
        elif self.end - anchor.position >= (limit + 1) * part_bytes:
            start = anchor.position + (limit - 1) * part_bytes
            return Range(start=start, stop=None, held_bytes=part_bytes)
        gap = goal - anchor.position
        if 2 * gap < self._segment_bytes:
            return None
        size = min(part_bytes, gap // 2)
        return Range(start=goal - size, stop=goal, held_bytes=size)

    def part_bytes(self, limit: int) -> int:
        """Return the size of a part, so that a cycle has one size however many share it."""
        return CYCLE_PARTS * self._segment_bytes // max(limit, 1)

    def add(self, stretch: Stretch, wanted: Range) -> bool:
        """Put a further connection's stretch in its place; False when it comes too late for that."""
        if wanted.failed is not None:
            return self._repair(stretch, wanted.failed)
        number = sum(one.start < stretch.start for one in self._stretches)
        before, after = self._stretches[number - 1], self._stretches[number:]
        goal = after[0].start if after else self.end
        is_early = before.is_live and before.leads_to_end and before.position < stretch.start
        if not is_early or (wanted.stop or self.end) != goal:
            return False
        before.stop = stretch.start
        self._stretches.insert(number, stretch)
        return True

    def meet(self, stretch: Stretch) -> list[Stretch]:
        """Take away those that do not relieve a connection which has reached the next one's stretch.

        Returns:
            Those that were dropped; the connection then reads on in their place.
        """
        number = self._stretches.index(stretch) + 1
        ahead = self._stretches[number:]
        failed = [place for place, one in enumerate(ahead, 1) if one.failure is not None]
        count = failed[-1] if failed else 0
        if not count and ahead[0].is_live and not _is_fast(ahead[0], stretch):
            count = 1
        if count:
            stretch.stop = ahead[count - 1].stop
            del self._stretches[number : number + count]
        return ahead[:count]

    def _rest_of_failed(self) -> Range | None:
        failed = next(one for one in self._stretches if one.failure is not None)
        if failed.repairs >= MAX_REPAIRS or len(self._stretches) == 1:
            return None
        stop = None if failed.stop == self.end else failed.stop
        return Range(start=failed.position, stop=stop, held_bytes=0, failed=failed)

    def _repair(self, stretch: Stretch, failed: Stretch) -> bool:
        if failed not in self._stretches:
            return False
        stretch.stop, failed.stop = failed.stop, failed.position
        failed.failure, failed.is_over = None, True
        self._stretches.insert(self._stretches.index(failed) + 1, stretch)
        return True


def _is_fast(after: Stretch, before: Stretch) -> bool:
    if after.held_bytes and after.got_bytes >= after.held_bytes:
        return True  # It brought its share in the same time.
    share = LEAST_SHARE * before.bytes_per_second()
    return after.got_bytes > 0 and after.bytes_per_second() >= share
