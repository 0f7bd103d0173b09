"""The number of connections to one address at once, whatever names and redirects led to it."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from fetcher.aio.waiting_room import WaitingRoom
from fetcher.transport.plan import AnyAddress

K = TypeVar("K")


class AddressLimiter:
    """Places at each address; one project gets half of them at the most.

    The queue counts imports by the origin that was submitted. A source can
    send them on, and any number of names can have one address: what counts for
    whoever has that address are the connections.
    """

    def __init__(self) -> None:
        self._taken: Counter[AnyAddress] = Counter()
        self._by_project: Counter[tuple[AnyAddress, str]] = Counter()
        self._waiting = WaitingRoom()

    @asynccontextmanager
    async def hold(self, addresses: Sequence[AnyAddress], project: str, most: int) -> AsyncIterator[None]:
        """Wait until there is room at all of them, and have a place at each."""
        give_back = partial(self._give_back, addresses, project)
        await self._waiting.enter(partial(self._take, addresses, project, most), give_back)
        try:
            yield
        finally:
            give_back()

    def __len__(self) -> int:
        """Return at how many addresses there are connections."""
        return len(self._taken)

    def _take(self, addresses: Sequence[AnyAddress], project: str, most: int) -> bool:
        if not all(self._has_room(address, project, most) for address in addresses):
            return False
        self._count(addresses, project, 1)
        return True

    def _give_back(self, addresses: Sequence[AnyAddress], project: str) -> None:
        self._count(addresses, project, -1)
        if self._waiting.waiting:
            self._waiting.admit()

    def _has_room(self, address: AnyAddress, project: str, most: int) -> bool:
        return self._taken[address] < most and self._by_project[address, project] < max(1, most // 2)

    def _count(self, addresses: Sequence[AnyAddress], project: str, more: int) -> None:
        for address in addresses:
            _add(self._taken, address, more)
            _add(self._by_project, (address, project), more)


def _add(counts: Counter[K], key: K, more: int) -> None:
    """Count, and forget what has none."""
    counts[key] += more
    if not counts[key]:
        del counts[key]
