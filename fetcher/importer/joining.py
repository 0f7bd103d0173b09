"""Imports on their way from the queue to their pulls: each is claimed, and joins or is put back."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import structlog

from fetcher.aio.retry import retry_write
from fetcher.aio.supervisor import Tasks
from fetcher.errors import Failure, UnknownImport
from fetcher.importer.context import Context
from fetcher.importer.job import DownloadJob
from fetcher.importer.news import News
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.schedule.cluster_slots import ClusterSlots, until_changed
from fetcher.importer.schedule.queue import FairQueue, Ticket
from fetcher.index.values import Claimed, NewImport
from fetcher.model import Import

log = structlog.get_logger()


class Turns(Protocol):
    """The scheduler, as imports on their way see it."""

    queue: FairQueue
    news: News
    running_imports: dict[str, RunningImport]
    places: dict[str, DownloadJob]

    def add(self, ticket: Ticket) -> None:
        """Let an import wait for its turn."""

    def let_more_in_soon(self) -> None:
        """Let further imports join, after others had their turn."""


class Joining:
    """Claims imports for the pulls that wait for them; whoever comes too late waits for a pull of its own.

    Args:
        shared: The slots of pulls among those of all hosts.
        tasks: Runs what nobody waits for.

    Attributes:
        expected: Who is on the way from the queue to a pull.
        entering: How many claims are on their way to the index.
    """

    def __init__(self, context: Context, shared: ClusterSlots, tasks: Tasks, turns: Turns) -> None:
        self._context = context
        self._shared = shared
        self._tasks = tasks
        self._turns = turns
        self.expected: set[str] = set()
        self.entering = 0

    async def begin(self, pull: DownloadJob, ticket: Ticket, new: NewImport, max_queued: int) -> Import:
        """Write a new import and claim it for a pull, in the same transaction.

        Returns:
            The import as it was submitted, or the one that the same key made before.
        """
        claimed, is_left = None, False
        try:
            imports = self._context.index.imports
            record, claimed = await imports.begin(new, max_queued=max_queued, now=datetime.now(UTC))
        except asyncio.CancelledError:
            is_left = True  # It is written all the same.
            raise
        finally:
            is_in = self._arrive(pull, ticket, claimed)
            self.expected.discard(ticket.import_id)
            if is_left or not is_in:
                self._tasks.start(self._put_back(ticket), f"put back {ticket.import_id}")
        return record

    async def _put_back(self, ticket: Ticket) -> None:
        """Let an import wait for a pull of its own, if it was written at all."""
        now = datetime.now(UTC)
        with suppress(UnknownImport):
            if await retry_write(lambda: self._context.index.imports.requeue(ticket.import_id, now)):
                self._turns.add(ticket)

    async def join(self, pull: DownloadJob, ticket: Ticket) -> None:
        """Let an import that waited follow its pull; when that is over, it waits for one of its own."""
        news = self._shared.news
        try:
            is_in = await self._enter(pull, ticket)
            if is_in is None:
                pull.members.arrive(None, None, None)
                self._turns.queue.see(await self._shared.elsewhere())
                await until_changed(news)
            elif not is_in:
                now = datetime.now(UTC)
                await retry_write(lambda: self._context.index.imports.requeue(ticket.import_id, now))
        finally:
            self.expected.discard(ticket.import_id)
        if not is_in:
            self._turns.add(ticket)

    async def _enter(self, pull: DownloadJob, ticket: Ticket) -> bool | None:
        """Claim an import for its pull; None where the pull has no slot, False where it is over."""
        self.entering += 1
        try:
            return await self._claim(pull, ticket) if await self._shared.has(pull.id) else None
        finally:
            self.entering -= 1
            self._turns.let_more_in_soon()

    async def _claim(self, pull: DownloadJob, ticket: Ticket) -> bool:
        """Claim an import for its pull; False when it is claimed and its pull is over."""
        claimed = None
        try:
            claimed = await retry_write(
                lambda: self._context.index.imports.claim(ticket.import_id, datetime.now(UTC))
            )
        except Failure as failure:
            log.error("import.unclaimed", import_id=ticket.import_id, message=str(failure))  # noqa: TRY400 - ours
        finally:
            is_in = self._arrive(pull, ticket, claimed)
        return is_in

    def _arrive(self, pull: DownloadJob, ticket: Ticket, claimed: Claimed | None) -> bool:
        """Let an import join that its pull waits for; False when it is claimed and the pull is over."""
        if claimed is None:
            pull.members.arrive(None, None, None)
            return True
        running = RunningImport(claimed.record, asyncio.get_running_loop().time, claimed.used_bytes)
        is_in = pull.members.arrive(running, claimed.secrets, ticket.urls)
        if is_in:
            self._turns.running_imports[ticket.import_id] = running
            self._turns.places[ticket.import_id] = pull
            self._turns.news.notify(ticket.import_id)
        return is_in
