"""The queue of imports: projects take turns, and no origin or project takes every slot."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Self

import msgspec

from fetcher.engine.values import Elsewhere
from fetcher.errors import QueueFull
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schedule.origin_queue import OriginQueue
from fetcher.index.values import Waiting
from fetcher.settings.imports import Imports

MAX_FOLLOWERS = 100  # Of one pull that are let in at a time: each is a task and a write.


class Ticket(msgspec.Struct, frozen=True):
    """A waiting import: all that the queue needs to know of it.

    Args:
        request: Equal for imports that could share a pull.
        is_shared: Whether this one may.
        urls: What its URLs were judged to be; None for bytes that are sent.
    """

    import_id: str
    project_id: str
    origin: str
    request: str = ""
    is_shared: bool = False
    urls: CheckedUrls | None = None

    @property
    def announcement(self) -> Waiting:
        """Return what other hosts need to know of it."""
        return Waiting(self.import_id, self.project_id, self.origin, self.request, self.is_shared)

    @classmethod
    def of(cls, waiting: Waiting, urls: CheckedUrls) -> Self:
        """Return the ticket of an import that another host has announced."""
        return cls(
            waiting.import_id,
            waiting.project_id,
            waiting.origin,
            waiting.request,
            is_shared=waiting.is_shared,
            urls=urls,
        )


class Slot:
    """The room that one pull takes, however many imports follow it.

    Args:
        ticket: Whose turn it was.
        caps: In force when it was given; imports under others get a pull of their own.

    Attributes:
        origin: Where its own connection counts now; None while it is on its way to another.
    """

    def __init__(self, ticket: Ticket, caps: Imports) -> None:
        self.project_id = ticket.project_id
        self.origin: str | None = ticket.origin
        self.request = ticket.request
        self.caps = caps


class FairQueue:
    """Waiting and running imports of all projects.

    Each project has its own line; they are served in turn, so that one
    project's hundred imports never hold back another's first. Within a
    project, an import whose origin is at its cap lets others pass. One that
    can follow a pull which is going on needs no slot and never waits.

    Attributes:
        followed: Requests of open pulls that somebody waits to follow, who came later.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OriginQueue[Ticket]] = OrderedDict()
        self._waiting: dict[str, Ticket] = {}
        self._alike: dict[str, dict[str, Ticket]] = {}
        self._slots: set[Slot] = set()
        self._open: dict[str, Slot] = {}
        self.followed: dict[str, None] = {}
        self._by_project: Counter[str] = Counter()
        self._by_origin: Counter[str] = Counter()
        self._elsewhere = Elsewhere()
        self._aside: dict[str, Ticket] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting) + len(self._aside)

    @property
    def running(self) -> int:
        """Return how many slots are taken."""
        return len(self._slots)

    def __contains__(self, import_id: str) -> bool:
        """Return whether an import waits."""
        return import_id in self._waiting or import_id in self._aside

    def see(self, elsewhere: Elsewhere) -> None:
        """Count from now on what pulls of other hosts take; who could join one is left to its host."""
        self._elsewhere = elsewhere
        for request in elsewhere.requests & self._alike.keys():
            for ticket in list(self._alike[request].values()):
                self._remove(ticket)
                self._aside[ticket.import_id] = ticket
        for ticket in list(self._aside.values()):
            if ticket.request not in elsewhere.requests:
                del self._aside[ticket.import_id]
                self.add(ticket)

    def add(self, ticket: Ticket) -> None:
        """Put an import at the end of its project's line."""
        if ticket.import_id in self:
            return
        if ticket.is_shared and ticket.request in self._elsewhere.requests:
            self._aside[ticket.import_id] = ticket
            return
        self._waiting[ticket.import_id] = ticket
        if (line := self._lines.get(ticket.project_id)) is None:
            line = self._lines[ticket.project_id] = OriginQueue()
        line.add(ticket)
        if ticket.is_shared:
            self._alike.setdefault(ticket.request, {})[ticket.import_id] = ticket
            if ticket.request in self._open:
                self.followed[ticket.request] = None

    def drop(self, import_id: str) -> bool:
        """Take an import out of its line; False when it does not wait."""
        ticket = self._waiting.get(import_id)
        if ticket is None:
            return self._aside.pop(import_id, None) is not None
        self._remove(ticket)
        return True

    def admit(self, ticket: Ticket, caps: Imports) -> Slot:
        """Give a slot to bytes that are being sent and cannot wait in line; their sender is the origin.

        Raises:
            QueueFull: All slots, or all of the project, are taken.
        """
        if self.running >= caps.max_running:
            raise QueueFull(scope="the service's running", limit=caps.max_running)
        if self._by_project[ticket.project_id] >= caps.max_running_per_project:
            raise QueueFull(scope="the project's running", limit=caps.max_running_per_project)
        return self._give(ticket, caps)

    def begin(self, ticket: Ticket, caps: Imports) -> Slot | None:
        """Give a slot at once where nobody waits before; None where an import has to wait, or may follow."""
        is_known = ticket.request in self._open or ticket.request in self._elsewhere.requests
        if self._waiting or self._aside or self.followed or (ticket.is_shared and is_known):
            return None
        if self.running >= caps.max_running or not self._has_turn(ticket.project_id, caps):
            return None
        return self._open_for(ticket, caps) if self._has_room(ticket.origin, caps) else None

    def take(self, caps: Imports) -> Iterator[tuple[Slot, Ticket]]:
        """Hand out all that may start now, one project after the other, and those that may follow.

        Of those that follow the same pull only some: where `followed` is not empty, there are more.
        """
        followed, self.followed = self.followed, {}
        for request in followed:
            if request in self._open:
                yield from self._subscribers(self._open[request], caps)
        while self.running < caps.max_running:
            ticket = self._next(caps)
            if ticket is None:
                return
            slot = self._open_for(ticket, caps)
            yield slot, ticket
            yield from self._subscribers(slot, caps)

    def seal(self, slot: Slot) -> bool:
        """Let nobody follow this pull any more; False when nobody could before."""
        if self._open.get(slot.request) is not slot:
            return False
        del self._open[slot.request]
        return True

    def release(self, slot: Slot) -> None:
        """Free the slot of a pull that ended."""
        self.seal(slot)
        self._slots.remove(slot)
        self._by_project[slot.project_id] -= 1
        if not self._by_project[slot.project_id]:
            del self._by_project[
                slot.project_id
            ]  # Else every project that ever imported would be remembered.
        self.leave(slot)

    def leave(self, slot: Slot) -> None:
        """Let a pull's own connection count nowhere."""
        if slot.origin is not None:
            self.disconnect(slot.origin)
            slot.origin = None

    def enter(self, slot: Slot, origin: str, caps: Imports) -> bool:
        """Let it count at an origin, if there is room."""
        if not self.connect(origin, caps):
            return False
        slot.origin = origin
        return True

    def connect(self, origin: str, caps: Imports) -> bool:
        """Take room for one more connection to an origin, beyond the one that comes with a slot."""
        if not self._has_room(origin, caps):
            return False
        self._by_origin[origin] += 1
        return True

    def disconnect(self, origin: str) -> None:
        """Give that room back."""
        self._by_origin[origin] -= 1
        if not self._by_origin[origin]:
            del self._by_origin[origin]

    def _open_for(self, ticket: Ticket, caps: Imports) -> Slot:
        """Give a slot that equal requests may share."""
        slot = self._give(ticket, caps)
        if ticket.is_shared:
            self._open[ticket.request] = slot
        return slot

    def _give(self, ticket: Ticket, caps: Imports) -> Slot:
        slot = Slot(ticket, caps)
        self._slots.add(slot)
        self._by_project[ticket.project_id] += 1
        self._by_origin[ticket.origin] += 1
        return slot

    def _remove(self, ticket: Ticket) -> None:
        del self._waiting[ticket.import_id]
        line = self._lines[ticket.project_id]
        line.remove(ticket)
        if not line:
            del self._lines[ticket.project_id]
        alike = self._alike.get(ticket.request, {})
        alike.pop(ticket.import_id, None)
        if not alike:
            self._alike.pop(ticket.request, None)

    def _subscribers(self, slot: Slot, caps: Imports) -> Iterator[tuple[Slot, Ticket]]:
        if slot.caps is not caps or self._open.get(slot.request) is not slot:
            return
        alike = self._alike.get(slot.request, {})
        if len(alike) > MAX_FOLLOWERS:
            self.followed[slot.request] = None
        for ticket in list(islice(alike.values(), MAX_FOLLOWERS)):
            self._remove(ticket)
            yield slot, ticket

    def _has_room(self, origin: str, caps: Imports) -> bool:
        elsewhere = self._elsewhere.by_origin.get(origin, 0)
        return self._by_origin[origin] + elsewhere < caps.max_running_per_origin

    def _has_turn(self, project_id: str, caps: Imports) -> bool:
        elsewhere = self._elsewhere.by_project.get(project_id, 0)
        return self._by_project[project_id] + elsewhere < caps.max_running_per_project

    def _next(self, caps: Imports) -> Ticket | None:
        for project_id, line in self._lines.items():
            if not self._has_turn(project_id, caps):
                continue
            ticket = line.first(lambda origin: self._has_room(origin, caps))
            if ticket is not None:
                self._lines.move_to_end(project_id)
                self._remove(ticket)
                return ticket
        return None
