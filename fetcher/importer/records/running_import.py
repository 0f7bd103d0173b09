"""A running import: its record right now, and its subscribers."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from fetcher.lifecycle import Event
from fetcher.model import Attempt, Import

RATE_WINDOW_SECONDS = 5.0
RATE_STEP_SECONDS = 0.25
MOVED_BY_EVENTS = frozenset({"state", "verdict", "ended_at"})


class Rate:
    """Bytes per second over the last few seconds.

    Args:
        now: A monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, total_bytes: int) -> None:
        """Note how many bytes there are in all by now."""
        now = self._now()
        if self._marks and now - self._marks[-1][0] < RATE_STEP_SECONDS:
            return
        self._marks.append((now, total_bytes))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_WINDOW_SECONDS:
            self._marks.popleft()

    def bytes_per_second(self, total_bytes: int) -> float | None:
        """Return the rate up to now; None before anything can be said."""
        if not self._marks:
            return None
        since, before = self._marks[0]
        seconds = self._now() - since
        return None if seconds <= 0 else (total_bytes - before) / seconds


class Progress:
    """The progress of a body; imports that share a download share this too.

    Args:
        now: A monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float], received_bytes: int = 0) -> None:
        self.received_bytes = received_bytes
        self._now = now
        self._rate = Rate(now)

    def receive(self, size: int) -> None:
        """Count bytes that came in."""
        self.received_bytes += size
        self._rate.mark(self.received_bytes)

    def restart(self) -> None:
        """Forget what came in: the bytes begin anew."""
        self.received_bytes = 0
        self._rate = Rate(self._now)

    def bytes_per_second(self) -> float | None:
        """Return the rate up to now; None before anything can be said."""
        return self._rate.bytes_per_second(self.received_bytes)


class RunningImport:
    """One running import, as seen while it runs.

    The record is replaced, never changed, so that whoever holds one holds a
    picture of one moment.

    Args:
        used_bytes: What its project's images held when it was claimed, where that is known.

    Attributes:
        is_late: It joined what another project had begun, and is shown nothing of before.
    """

    def __init__(self, record: Import, now: Callable[[], float], used_bytes: int | None = None) -> None:
        self.record = record
        self.used_bytes = used_bytes
        self.progress = Progress(now, record.received_bytes)
        self._subscribers: set[asyncio.Event] = set()
        self._snapshot: Import | None = None
        self.is_late = False
        self._hidden_bytes = 0

    def change(self, **progress: Any) -> Import:
        """Replace fields of the record and notify the subscribers.

        Raises:
            TypeError: The state is among them: that changes by an event (`move`) or an end (`take`).
        """
        if not MOVED_BY_EVENTS.isdisjoint(progress):
            raise TypeError(f"{', '.join(MOVED_BY_EVENTS & progress.keys())} cannot be set")
        self.record = msgspec.structs.replace(self.record, **progress)
        self.notify()
        return self.record

    def move(self, event: Event, **changes: Any) -> Import:
        """Let an event move the import on, and notify the subscribers.

        Raises:
            IllegalMove: Nothing of the kind can happen to it now.
        """
        return self.take(self.record.moved(event, datetime.now(UTC), **changes))

    def take(self, record: Import) -> Import:
        """Show a record that has been moved on, or ended, and was written."""
        self.record = record
        self.notify()
        return record

    def receive(self, size: int) -> None:
        """Count bytes that came in."""
        self.progress.receive(size)
        self.notify()

    def snapshot(self) -> Import:
        """Return the record with what has come in since it was last written."""
        if self._snapshot is None:
            self._snapshot = msgspec.structs.replace(
                self.record,
                received_bytes=self.shown_bytes(self.progress.received_bytes),
                bytes_per_second=self.progress.bytes_per_second(),
            )
        return self._snapshot

    def notify(self) -> None:
        """Wake everybody who follows; they share one picture of what they see then."""
        self._snapshot = None
        for subscriber in self._subscribers:
            subscriber.set()

    def hide(self, received_bytes: int) -> None:
        """Show nothing of what had come before now: it is of another project's doing."""
        self.is_late, self._hidden_bytes = True, received_bytes

    def shown_bytes(self, received_bytes: int) -> int:
        """Return how many of the bytes so far this import is shown."""
        return max(0, received_bytes - self._hidden_bytes)

    def seen(self, attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
        """Return the attempts that this import is shown: none that ended or began before it came."""
        if not self.is_late:
            return attempts
        own = self.record.created_at
        return tuple(
            msgspec.structs.replace(
                attempt,
                started_at=max(attempt.started_at, own),
                offset=0,
                hops=tuple(msgspec.structs.replace(hop, at=max(hop.at, own)) for hop in attempt.hops),
            )
            for attempt in attempts
            if attempt.ended_at is None or attempt.ended_at > own
        )

    @contextmanager
    def following(self, event: asyncio.Event) -> Iterator[None]:
        """Set an event at every change, for as long as this lasts."""
        self._subscribers.add(event)
        try:
            yield
        finally:
            self._subscribers.discard(event)
