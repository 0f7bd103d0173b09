"""The room of a store: what is free, less what is kept back and what imports were promised."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fetcher.errors import StoreFull
from fetcher.store.protocol import Space
from fetcher.store.reservation import Reservation


class Room(ABC):
    """Counts promises of room, for a store that can say how much it has.

    Args:
        reserve: Given the store's size in bytes, how many must stay free.
    """

    def __init__(self, reserve: Callable[[int], int]) -> None:
        self._reserve = reserve
        self._promised = 0
        self._promised_to: Counter[str] = Counter()

    @abstractmethod
    def _measure(self) -> tuple[int, int]:
        """Return how many bytes are free, and how many there are in all; raises StoreFailed."""

    def free_bytes(self) -> int:
        """Return what may still be written: free space less the machine's reserve and what is promised.

        Raises:
            StoreFailed: The store does not say.
        """
        free, total = self._measure()
        return free - self._reserve(total) - self._promised

    def space(self) -> Space:
        """Return how full the store is, for an operator.

        Raises:
            StoreFailed: The store does not say.
        """
        free, total = self._measure()
        return Space(total=total, free=free, usable=max(0, self.free_bytes()))

    @contextmanager
    def reserve(self, owner: str = "") -> Iterator[Reservation]:
        """Hold room for one import; races are decided here, before the first byte.

        Args:
            owner: A project. One import may take all room that there is, but several of one owner not more
                than half of it: sources that announce much and send nothing would shut everybody else out.
        """
        reservation = Reservation(self, owner)
        try:
            yield reservation
        finally:
            reservation.release()

    def promise(self, size: int, owner: str = "", held_bytes: int = 0) -> None:
        """Count bytes as taken before they are written; a negative size gives them back.

        Args:
            owner: Whose they are.
            held_bytes: What one reservation of the owner's holds already.

        Raises:
            StoreFull: They do not fit.
        """
        already = self._promised_to[owner]
        is_one_of_several = owner and already > held_bytes
        free = self.free_bytes() if size > 0 else 0
        if size > free or (size > 0 and is_one_of_several and 2 * (already + size) > already + free):
            raise StoreFull
        self._promised += size
        self._promised_to[owner] += size
        if not self._promised_to[owner]:
            del self._promised_to[owner]
