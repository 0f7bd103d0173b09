"""The places of this host's pulls among those of all hosts."""

import asyncio

from fetcher.aio.retry import written
from fetcher.aio.supervisor import Tasks
from fetcher.engine.protocol import Engine
from fetcher.engine.values import Caps, Elsewhere, Place
from fetcher.errors import StoreFailed
from fetcher.importer.schedule.queue import Slot, Ticket


class SharedPlaces:
    """Takes a place for each pull where other hosts count it; a host that is alone needs none.

    Args:
        tasks: Runs what nobody waits for.

    Attributes:
        asked: The taking of a place, by the pull that has one to give back.
    """

    def __init__(self, engine: Engine, tasks: Tasks) -> None:
        self._engine = engine
        self._tasks = tasks
        self.asked: dict[str, asyncio.Task[bool]] = {}
        self._is_open = True

    def close(self) -> None:
        """Retry nothing any more: a host that stops says once for all that it has no pulls."""
        self._is_open = False

    def ask(self, pull_id: str, slot: Slot, ticket: Ticket) -> None:
        """Begin to take a place for a pull."""
        if self._engine.is_shared:
            work = self._enter(pull_id, slot, ticket)
            self.asked[pull_id] = asyncio.create_task(work, name=f"enter {pull_id}")

    async def has(self, pull_id: str) -> bool:
        """Return whether a pull got its place, as soon as that is known."""
        asked = self.asked.get(pull_id)
        return asked is None or await asyncio.shield(asked)

    async def move(self, pull_id: str, origin: str, most: int) -> bool:
        """Have a pull counted at another origin; False, and at none, where all hosts have `most` there."""
        return await written(lambda: self._engine.move(pull_id, origin, most))

    async def elsewhere(self) -> Elsewhere:
        """Return what the pulls of other hosts take of each cap."""
        return await written(self._engine.elsewhere)

    def seal(self, pull_id: str) -> None:
        """Let nobody of another host join a pull any more."""
        if self._engine.is_shared:
            self._tasks.start(written(lambda: self._engine.seal(pull_id)), f"seal {pull_id}")

    async def leave(self, pull_id: str) -> None:
        """Give a pull's place back, if it got one."""
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
                self._tasks.start(written(lambda: self._engine.leave(pull_id)), f"leave {pull_id}")

    async def _enter(self, pull_id: str, slot: Slot, ticket: Ticket) -> bool:
        place = Place(
            id=pull_id,
            project_id=ticket.project_id,
            origin=ticket.origin,
            request=ticket.request if ticket.is_shared else None,
        )
        caps = Caps(project=slot.caps.max_running_per_project, origin=slot.caps.max_running_per_origin)
        return await written(lambda: self._engine.enter(place, caps))
