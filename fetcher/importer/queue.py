"""Whose import runs next: projects take turns, and no origin or project takes every slot."""

from collections import Counter, OrderedDict
from collections.abc import Iterator

import msgspec

from fetcher.config import Imports
from fetcher.errors import QueueFull
from fetcher.importer.line import Line


class Ticket(msgspec.Struct, frozen=True):
    """A waiting import: all that the queue needs to know of it."""

    import_id: str
    project_id: str
    origin: str


class FairQueue:
    """Waiting and running imports of all projects.

    Each project has its own line; they are served in turn, so that one
    project's hundred imports never hold back another's first. Within a
    project, an import whose origin is at its cap lets others pass.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, Line[Ticket]] = OrderedDict()
        self._waiting: dict[str, Ticket] = {}
        self._running: dict[str, Ticket] = {}
        self._by_project: Counter[str] = Counter()
        self._by_origin: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def add(self, ticket: Ticket) -> None:
        """Put an import at the end of its project's line."""
        self._waiting[ticket.import_id] = ticket
        self._lines.setdefault(ticket.project_id, Line()).add(ticket)

    def drop(self, import_id: str) -> bool:
        """Take an import out of its line; False when it does not wait."""
        ticket = self._waiting.get(import_id)
        if ticket is None:
            return False
        self._remove(ticket)
        return True

    def release(self, import_id: str) -> None:
        """Free the slot of an import that ended."""
        ticket = self._running.pop(import_id)
        for counts, key in ((self._by_project, ticket.project_id), (self._by_origin, ticket.origin)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]  # Else every origin that was ever asked would be remembered.

    def admit(self, ticket: Ticket, caps: Imports) -> None:
        """Give a slot to bytes that are being sent and cannot wait in line; their sender is the origin.

        Raises:
            QueueFull: All slots, or all of the project, are taken.
        """
        if self.running >= caps.max_running:
            raise QueueFull(scope="the service's running", limit=caps.max_running)
        if self._by_project[ticket.project_id] >= caps.max_running_per_project:
            raise QueueFull(scope="the project's running", limit=caps.max_running_per_project)
        self._start(ticket)

    def take(self, caps: Imports) -> Iterator[Ticket]:
        """Hand out every import that may start now, one project after the other."""
        while self.running < caps.max_running:
            ticket = self._next(caps)
            if ticket is None:
                return
            self._start(ticket)
            yield ticket

    def _start(self, ticket: Ticket) -> None:
        self._running[ticket.import_id] = ticket
        self._by_project[ticket.project_id] += 1
        self._by_origin[ticket.origin] += 1

    def _next(self, caps: Imports) -> Ticket | None:
        for project_id, line in self._lines.items():
            if self._by_project[project_id] >= caps.max_running_per_project:
                continue
            ticket = line.first(lambda origin: self._by_origin[origin] < caps.max_running_per_origin)
            if ticket is not None:
                self._lines.move_to_end(project_id)
                self._remove(ticket)
                return ticket
        return None

    def _remove(self, ticket: Ticket) -> None:
        del self._waiting[ticket.import_id]
        line = self._lines[ticket.project_id]
        line.remove(ticket)
        if not line:
            del self._lines[ticket.project_id]
