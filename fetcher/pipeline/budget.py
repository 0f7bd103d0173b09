"""One budget of bytes for all imports."""

import asyncio
from collections import deque


class Budget:
    """Bytes that have been received and not yet dealt with, over all imports.

    Whoever wants more than is left waits in line; one piece always fits when
    nothing else is out, however large it is.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.taken_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes fit."""
        if not self._waiting and self._fits(size):
            self.taken_bytes += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self._waiting.remove(entry)
                self._admit()
            raise

    def give_back(self, size: int) -> None:
        """Return bytes that have been dealt with."""
        self.taken_bytes -= size
        self._admit()

    def _fits(self, size: int) -> bool:
        return self.taken_bytes == 0 or self.taken_bytes + size <= self.total_bytes

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            self.taken_bytes += size
            turn.set_result(None)
