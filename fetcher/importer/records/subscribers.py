"""The imports that share one pull: what happens to the pull happens to each of their records."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import structlog

from fetcher.aio.retry import retry_write
from fetcher.errors import Cancelled, Failure
from fetcher.importer.records.running_import import Progress, RunningImport
from fetcher.importer.records.verdicts import hidden_of, truth_of, verdict_of
from fetcher.index.protocol import Index
from fetcher.lifecycle import Event
from fetcher.model import Attempt, Hop, Import, Phase

log = structlog.get_logger()

LATEST_HOPS = 3  # Attempts at the end whose hops are kept, beside the first one's.


class Subscribers:
    """The running imports of one pull, who see and record the same progress.

    Args:
        gone: Called with an import that dropped out because it ended elsewhere.

    Attributes:
        followers: Those who follow now, by their ids; whoever waits on the way looks at a copy.
    """

    def __init__(self, index: Index, gone: Callable[[str], None]) -> None:
        self.progress = Progress(asyncio.get_running_loop().time)
        self.attempts: tuple[Attempt, ...] = ()
        self._index = index
        self._gone = gone
        self.followers: dict[str, RunningImport] = {}
        self._owners: Counter[str] = Counter()
        self._shown: dict[str, Any] = {}
        self._moved_by: Event | None = None
        self._has_begun = False

    def __len__(self) -> int:
        """Return how many follow."""
        return len(self.followers)

    def __iter__(self) -> Iterator[RunningImport]:
        """Go through those who follow now."""
        return iter(list(self.followers.values()))

    def add(self, running: RunningImport) -> None:
        """Let one more follow; it is shown at once what the others see."""
        earlier = _of_earlier_claims(running.record)
        if not self._has_begun and len(earlier) > len(self.attempts):
            self.attempts = earlier
        owner = running.record.project_id
        if self._owners and owner not in self._owners:
            running.hide(self.progress.received_bytes)
        running.progress = self.progress
        self.drop(running.record.id)
        self.followers[running.record.id] = running
        self._owners[owner] += 1
        if self._has_begun or self.attempts or self._shown:
            running.change(attempts=self._seen_by(running), **self._shown)
        if self._moved_by is not None:
            running.move(self._moved_by)

    def drop(self, import_id: str) -> bool:
        """Let one go; False when it did not follow."""
        running = self.followers.pop(import_id, None)
        if running is None:
            return False
        owner = running.record.project_id
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]
        return True

    def change(self, attempt: dict[str, Any] | None = None, **changes: Any) -> None:
        """Replace fields of every record.

        Args:
            attempt: Fields of the running attempt that change with them.
        """
        self._shown |= changes
        if attempt is not None:
            *before, last = self.attempts
            self.attempts = (*before, msgspec.structs.replace(last, **attempt))
        for running in self.followers.values():
            seen = {} if attempt is None else {"attempts": self._seen_by(running)}
            running.change(**seen, **changes)

    def move(self, event: Event, **changes: Any) -> None:
        """Let an event move every import on; whoever follows later is moved by it too."""
        self._moved_by = event
        self._shown |= changes
        for running in self.followers.values():
            running.move(event, **changes)

    def receive(self, size: int) -> None:
        """Count bytes that came in."""
        self.progress.receive(size)
        for running in self.followers.values():
            running.notify()

    def begin_attempt(self, url: str, offset: int) -> None:
        """Move every import on to a further attempt; what an earlier process left open was interrupted."""
        self._has_begun = True
        before = tuple(_closed(attempt) for attempt in self.attempts)
        number = len(before) + 1
        attempt = Attempt(number=number, started_at=datetime.now(UTC), offset=offset, url=url)
        self.attempts = (*_thinned(before), attempt)
        self._moved_by = Event.ATTEMPT
        self._shown["phase"] = Phase.CONNECTING
        for running in self.followers.values():
            running.move(Event.ATTEMPT, phase=Phase.CONNECTING, attempts=self._seen_by(running))

    def drop_attempt(self) -> None:
        """Forget the running attempt: the machine was short, and the source has nothing to do with it."""
        if self.attempts and self.attempts[-1].code is None:
            self.attempts = self.attempts[:-1]
            for running in self.followers.values():
                running.change(attempts=self._seen_by(running))

    def finish_attempt(self, failure: Failure | None, wait: float, retry_note: str = "") -> None:
        """Note how the running attempt ended; one that has ended stays as it is.

        Args:
            failure: None where its bytes are whole.
            wait: Seconds until the next one.
            retry_note: Added to the reason that the submitter sees.
        """
        if not self.attempts or self.attempts[-1].code is not None:
            return
        verdict = verdict_of(failure) if failure else None
        attempt = self.attempts[-1]
        if failure is not None:
            addresses = [hop.address for hop in attempt.hops]
            log.info("attempt.failed", url=attempt.url, addresses=addresses, **truth_of(failure))
        self.change(
            {
                "ended_at": datetime.now(UTC),
                "code": verdict.code if verdict else "ok",
                "reason": verdict.title + retry_note if verdict else None,
                "truth": hidden_of(failure) if failure else None,
                "received_bytes": max(0, self.progress.received_bytes - attempt.offset),
                "wait_seconds": wait,
            }
        )

    def add_hop(self, hop: Hop) -> None:
        """Show a hop of the running attempt as soon as it is known, or its later, fuller form."""
        hops = self.attempts[-1].hops
        if hops and hops[-1].at == hop.at:
            hops = hops[:-1]
        self.change({"hops": (*hops, hop)})

    async def write(self) -> None:
        """Write every record down, however long the index is locked or full: the caller's deadline bounds it.

        Raises:
            Cancelled: Nobody follows any more.
        """
        await self._write(retry_write)

    async def write_once(self) -> None:
        """Write every record down now or never.

        Raises:
            StoreFailed: The index refuses.
            Cancelled: Nobody follows any more.
        """
        await self._write(_once)

    async def _write(self, accepted: Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]) -> None:
        now, received = datetime.now(UTC), self.progress.received_bytes
        running_imports = list(self)
        records = [
            running.change(updated_at=now, received_bytes=running.shown_bytes(received))
            for running in running_imports
        ]
        writes = [partial(self._index.imports.record, record) for record in records]
        kept = await asyncio.gather(*(accepted(write) for write in writes))
        for running, is_ours in zip(running_imports, kept, strict=True):
            if not is_ours and self.drop(running.record.id):
                self._gone(running.record.id)
        if not self.followers:
            raise Cancelled

    def _seen_by(self, running: RunningImport) -> tuple[Attempt, ...]:
        return running.seen(self.attempts) if running.is_late else self.attempts


async def _once(write: Callable[[], Awaitable[bool]]) -> bool:
    return await write()


def _thinned(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Drop the hops of all attempts but the first and the latest.

    A source that breaks off again and again chooses how many there are and
    what they say, and whoever lists imports reads them all.
    """
    last = len(attempts) - LATEST_HOPS
    return tuple(
        msgspec.structs.replace(attempt, hops=()) if 0 < number < last else attempt
        for number, attempt in enumerate(attempts)
    )


def _of_earlier_claims(record: Import) -> tuple[Attempt, ...]:
    """Return the attempts of earlier processes: without the one that the claim itself has noted as begun."""
    attempts = record.attempts
    return () if len(attempts) == 1 and attempts[0].started_at == record.updated_at else attempts


def _closed(attempt: Attempt) -> Attempt:
    if attempt.code is not None:
        return attempt
    reason = "The service was stopped while the attempt ran."
    return msgspec.structs.replace(attempt, code="interrupted", reason=reason, ended_at=datetime.now(UTC))
