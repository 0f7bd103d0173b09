"""Room in the store, held before it is used."""

from collections.abc import Callable

from fetcher.errors import StoreFull


class Reservation:
    """Room in the store that one import holds while it pulls.

    Args:
        promise: Counts bytes as taken, or gives them back; raises StoreFull.
        free_bytes: What is left for everybody, promises taken off.
    """

    STEP_BYTES = 67_108_864

    def __init__(self, promise: Callable[[int], None], free_bytes: Callable[[], int]) -> None:
        self._promise = promise
        self._free_bytes = free_bytes
        self._held = 0
        self._unwritten = 0
        self._unchecked = 0

    @property
    def held_bytes(self) -> int:
        """Promised and not written yet."""
        return self._held + self._unwritten

    def expect(self, size: int) -> None:
        """Hold room for a declared size.

        Raises:
            StoreFull: There is not that much.
        """
        if size > self._held:
            self._promise(size - self._held)
            self._held = size

    def use(self, size: int, unwritten: int = 0) -> None:
        """Turn promised room into received bytes; more is taken in steps when none was declared.

        Bytes that wait in memory keep their promise until they are written,
        for the file system does not know of them. What was promised is looked
        at again now and then: others write to this file system too.

        Args:
            unwritten: How many of the bytes received are not written yet, these included.

        Raises:
            StoreFull: The next step does not fit, or the machine's reserve is touched.
        """
        if size > self._held:
            self.expect(max(size, self.STEP_BYTES))
        self._unchecked += size
        if self._unchecked >= self.STEP_BYTES:
            self._unchecked = 0
            if self._free_bytes() < 0:
                raise StoreFull
        self._held -= size
        written = self._unwritten + size - unwritten
        self._promise(-written)
        self._unwritten = unwritten

    def release(self) -> None:
        """Give back what was not used."""
        self._promise(-self._held - self._unwritten)
        self._held = self._unwritten = 0
