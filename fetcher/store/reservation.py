"""Room in the store, held before it is used."""

from typing import Protocol

from fetcher.errors import StoreFull


class RoomAccount(Protocol):
    """The room of a store, promised before it is used."""

    def promise(self, size: int, owner: str = "", held_bytes: int = 0) -> None:
        """Count bytes as taken before they are written; a negative size gives them back.

        Args:
            owner: Whose they are.
            held_bytes: What one reservation of the owner's holds already.

        Raises:
            StoreFull: They do not fit.
        """

    def free_bytes(self) -> int:
        """Return what is left for everybody, promised room taken off."""


class Reservation:
    """Room in the store that one import holds while it pulls.

    Args:
        owner: A project, or nobody.
    """

    STEP_BYTES = 67_108_864

    def __init__(self, account: RoomAccount, owner: str = "") -> None:
        self._account = account
        self._owner = owner
        self._held = 0
        self._unwritten = 0
        self._unchecked = 0

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
            if self._account.free_bytes() < 0:
                raise StoreFull
        self._held -= size
        written = self._unwritten + size - unwritten
        self._promise(-written)
        self._unwritten = unwritten

    def release(self) -> None:
        """Give back what was not used."""
        self._promise(-self._held - self._unwritten)
        self._held = self._unwritten = 0

    def _promise(self, size: int) -> None:
        if size:
            self._account.promise(size, self._owner, self._held + self._unwritten)
