"""The patience with a source: a floor under its rate, and the published deadlines."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fetcher.config import Settings
from fetcher.errors import SourceTooSlow
from fetcher.guards.base import EachChunk, Limit
from fetcher.guards.spec import GuardSpec

# Arrivals closer together than this part of the window are counted as one, so that a drip of single
# bytes costs no memory; a window is exact to one part in 256, in favour of the source.
_SLICES = 256


class RateFloor(EachChunk):
    """Ends a download whose rate over a whole window is below the floor.

    A silence limit alone lets a source send one byte each half minute for
    years. Only time spent waiting for the source counts, so that our own slow
    disk is never blamed on it.

    Args:
        settings: The floor, the window it is averaged over, the grace before.
        clock: Seconds spent waiting for the source so far; never goes back.

    Raises:
        SourceTooSlow: From `feed`, judged on what had come before the chunk.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        pace = settings.pace
        self._floor = pace.floor_bytes_per_second
        self._window = pace.floor_window_seconds
        self._first_end = clock() + pace.floor_grace_seconds + self._window
        self._clock = clock
        self._arrivals: deque[_Slice] = deque()
        self._window_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Judge the window that ends now, then count the chunk."""
        now = self._clock()
        while self._arrivals and self._arrivals[0].until < now - self._window:
            self._window_bytes -= self._arrivals.popleft().size
        if now >= self._first_end and self._window_bytes < self._floor * self._window:
            raise SourceTooSlow(
                reason=f"less than {self._floor:,} bytes a second over {self._window:g} seconds",
                limit_seconds=self._window,
                limit_bytes_per_second=self._floor,
            )
        self._count(now, len(chunk))

    def _count(self, now: float, size: int) -> None:
        self._window_bytes += size
        if self._arrivals and now - self._arrivals[-1].since < self._window / _SLICES:
            last = self._arrivals[-1]
            last.until, last.size = now, last.size + size
        else:
            self._arrivals.append(_Slice(since=now, until=now, size=size))


@dataclass(slots=True)
class _Slice:
    since: float
    until: float
    size: int


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish the deadlines and the floor."""
    pace = settings.pace
    published = {
        "connect_seconds": (pace.connect_seconds, "For one hop: name, connection and TLS together."),
        "header_seconds": (pace.header_seconds, "For the head of one answer."),
        "chain_seconds": (pace.chain_seconds, "For all redirects together, up to the final head."),
        "idle_seconds": (pace.idle_seconds, "Silence of the source between two reads."),
        "floor_window_seconds": (pace.floor_window_seconds, "What the rate floor is averaged over."),
        "floor_grace_seconds": (pace.floor_grace_seconds, "After which the rate floor holds."),
        "total_seconds": (pace.total_seconds, "For an import as a whole, all attempts together."),
    }
    floor = Limit(
        name="floor_bytes_per_second",
        type="integer",
        value=pace.floor_bytes_per_second,
        description="A source slower than this, on average over the window, is given up.",
        guard="pace",
    )
    return (
        floor,
        *(
            Limit(name=name, type="number", value=value, description=text, guard="pace")
            for name, (value, text) in published.items()
        ),
    )


GUARD = GuardSpec(
    name="pace",
    title="Time",
    sections=("pace",),
    limits=limits,
    build=lambda context: RateFloor(context.settings, context.clock),
    per_attempt=True,
    keys=("connect_seconds", "header_seconds", "chain_seconds", "idle_seconds", "total_seconds"),
)
