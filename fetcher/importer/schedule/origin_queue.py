"""The waiting imports of one project: the first whose origin has room, without looking at all the others."""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """The origin queue's view of its entries."""

    @property
    def import_id(self) -> str:
        """Return the id."""

    @property
    def origin(self) -> str:
        """Whom it waits for."""


T = TypeVar("T", bound=Waiting)


class OriginQueue(Generic[T]):
    """First come, first served, but for those whose origin has no room.

    A choice costs as much as there are origins without room, never as much as
    there are imports: ten thousand that wait for one slow origin cost nothing.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._by_origin: dict[str, OrderedDict[str, tuple[int, T]]] = {}
        # The head of each origin's own line by its number; entries that are no head any more are skipped.
        self._heads: list[tuple[int, str]] = []
        self._size = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return self._size

    def __iter__(self) -> Iterator[T]:
        """Yield all of them, in no order."""
        return (ticket for line in self._by_origin.values() for _, ticket in line.values())

    def add(self, ticket: T) -> None:
        """Add a ticket at the end."""
        line = self._by_origin.setdefault(ticket.origin, OrderedDict())
        number = next(self._numbers)
        line[ticket.import_id] = (number, ticket)
        self._size += 1
        if len(line) == 1:
            heapq.heappush(self._heads, (number, ticket.origin))

    def remove(self, ticket: T) -> bool:
        """Remove a ticket; False when it is not here."""
        line = self._by_origin.get(ticket.origin)
        if line is None or ticket.import_id not in line:
            return False
        was_head = next(iter(line)) == ticket.import_id
        del line[ticket.import_id]
        self._size -= 1
        if not line:
            del self._by_origin[ticket.origin]
        elif was_head:
            heapq.heappush(self._heads, (self._head_number(ticket.origin), ticket.origin))
        return True

    def first(self, has_room: Callable[[str], bool]) -> T | None:
        """Return those who may go next; they stay until they are removed."""
        full: list[tuple[int, str]] = []
        found: T | None = None
        while self._heads and found is None:
            number, origin = self._heads[0]
            if self._head_number(origin) != number:
                heapq.heappop(self._heads)
            elif has_room(origin):
                found = next(iter(self._by_origin[origin].values()))[1]
            else:
                full.append(heapq.heappop(self._heads))
        for entry in full:
            heapq.heappush(self._heads, entry)
        return found

    def _head_number(self, origin: str) -> int:
        line = self._by_origin.get(origin)
        return next(iter(line.values()))[0] if line else -1
