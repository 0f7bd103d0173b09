"""The turns of requests: a few begin in each pass of the loop, and probes before all others."""

import asyncio
from collections import deque
from collections.abc import Callable

# In one pass of the loop: each begins with a millisecond of its own, in which nobody else is served.
MAX_BEGUN = 4

Begin = Callable[[], None]


class Turns:
    """Begins requests in the order in which they came, but never all that came together in one go.

    Between two passes of the loop, everybody who is connected is listened to. Requests that say how the
    service is have a lane of their own, whose end others cannot put off.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lanes: tuple[deque[Begin], deque[Begin]] = (deque(), deque())
        self._begun = [0, 0]
        self._is_next_asked = False

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._lanes))

    def take(self, begin: Begin, *, is_probe: bool) -> None:
        """Begin a request: now, if few have begun in this pass, else in a later one."""
        lane = 0 if is_probe else 1
        if self._begun[lane] >= MAX_BEGUN or self._lanes[lane]:
            self._lanes[lane].append(begin)
            return
        self._begun[lane] += 1
        self._ask_for_next()
        begin()

    def _ask_for_next(self) -> None:
        if not self._is_next_asked:
            self._is_next_asked = True
            self._loop.call_soon(self._next_pass)

    def _next_pass(self) -> None:
        self._is_next_asked = False
        for lane, waiting in enumerate(self._lanes):
            self._begun[lane] = min(MAX_BEGUN, len(waiting))
            if waiting:
                self._ask_for_next()  # First: whatever one of them raises, the others begin.
            for _ in range(self._begun[lane]):
                waiting.popleft()()
