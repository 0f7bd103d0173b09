"""Looks at the running imports now and then, so that pages and metrics can show how they went."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime

from fetcher.importer import Importer
from fetcher.model import Import

STEP_SECONDS = 0.5
MAX_POINTS = 240
MAX_CURVES = 512
HISTORY_SECONDS = 3600.0
HISTORY_STEP_SECONDS = 5.0

Point = tuple[float, float]


class Curve:
    """The received bytes of one import over time; thinned out as it gets long.

    Attributes:
        points: Seconds since the first look, and bytes by then.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._step = 0.0
        self._began: float | None = None

    def add(self, now: float, received_bytes: int) -> None:
        """Note how many bytes there are by now."""
        if self._began is None:
            self._began = now
        seconds = now - self._began
        if self.points and seconds - self.points[-1][0] < self._step:
            return
        self.points.append((seconds, received_bytes))
        if len(self.points) > MAX_POINTS:
            self.points = self.points[::2]
            self._step = 2 * self.points[-1][0] / MAX_POINTS

    def rates(self) -> list[Point]:
        """Seconds since the first look, and bytes per second up to then; never negative."""
        span = min(3, len(self.points) - 1)  # Smoothed: single looks come a little early or late.
        pairs = zip(self.points, self.points[span:], strict=False)
        return [(t1, max(0.0, (b1 - b0) / (t1 - t0))) for (t0, b0), (t1, b1) in pairs if t1 > t0]


class Watch:
    """The curves of recent imports, and of all of them together.

    Kept in memory and bounded: a restart begins anew.

    Args:
        importer: Whose imports.
        now: A monotonic clock in seconds.
    """

    def __init__(self, importer: Importer, now: Callable[[], float] = time.monotonic) -> None:
        self._importer = importer
        self._now = now
        self._curves: OrderedDict[str, Curve] = OrderedDict()
        self._last: dict[str, int] = {}
        self._waiting_bytes = 0
        self._history: deque[Point] = deque(maxlen=int(HISTORY_SECONDS / HISTORY_STEP_SECONDS))
        self._history_at = now()
        self.total_bytes = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(STEP_SECONDS)

    def look(self) -> None:
        """Note how far every running import is."""
        now = self._now()
        seen: dict[str, int] = {}
        for record in self._importer.running():
            seen[record.id] = record.received_bytes
            self._curve(record, now).add(now, record.received_bytes)
            came = max(0, record.received_bytes - self._last.get(record.id, 0))
            self.total_bytes += came
            self._waiting_bytes += came
        self._last = seen
        if now - self._history_at >= HISTORY_STEP_SECONDS:
            self._history.append((now, self._waiting_bytes / (now - self._history_at)))
            self._history_at, self._waiting_bytes = now, 0

    def curve(self, import_id: str) -> Curve | None:
        """Return how one import went; None when it was not seen, or too long ago."""
        return self._curves.get(import_id)

    def history(self) -> list[Point]:
        """Bytes per second of all imports together, over the last hour: seconds ago (negative), rate."""
        now = self._now()
        return [(at - now, rate) for at, rate in self._history]

    def _curve(self, record: Import, now: float) -> Curve:
        curve = self._curves.get(record.id)
        if curve is None:
            curve = self._curves[record.id] = Curve()
            if record.started_at is not None:
                ago = (datetime.now(UTC) - record.started_at).total_seconds()
                if 0 < ago < 4 * STEP_SECONDS:  # Else it goes on from what an earlier process had.
                    curve.add(now - ago, 0)
        self._curves.move_to_end(record.id)
        if len(self._curves) > MAX_CURVES:
            self._curves.popitem(last=False)
        return curve
