"""The rate of submissions in a minute: of one project, to one origin, and in all."""

from collections import deque
from collections.abc import Callable, Mapping

from fetcher.errors import QueueFull
from fetcher.settings.imports import Imports

MINUTE = 60.0
Key = tuple[str, str]


class RateLimiter:
    """Counts the submissions of the last minute; who submitted nothing for so long is not remembered.

    Args:
        now: A monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._at: dict[Key, deque[float]] = {}
        self._order: deque[Key] = deque()

    def count(self, project_id: str, origin: str, caps: Imports) -> None:
        """Count one submission of an import, if all of them have room for it.

        Raises:
            QueueFull: One too many; when there is room again.
        """
        self.count_for(
            {
                ("project", project_id): ("the project's per-minute", caps.max_submits_per_minute),
                ("origin", origin): ("the origin's per-minute", caps.max_submits_per_minute_per_origin),
                ("all", ""): ("the service's per-minute", caps.max_submits_per_minute_in_all),
            }
        )

    def count_for(self, limits: Mapping[Key, tuple[str, int]]) -> None:
        """Count one submission for each of these, if all of them have room for it.

        Args:
            limits: What a refusal calls each limit, and how many there may be in a minute.

        Raises:
            QueueFull: One too many; when there is room again.
        """
        now = self._now()
        self._forget(now - MINUTE)
        for key, (scope, limit) in limits.items():
            recent = self._at.get(key, deque())
            if len(recent) >= limit:
                wait = MINUTE - (now - recent[0])
                raise QueueFull(scope=scope, limit=limit, retry_after_seconds=wait)
        for key in limits:
            self._at.setdefault(key, deque()).append(now)
            self._order.append(key)

    def __len__(self) -> int:
        """Return how many counts are remembered."""
        return len(self._at)

    def _forget(self, before: float) -> None:
        """Drop what is older; all were counted in the order of their times."""
        while self._order and self._at[self._order[0]][0] <= before:
            key = self._order.popleft()
            self._at[key].popleft()
            if not self._at[key]:
                del self._at[key]
