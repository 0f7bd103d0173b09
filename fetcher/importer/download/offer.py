"""The number of connections that a source is offered: more where each brings more, none after a refusal."""

from collections.abc import Callable

from fetcher.errors import ConnectFailed, Failure, SourceStatus, SourceTooSlow, Truncated
from fetcher.settings.imports import Ranges

# Of one connection's share: a further connection that brings less is not worth a place at the source.
LEAST_GAIN = 0.4
BUSY = 503  # Limits of connections answer with it; every other status is about the request itself.


class Offer:
    """Further connections, offered one at a time and withdrawn at the first refusal.

    A source that limits each connection brings as much more with every
    further one; where all share one limit, the second brings nothing, and is
    the last.

    Args:
        now: A monotonic clock in seconds.

    Attributes:
        limit: How many connections may be open.
        is_withdrawn: No request is made any more.
    """

    def __init__(self, rules: Ranges, now: Callable[[], float]) -> None:
        self.limit = 1
        self.is_withdrawn = False
        self._quiet_until = 0.0
        self._rules = rules
        self._now = now
        self._rate = 0.0
        self._is_growing = True
        self._reached = 1
        self._since = 0.0
        self._from_bytes = 0

    def begin(self, bytes_per_second: float) -> None:
        """Offer a second connection, after one alone has shown how fast it is."""
        self._rate = bytes_per_second
        self.limit = 2

    def quiet_seconds(self) -> float:
        """Return how long the source wants no request from now on."""
        return max(0.0, self._quiet_until - self._now())

    def mark(self, count: int, total_bytes: int) -> None:
        """Begin to measure, with more connections than before."""
        self._reached = count
        self._since, self._from_bytes = self._now(), total_bytes

    def may_ask(self, count: int) -> bool:
        """Return whether one more connection may be opened beside so many."""
        return not self.is_withdrawn and count < self.limit

    def measure(self, total_bytes: int) -> None:
        """Offer one more where the latest one has brought its share, and no more than there are where not."""
        seconds, size = self._now() - self._since, total_bytes - self._from_bytes
        is_soon = seconds < self._rules.patience_seconds or size < self._rules.segment_bytes
        count = self._reached
        if not self._is_growing or count < self.limit or is_soon:
            return
        rate = size / max(seconds, 0.001)
        has_gained = rate > self._rate * (1 + LEAST_GAIN / (count - 1))
        is_more_wanted = count < self._rules.connections and rate < self._rules.enough_bytes_per_second
        self._is_growing = has_gained and is_more_wanted
        self._rate = rate
        if not has_gained:
            self.limit = count - 1
        elif self._is_growing:
            self.limit = count + 1

    def refused(self, failure: Failure, count: int) -> None:
        """Withdraw the offer; a source that is busy with so many connections keeps those.

        Args:
            count: How many are open beside the refused one.
        """
        is_busy = isinstance(failure, ConnectFailed | SourceTooSlow | Truncated)
        if isinstance(failure, SourceStatus):
            is_busy = failure.status == BUSY and failure.retry_after_seconds is None
            self._quiet_until = self._now() + (failure.retry_after_seconds or 0.0)
        # A place that was just given up and is not given again is no matter of places.
        if not is_busy or not self._is_growing or count < 2:
            self.is_withdrawn = True
        self._is_growing = False
        self.limit = min(self.limit, count)
