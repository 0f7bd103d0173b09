"""How many conversations there are with one address at once, whatever names and redirects led to it."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fetcher.transport.plan import AnyAddress


class AddressLimiter:
    """Places at each address; one project gets half of them at the most.

    The queue counts imports by the origin that was submitted. A source can
    send them on, and any number of names can have one address: what counts for
    whoever has that address are the connections.
    """

    def __init__(self) -> None:
        self._taken: Counter[AnyAddress] = Counter()
        self._by_project: Counter[tuple[AnyAddress, str]] = Counter()
        self._waiting: set[asyncio.Event] = set()

    async def wait(self, addresses: Sequence[AnyAddress], project: str, most: int) -> None:
        """Wait until there is room at all of them."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while not all(self._has_room(address, project, most) for address in addresses):
                event.clear()
                await event.wait()
        finally:
            self._waiting.discard(event)

    @contextmanager
    def hold(self, addresses: Sequence[AnyAddress], project: str) -> Iterator[None]:
        """Have a place at each of them."""
        self._count(addresses, project, 1)
        try:
            yield
        finally:
            self._count(addresses, project, -1)
            for event in self._waiting:
                event.set()

    def __len__(self) -> int:
        """Return how many addresses somebody has a place at."""
        return len(self._taken)

    def _has_room(self, address: AnyAddress, project: str, most: int) -> bool:
        return self._taken[address] < most and self._by_project[address, project] < max(1, most // 2)

    def _count(self, addresses: Sequence[AnyAddress], project: str, more: int) -> None:
        for address in addresses:
            self._taken[address] += more
            self._by_project[address, project] += more
        self._taken += Counter()  # forget those with none
        self._by_project += Counter()
