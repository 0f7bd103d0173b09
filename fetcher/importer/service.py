"""Takes imports from submission to verdict: the queue, the runs, and recovery at start."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import structlog

from fetcher.errors import (
    Cancelled,
    Conflict,
    NotReady,
    StoreFailed,
    UnknownImport,
)
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.admission import Call, admit, new_import
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.hosts.leases import Leases
from fetcher.importer.hosts.others import Others
from fetcher.importer.methods.method import ImportMethod
from fetcher.importer.methods.registry import DEFAULT
from fetcher.importer.probing.probe import Probed
from fetcher.importer.probing.probes import Probes
from fetcher.importer.records.requests import (
    AS_RECEIVED,
)
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.recovery import in_turns, recover
from fetcher.importer.removal import remove_image, with_ballast_given_up
from fetcher.importer.schedule.queue import Ticket
from fetcher.importer.schedule.rate_limiter import RateLimiter
from fetcher.importer.scheduler import Scheduler
from fetcher.importer.stages.hand_over import left_there
from fetcher.importer.tickets import ticket_of
from fetcher.importer.uploads.job import Engine, Uploads
from fetcher.index.values import IdempotencyKey, NewImport
from fetcher.model import Actor, Image, Import, Submission

log = structlog.get_logger()

MAX_SILENT_SECONDS = 60.0


class Importer:
    """The engine of imports in this one process; what it knows for good is in the index."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._pulls = Scheduler(context)
        self._rate_limiter = RateLimiter(time.monotonic)
        self._is_open = False
        self._probes = Probes(context, self._pulls.connections, self._rate_limiter)
        self._is_stopping = False
        engine = Engine(
            queue=self._pulls.queue,
            tasks=self._pulls.sent,
            running=self._pulls.running_imports,
            is_open=lambda: self._is_open,
            release=self._pulls.release,
            notify=self._pulls.news.notify,
        )
        self.uploads = Uploads(context, engine)
        self._is_worker = "worker" in context.engine.host.roles
        self.others = Others(context, self._pulls)
        self.leases = Leases(context, self._pulls, self.others)

    async def start(self) -> None:
        """Undo what a stopped process left half done, and take up what it left waiting.

        Raises:
            StoreFailed: The index or the store refused; it may be called again.
        """
        if self.context.current.settings.convert.target != AS_RECEIVED:
            await self.context.sandbox.find()  # Known before the first import needs it, and shown in /limits.
        found = await recover(self.context)
        self._pulls.take_up(found.resume_state)
        async for some in in_turns(found.waiting if self._is_worker else ()):
            for ticket in some:
                self._pulls.queue.add(ticket)
        self._is_open = True
        if self._is_worker:
            self._pulls.open()
        self._pulls.news.notify_all()  # Those who came before saw what the process before left behind.

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Start nothing more, let running imports finish for a while, then park the rest."""
        self._is_open = False
        self._is_stopping = True
        await self._pulls.close(grace_seconds)

    async def submit(  # noqa: PLR0913 - all that a call brings
        self,
        actor: Actor,
        submission: Submission,
        *,
        method: ImportMethod | None = None,
        image: Image | None = None,
        key: IdempotencyKey | None = None,
        request_id: str | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> Import:
        """Take a submission into the queue.

        Args:
            method: How the bytes come; by default, from the URL.
            image: A queued image that waits for bytes; without one, the import makes its own.
            headers: Secret ones, for the source alone.
            token: The submitter's own, for the target image service alone.

        Raises:
            InvalidUrl: The URL, or a further one, can never be fetched.
            InvalidRequest: A header may not be sent.
            ChecksumRequired: The operator wants a digest.
            SignatureRequired: The operator wants this publisher's signature.
            QueueFull: Too many wait, or this project submits too fast.
            IdempotencyMismatch: The key was used for something else.
            NotReady: The service is stopping.
            Conflict: The image does not wait for bytes.
        """
        self._check_taking()
        settings = self.context.current.settings
        admitted = admit(submission, settings)
        origin = admitted.origin
        self._rate_limiter.count(actor.project_id, origin, settings.imports)
        call = Call(
            actor=actor,
            method=method or DEFAULT,
            image=image,
            key=key,
            request_id=request_id,
            headers=headers,
            token=token,
        )
        new, ticket = self._with_ticket(new_import(admitted, call), admitted.urls, origin)
        max_queued = settings.imports.max_queued
        if not self._is_worker:
            return self.snapshot(await self.context.index.imports.submit(new, max_queued=max_queued))
        record = await self._pulls.submit(new, ticket, max_queued)
        return record if record.id == new.record.id else self.snapshot(record)

    def _with_ticket(self, new: NewImport, urls: CheckedUrls, origin: str) -> tuple[NewImport, Ticket]:
        """Return a new import, with what other hosts need to begin it where there are any, and its ticket."""
        ticket = ticket_of(new.record, new.secrets, urls, origin=origin)
        if self.context.engine.is_shared:
            new = msgspec.structs.replace(new, waiting=ticket.announcement)
        return new, ticket

    def _check_taking(self) -> None:
        """Refuse what clients send while nothing is taken from them."""
        if not self._is_open:
            raise NotReady(reason="it is starting or stopping")
        if "api" not in self.context.engine.host.roles:
            raise NotReady(reason="this host is a worker, and takes nothing from clients")

    async def probe(self, actor: Actor, submission: Submission) -> Probed:
        """Look at a source as an import would request it, and return what the import would come to.

        Counts as a submission does, and holds a connection to the origin as an import does.

        Raises:
            InvalidUrl: The URL, or a further one, can never be fetched.
            InvalidRequest: A header may not be sent.
            QueueFull: Too many look, or this project submits too fast, or the origin has no connection free.
            NotReady: The service is stopping.
        """
        if not self._is_open:
            raise NotReady(reason="it is starting or stopping")
        return await self._probes.look(actor, submission)

    async def cancel(self, import_id: str, actor: Actor) -> Import:
        """End an import; when this returns, nothing of it is left.

        Raises:
            UnknownImport: There is none, or it is another project's.
            Conflict: It has ended in another way.
        """
        now = datetime.now(UTC)
        record = await self.context.index.imports.find(import_id, actor)
        left = None if self._pulls.running(import_id) else await left_there(self.context, record)
        await self._note_progress(record, now)
        cancel = partial(self.context.index.imports.cancel, import_id, actor, verdict_of(Cancelled()), now)
        record = await with_ballast_given_up(self.context, cancel)
        await self._pulls.cancel(record)
        if left is not None:
            await left.undo()
        return record

    async def _note_progress(self, record: Import, now: datetime) -> None:
        """Write down how far an import is that is about to be cancelled: its story stays true."""
        running = self._pulls.running(record.id)
        if running is None or record.state.is_final:
            return
        record = running.snapshot()
        attempts = record.attempts
        if attempts and attempts[-1].ended_at is None:
            received = max(0, record.received_bytes - attempts[-1].offset)
            last = msgspec.structs.replace(
                attempts[-1], ended_at=now, code=Cancelled.code, received_bytes=received
            )
            attempts = (*attempts[:-1], last)
        with suppress(StoreFailed):  # On a full disk it can be cancelled all the same.
            await self.context.index.imports.record(msgspec.structs.replace(record, attempts=attempts))

    async def find(self, import_id: str, actor: Actor) -> Import:
        """One import as it stands this moment.

        Raises:
            UnknownImport: There is none, or it is another project's.
        """
        return self.snapshot(await self.context.index.imports.find(import_id, actor))

    def snapshot(self, record: Import) -> Import:
        """Return a record with what has come in since it was last written."""
        running = self._pulls.running(record.id)
        if running is None or record.state.is_final:
            return self.others.snapshot(record)
        return running.snapshot()

    async def follow(self, import_id: str, actor: Actor, *, least_seconds: float) -> AsyncIterator[Import]:
        """Yield the import now and after changes, at most once in `least_seconds`, until it has ended.

        When the service stops, or the import is forgotten meanwhile, this ends before the import has ended.

        Raises:
            UnknownImport: There is none, or it is another project's.
        """
        shown = None
        with self._pulls.news.follow(import_id) as news:
            record = await self.find(import_id, actor)
            while not record.state.is_final and not self._is_stopping:
                running = self._pulls.running(import_id)
                with nullcontext() if running is None else running.following(news):
                    if record != shown:
                        yield record
                        shown = record
                    await _next_news(news, least_seconds)
                # What happens from here on sets the event anew, however long the consumer takes.
                running = self._pulls.running(import_id)
                try:
                    record = running.snapshot() if running is not None else await self.find(import_id, actor)
                except UnknownImport:
                    return
        if record != shown:
            yield record

    async def delete_image(self, image_id: str, actor: Actor) -> None:
        """Delete an image, and its bytes when no other image shares them; what still writes it is ended.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
            Forbidden: It is protected or another project's.
            Conflict: An import that began this moment is writing it.
        """
        writer = await self.context.index.images.check_deletable(image_id, actor)
        if writer is not None:
            with suppress(Conflict):  # It ended by itself meanwhile.
                # Who may delete the image may end its import too.
                may = msgspec.structs.replace(actor, roles=ENGINE.roles)
                record = await self.cancel(writer, may)
                if record.owns_image:
                    return
        await remove_image(self.context, image_id, actor)

    async def forget_old(self) -> int:
        """Drop the records of imports that ended long ago, and what URLs held by then; how many went."""
        before = datetime.now(UTC) - timedelta(days=self.context.current.settings.imports.keep_finished_days)
        gone = await self.context.index.pulls.forget(before)
        return gone + await self.context.index.imports.forget(before)

    @property
    def is_open(self) -> bool:
        """Takes submissions: it has recovered, and is not stopping."""
        return self._is_open

    def running(self) -> list[Import]:
        """Return the imports that run in this process, as they stand this moment."""
        return [running.snapshot() for running in self._pulls.running_imports.values()]

    def counts(self) -> dict[str, int]:
        """Return how many imports wait and run in this process."""
        return self._pulls.counts()


async def _next_news(news: asyncio.Event, least_seconds: float) -> None:
    """Wait for news of an import; now and then somebody looks all the same."""
    await asyncio.sleep(least_seconds)
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_SILENT_SECONDS):
            await news.wait()
    news.clear()
