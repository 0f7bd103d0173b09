"""One budget of bytes for all imports."""

from functools import partial

from fetcher.aio.waiting_room import WaitingRoom


class Budget:
    """Bytes that have been received and not yet dealt with, over all imports.

    A caller that wants more than is left waits in line; one piece always fits when
    nothing else is out, however large it is.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.taken_bytes = 0
        self._waiting = WaitingRoom(is_strict=True)

    async def take(self, size: int) -> None:
        """Wait until `size` bytes fit."""
        await self._waiting.enter(partial(self._take, size), partial(self.give_back, size))

    def give_back(self, size: int) -> None:
        """Return bytes that have been dealt with."""
        self.taken_bytes -= size
        if self._waiting.waiting:
            self._waiting.admit()

    def _take(self, size: int) -> bool:
        if self.taken_bytes and self.taken_bytes + size > self.total_bytes:
            return False
        self.taken_bytes += size
        return True
