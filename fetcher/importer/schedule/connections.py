"""Connections to origins beyond the one that comes with each slot, and memory for what they bring early."""

from collections.abc import Callable

from fetcher.aio.waiting_room import WaitingRoom
from fetcher.importer.schedule.queue import FairQueue, Slot
from fetcher.settings.imports import Imports


class Connections:
    """Keeps the limit for each origin whatever the connections are for.

    Args:
        caps: In force now.
        buffer_bytes: What may have come before its turn, over all pulls.
        freed: Called when there is room again; whoever waits for a slot goes first.

    Attributes:
        waiting: Who waits for an origin that has room; `let_in` has something to do only where somebody does.
    """

    def __init__(
        self, queue: FairQueue, caps: Callable[[], Imports], buffer_bytes: int, freed: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._caps = caps
        self._left_bytes = buffer_bytes
        self._freed = freed
        self.waiting = WaitingRoom()
        self._is_turn = False

    def take(self, origin: str) -> bool:
        """Take one more connection if that is possible at once."""
        return self._queue.connect(origin, self._caps())

    def give_back(self, origin: str) -> None:
        """End a connection that was taken."""
        self._queue.disconnect(origin)
        self._freed()

    def let_in(self, *, is_last: bool) -> None:
        """Let in who waits for an origin that has room; every other time before those who wait in line.

        Args:
            is_last: Those who wait in line have been asked already.
        """
        self._is_turn = self._is_turn if is_last else not self._is_turn
        if not is_last and not self._is_turn:
            return
        self.waiting.admit()

    async def go(self, slot: Slot, origin: str) -> None:
        """Take a pull's own connection to another origin; whoever waits there has no place elsewhere."""
        if slot.origin == origin:
            return
        self.leave(slot)
        await self.waiting.enter(
            lambda: self._queue.enter(slot, origin, self._caps()), lambda: self.leave(slot)
        )

    def leave(self, slot: Slot) -> None:
        """Let a pull's own connection count nowhere."""
        self._queue.leave(slot)
        self._freed()

    def buffer(self, size: int) -> bool:
        """Take memory for bytes that may come before their turn, if it is there."""
        if size > self._left_bytes:
            return False
        self._left_bytes -= size
        return True

    def unbuffer(self, size: int) -> None:
        """Give memory back."""
        self._left_bytes += size
