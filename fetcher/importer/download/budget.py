"""The budget of one download, over every attempt and every restart of the service."""

from collections.abc import Callable

from fetcher.errors import DeadlinePassed, TooManyBytes
from fetcher.index.values import ResumeState


class Budget:
    """Seconds and bytes of one pull.

    Args:
        kept: What earlier processes spent.
        total_seconds: For all attempts together; time in which the service stood still does not count.
        max_bytes: Of the body; pulled again or lost, twice as much is the most.
        now: A monotonic clock in seconds.
    """

    def __init__(
        self, resume_state: ResumeState, *, total_seconds: float, max_bytes: int, now: Callable[[], float]
    ) -> None:
        self.spent_bytes = resume_state.spent_bytes
        self._before = resume_state.spent_seconds
        self._total_seconds = total_seconds
        self._max_bytes = max_bytes
        self._now = now
        self._began = now()

    @property
    def spent_seconds(self) -> float:
        """Return all seconds so far."""
        return self._before + self._now() - self._began

    @property
    def seconds_left(self) -> float:
        """Return how many are left; none or less when it is over."""
        return self._total_seconds - self.spent_seconds

    def passed(self) -> DeadlinePassed:
        """Return what to raise when no seconds are left."""
        return DeadlinePassed(total_seconds=self._total_seconds)

    def check_bytes(self) -> None:
        """Refuse to begin anew for ever.

        Raises:
            TooManyBytes: The source was pulled from twice over already.
        """
        if self.spent_bytes > 2 * self._max_bytes:
            raise TooManyBytes(max_bytes=self._max_bytes)
