"""Checkpoints: the durable bytes of a body and their digest, from which a start goes on after a crash."""

import threading
from collections.abc import Callable
from typing import NamedTuple


class Checkpoint(NamedTuple):
    """The first `size` bytes are durable, and this is their digest; `algorithm_of` gives the algorithm."""

    size: int
    digest: str


class Checkpoints:
    """Finds the points at which a body is both durable and digested.

    The digest and the write go on in threads of their own, one ahead of the
    other; both see the same pieces, so both stop at the same points.

    Args:
        step_bytes: A point comes at the first piece past each multiple of this.
        sync: Makes what has been written durable; blocks. Without it a point outlives the process alone.
        marked: Called at every checkpoint.
    """

    def __init__(self, step_bytes: int, sync: Callable[[], None], marked: Callable[[], None]) -> None:
        self._step_bytes = step_bytes
        self._sync = sync
        self._marked = marked
        self._lock = threading.Lock()
        self._digests: dict[int, str] = {}
        self._durable: set[int] = set()
        self._latest: Checkpoint | None = None

    def digested(self, before: int, after: int, digest: Callable[[], str]) -> None:
        """Note that bytes `before` to `after` are in the digest."""
        if self._is_point(before, after):
            value = digest()
            with self._lock:
                self._digests[after] = value
                self._match(after)

    def written(self, before: int, after: int) -> None:
        """Note that bytes `before` to `after` have been written.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The disk refused them.
        """
        if self._is_point(before, after):
            self._sync()
            with self._lock:
                self._durable.add(after)
                self._match(after)

    def latest(self) -> Checkpoint | None:
        """Return the last point that was reached."""
        return self._latest

    def _is_point(self, before: int, after: int) -> bool:
        return before // self._step_bytes < after // self._step_bytes

    def _match(self, size: int) -> None:
        if size in self._durable and size in self._digests:
            self._durable.discard(size)
            self._latest = Checkpoint(size, self._digests.pop(size))
            self._marked()
