"""The order of webhooks: projects take turns, and receivers that fail wait in a queue of their own."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

from fetcher.index.values import Due
from fetcher.settings.guards.notify import Notify

SLOW_SECONDS = 600.0  # So long a receiver that failed stays in the slow lane, unless it answers.
MAX_REMEMBERED = 10_000
# This part of all deliveries at once is kept for projects that have none, and for receivers that answer.
KEPT_PART = 4


def receiver_key(due: Due) -> tuple[str, str]:
    """Name a receiver: one project's, as all that is known of another's is that project's doing."""
    return due.project_id, due.webhook.url or ""


class Turns:
    """The receivers in turn: current, last and failing ones; waits go by a clock that never goes back.

    Args:
        now: A monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._turn = 0
        self._last_turn: OrderedDict[str, int] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._slow: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._running: dict[str, bool] = {}
        self._waits: dict[str, float] = {}

    @property
    def running(self) -> list[str]:
        """Return the imports whose notification is being delivered."""
        return list(self._running)

    def begin(self, due: Due) -> None:
        """Count a delivery that starts."""
        self._turn += 1
        self._last_turn[due.project_id] = self._turn
        self._last_turn.move_to_end(due.project_id)
        if len(self._last_turn) > MAX_REMEMBERED:
            self._last_turn.popitem(last=False)
        self._busy[due.project_id] += 1
        self._running[due.import_id] = receiver_key(due) in self._slow
        self._waits.pop(due.import_id, None)

    def end(self, due: Due, *, is_delivered: bool) -> None:
        """Count a delivery that has ended."""
        del self._running[due.import_id]
        self._busy[due.project_id] -= 1
        self._busy += Counter()  # Forgets projects with none.
        key = receiver_key(due)
        self._slow.pop(key, None)
        if not is_delivered:
            self._slow[key] = self._now() + SLOW_SECONDS
            if len(self._slow) > MAX_REMEMBERED:
                self._slow.popitem(last=False)

    def postpone(self, import_id: str, seconds: float) -> None:
        """Count a wait from now on, whatever becomes of the machine's date."""
        self._waits[import_id] = self._now() + seconds

    def full_projects(self, rules: Notify) -> list[str]:
        """Return the projects that may start nothing now: some room is left for those that have none."""
        is_tight = rules.max_running - len(self._running) <= rules.max_running // KEPT_PART
        most = 1 if is_tight else rules.max_running_per_project
        return [name for name, count in self._busy.items() if count >= most]

    def slow_receivers(self, rules: Notify) -> list[tuple[str, str]]:
        """Return the receivers that may start nothing now: those that failed, while their lane is full."""
        for key in [key for key, until in self._slow.items() if until <= self._now()]:
            del self._slow[key]
        is_full = sum(self._running.values()) >= max(1, rules.max_running // 2)
        return list(self._slow) if is_full else []

    def in_turn(self, found: Iterable[Due]) -> list[Due]:
        """Put the projects whose last turn is longest ago first."""
        return sorted(found, key=lambda due: (self._last_turn.get(due.project_id, 0), due.due_at))

    def waits(self) -> tuple[list[str], list[str]]:
        """Return the imports whose wait is over, and those whose is not."""
        now = self._now()
        over = [import_id for import_id, until in self._waits.items() if until <= now]
        return over, [import_id for import_id, until in self._waits.items() if until > now]

    def seconds_left(self, most: float) -> float:
        """Return how long until the next wait is over."""
        return max(0.0, min([most, *(until - self._now() for until in self._waits.values())]))

    def forget(self, import_id: str) -> None:
        """Drop the wait of an import that is settled."""
        self._waits.pop(import_id, None)
