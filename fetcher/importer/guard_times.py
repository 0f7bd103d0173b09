"""The time that each guard takes, over all imports of this process."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from fetcher.guards.base import DividedGuard, Guard, is_divided


class GuardTimes:
    """Seconds spent in guards and bytes shown to them, by the guard's name."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.size: Counter[str] = Counter()

    def timed(self, guards: Sequence[Guard]) -> list[Guard]:
        """Return the same guards, each with a clock on it."""
        return [
            _TimedDivided(type(guard).__name__, guard, self)
            if is_divided(guard)
            else _Timed(type(guard).__name__, guard, self)
            for guard in guards
        ]


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
            self._count(began, len(chunk))

    def finish(self) -> None:
        began = time.perf_counter()
        try:
            self._guard.finish()
        finally:
            self._count(began, 0)

    def _count(self, began: float, size: int) -> None:
        self._times.seconds[self._name] += time.perf_counter() - began
        self._times.size[self._name] += size


class _TimedDivided(_Timed):
    """A divided guard with a clock on it; waiting for its turn is not counted."""

    def __init__(self, name: str, guard: DividedGuard, times: GuardTimes) -> None:
        super().__init__(name, guard, times)
        self._divided = guard

    def skim(self, chunk: bytes) -> bool:
        began = time.perf_counter()
        try:
            return self._divided.skim(chunk)
        finally:
            self._count(began, len(chunk))

    def go_on(self) -> bool:
        began = time.perf_counter()
        try:
            return self._divided.go_on()
        finally:
            self._count(began, 0)
