"""The count of bytes that are taken in a bucket, which does not say."""

import threading

from fetcher.errors import StoreFull


class Usage:
    """Counts bytes against what the operator allows, from any thread.

    Args:
        max_bytes: What may be in the bucket, staged and committed.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Return what is taken."""
        return self._used

    def take(self, size: int) -> None:
        """Count bytes as taken.

        Raises:
            StoreFull: They do not fit.
        """
        with self._lock:
            if self._used + size > self.max_bytes:
                raise StoreFull
            self._used += size

    def give_back(self, size: int) -> None:
        """Count bytes as gone."""
        with self._lock:
            self._used = max(0, self._used - size)

    def set(self, used: int) -> None:
        """Replace the count by what a list of the bucket showed."""
        with self._lock:
            self._used = used
