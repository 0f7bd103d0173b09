"""The one way in which a running import ends; the table of moves is `fetcher.lifecycle`."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from fetcher.lifecycle import Event
from fetcher.model import Import, Verdict

Write = Callable[[Import], Awaitable[bool]]


class Running(Protocol):
    """A running import: its record now, and a place to show the next one."""

    @property
    def record(self) -> Import:
        """As it stands."""

    def take(self, record: Import) -> Import:
        """Show the record that was written."""


async def end(running: Running, event: Event, verdict: Verdict, write: Write, **changes: Any) -> bool:
    """End a running import: make its last record, have it written, and only then show it.

    Whoever sees an end finds the image as it is after it.

    Args:
        write: Writes the record in one transaction with all that comes of the end; False when the import
            was ended or taken over by somebody else, whose word counts.
        changes: Further fields of the last record.

    Returns:
        Whether the import ended this way.
    """
    before = running.record
    if before.state.is_final:
        return False
    record = before.ended(event, verdict, datetime.now(UTC), **changes)
    if not await write(record):
        return False
    if not running.record.state.is_final:
        running.take(record)
    return True
