"""The slots of this host's pulls among those of all hosts."""

import asyncio
from contextlib import suppress

from fetcher.aio.retry import retry_write
from fetcher.aio.supervisor import Tasks
from fetcher.engine.protocol import Engine
from fetcher.engine.values import Caps, Elsewhere, Place
from fetcher.errors import StoreFailed
from fetcher.importer.schedule.connections import Connections
from fetcher.importer.schedule.queue import Slot, Ticket

NEWS_SECONDS = 2.0  # Another host's news may be lost with its connection: then this asks by itself.


class ClusterSlots:
    """Takes a slot for each pull where other hosts count it; a host that is alone asks for none.

    Args:
        tasks: Runs what nobody waits for.
        connections: Those of this host.

    Attributes:
        asked: The taking of a slot, by the pull that has one to give back.
        news: Set, and replaced, at every signal about other hosts' pulls.
    """

    def __init__(self, engine: Engine, tasks: Tasks, connections: Connections) -> None:
        self._engine = engine
        self._tasks = tasks
        self._connections = connections
        self.asked: dict[str, asyncio.Task[bool]] = {}
        self.news = asyncio.Event()
        self._is_open = True

    def notify(self) -> None:
        """Wake those who wait for a change at other hosts."""
        self.news.set()
        self.news = asyncio.Event()

    def close(self) -> None:
        """Retry nothing any more: a host that stops says once for all that it has no pulls."""
        self._is_open = False

    def ask(self, pull_id: str, slot: Slot, ticket: Ticket) -> None:
        """Begin to take a slot for a pull."""
        work = self._enter(pull_id, slot, ticket)
        self.asked[pull_id] = asyncio.create_task(work, name=f"enter {pull_id}")

    async def has(self, pull_id: str) -> bool:
        """Return whether a pull got its slot, as soon as that is known."""
        asked = self.asked.get(pull_id)
        return asked is None or await asyncio.shield(asked)

    async def go(self, pull_id: str, slot: Slot, origin: str) -> None:
        """Take a pull's own connection to another origin, once there is room over all hosts."""
        if slot.origin == origin or pull_id not in self.asked:
            await self._connections.go(slot, origin)
            return
        self._connections.leave(slot)
        most = slot.caps.max_running_per_origin
        news = self.news
        while not await self._move(pull_id, origin, most):
            await until_changed(news)
            await self._connections.go(slot, origin)  # So it waits until there seems to be room.
            self._connections.leave(slot)
            news = self.news
        await self._connections.go(slot, origin)

    async def _move(self, pull_id: str, origin: str, most: int) -> bool:
        """Have a pull counted at another origin; False, and at none, where all hosts have `most` there."""
        return await retry_write(lambda: self._engine.move(pull_id, origin, most))

    async def elsewhere(self) -> Elsewhere:
        """Return what the pulls of other hosts take of each cap."""
        return await retry_write(self._engine.elsewhere)

    def seal(self, pull_id: str) -> None:
        """Let nobody of another host join a pull any more."""
        self._tasks.start(retry_write(lambda: self._engine.seal(pull_id)), f"seal {pull_id}")

    async def leave(self, pull_id: str) -> None:
        """Give a pull's slot back, if it got one."""
        asked = self.asked.pop(pull_id)
        if not asked.done():
            asked.cancel()
            await asyncio.wait({asked})
        if not asked.cancelled() and not asked.result():
            return
        try:
            await self._engine.leave(pull_id)
        except StoreFailed:
            if self._is_open:
                self._tasks.start(retry_write(lambda: self._engine.leave(pull_id)), f"leave {pull_id}")

    async def _enter(self, pull_id: str, slot: Slot, ticket: Ticket) -> bool:
        place = Place(
            id=pull_id,
            project_id=ticket.project_id,
            origin=ticket.origin,
            request=ticket.request if ticket.is_shared else None,
        )
        caps = Caps(project=slot.caps.max_running_per_project, origin=slot.caps.max_running_per_origin)
        return await retry_write(lambda: self._engine.enter(place, caps))


async def until_changed(news: asyncio.Event) -> None:
    """Wait for a signal of other hosts, or for so long that one may have been lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(NEWS_SECONDS):
            await news.wait()
