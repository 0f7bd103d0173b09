"""What is known of a running import right now, and who follows it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from fetcher.model import Attempt, Hop, Import

RATE_WINDOW_SECONDS = 5.0
RATE_STEP_SECONDS = 0.25


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
        """The rate up to now; None before anything can be said."""
        if not self._marks:
            return None
        since, before = self._marks[0]
        seconds = self._now() - since
        return None if seconds <= 0 else (total_bytes - before) / seconds


class Live:
    """One running import, as seen while it runs.

    The record is replaced, never changed, so that whoever holds one holds a
    picture of one moment.
    """

    def __init__(self, record: Import, now: Callable[[], float]) -> None:
        self.record = record
        self.received_bytes = record.received_bytes
        self.rate = Rate(now)
        self._now = now
        self._followers: set[asyncio.Event] = set()

    def change(self, **changes: Any) -> Import:
        """Replace fields of the record and tell the followers."""
        self.record = msgspec.structs.replace(self.record, **changes)
        self.tell()
        return self.record

    def receive(self, size: int) -> None:
        """Count bytes that came in."""
        self.received_bytes += size
        self.rate.mark(self.received_bytes)
        self.tell()

    def restart(self) -> None:
        """Forget what came in: the bytes begin anew."""
        self.received_bytes = 0
        self.rate = Rate(self._now)

    def snapshot(self) -> Import:
        """The record with what has come in since it was last written."""
        rate = self.rate.bytes_per_second(self.received_bytes)
        return msgspec.structs.replace(self.record, received_bytes=self.received_bytes, bytes_per_second=rate)

    def add_hop(self, hop: Hop) -> None:
        """Show a hop of the running attempt as soon as it is known, or its later, fuller form."""
        *before, attempt = self.record.attempts
        hops = attempt.hops
        if hops and hops[-1].at == hop.at:
            hops = hops[:-1]
        self.change(attempts=(*before, msgspec.structs.replace(attempt, hops=(*hops, hop))))

    def change_attempt(self, **changes: Any) -> Attempt:
        """Replace fields of the running attempt."""
        *before, attempt = self.record.attempts
        attempt = msgspec.structs.replace(attempt, **changes)
        self.change(attempts=(*before, attempt))
        return attempt

    def tell(self) -> None:
        """Wake everybody who follows."""
        for follower in self._followers:
            follower.set()

    def follow(self) -> asyncio.Event:
        """An event that is set at every change, until `unfollow`."""
        event = asyncio.Event()
        self._followers.add(event)
        return event

    def unfollow(self, event: asyncio.Event) -> None:
        """Stop following."""
        self._followers.discard(event)
