"""Waiting for what is scarce: one queue for every limit, which loses no wake-up and nothing taken."""

import asyncio
from collections.abc import Callable

Take = Callable[[], bool]


class WaitingRoom:
    """Coroutines that wait, in order of arrival, until each can take what it needs.

    Args:
        is_strict: Nobody passes those who came earlier; else a waiter that finds what it needs does.

    Attributes:
        waiting: What each of them takes; `admit` has something to do only where there are any.
    """

    def __init__(self, *, is_strict: bool = False) -> None:
        self._is_strict = is_strict
        self.waiting: dict[asyncio.Future[None], Take] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.waiting)

    async def enter(self, take: Take, give_back: Callable[[], None]) -> None:
        """Wait until `take` has succeeded; at once where that is possible.

        Args:
            take: Takes what is needed and returns True, or returns False where there is too little. It
                neither blocks nor raises, and is asked again at each `admit`.
            give_back: Undoes it, for a waiter that was cancelled in the moment of being let in. It calls
                `admit` as it does elsewhere.
        """
        if not self.waiting and take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[turn] = take
        self.admit()
        try:
            await turn
        except asyncio.CancelledError:
            if self.waiting.pop(turn, None) is None:
                give_back()
            else:
                self.admit()  # Those behind may have waited for this one alone.
            raise

    def admit(self) -> None:
        """Let in the waiters that can take what they need: to be called whenever there is more of it."""
        admitted = []
        for turn, take in self.waiting.items():
            if turn.done():
                continue  # Cancelled, and about to leave by itself.
            if take():
                admitted.append(turn)
            elif self._is_strict:
                break
        for turn in admitted:
            del self.waiting[turn]
            turn.set_result(None)
