"""How long each guard takes, over all imports of this process."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from fetcher.guards.base import Guard


class GuardTimes:
    """Seconds spent in guards and bytes shown to them, by the guard's name."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.size: Counter[str] = Counter()

    def timed(self, guards: Sequence[Guard]) -> list[Guard]:
        """The same guards, each with a clock on it."""
        return [_Timed(type(guard).__name__, guard, self) for guard in guards]


class _Timed:
    """A guard with a clock on it; judges exactly as the guard does."""

    def __init__(self, name: str, guard: Guard, times: GuardTimes) -> None:
        self._name = name
        self._guard = guard
        self._times = times

    def feed(self, chunk: bytes) -> None:
        began = time.perf_counter()
        try:
            self._guard.feed(chunk)
        finally:
            self._times.seconds[self._name] += time.perf_counter() - began
            self._times.size[self._name] += len(chunk)

    def finish(self) -> None:
        began = time.perf_counter()
        try:
            self._guard.finish()
        finally:
            self._times.seconds[self._name] += time.perf_counter() - began
