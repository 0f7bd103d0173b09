"""One pull and the imports that follow it, from the first request to everybody's verdict."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog

from fetcher.aio.retry import retry_while_short
from fetcher.aio.shield import shielded
from fetcher.errors import Cancelled, ChecksumMismatch, Failure, InternalFault, StoreFailed
from fetcher.guards import Headroom
from fetcher.importer.context import Context
from fetcher.importer.download.attempts import Attempts
from fetcher.importer.download.budget import Budget
from fetcher.importer.download.open_source import SourceOpener, Unchanged
from fetcher.importer.download.sources import Sources
from fetcher.importer.members import Members
from fetcher.importer.methods.way import way_of
from fetcher.importer.place import Place
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.quota_headroom import coming, quota_headroom
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.receiver_factory import ReceiverFactory
from fetcher.importer.records.requests import sums_request
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.resume_state import ResumeStateWriter
from fetcher.importer.schedule.connections import Connections
from fetcher.importer.stages import registry
from fetcher.importer.stages.revalidation import Reuse
from fetcher.importer.stages.stage import Story
from fetcher.importer.stages.verification import Verification
from fetcher.index.values import ResumeState
from fetcher.lifecycle import Event
from fetcher.model import Import, Submission
from fetcher.store.reservation import Reservation

log = structlog.get_logger()


class DownloadJob:
    """Pulls one body for all imports that asked for it alike, under the limits in force when it began.

    Each import keeps its own record, its own promised digest and its own
    verdict; one that is cancelled leaves, and the others go on. The pull ends
    with the last of them.

    Args:
        resume_state: What an earlier process left of it, or a new id.

    Attributes:
        id: What its log lines carry, whichever import they are about; fresh bytes are staged under it.
        followers: The imports that the body is for, by their ids; each may leave at any moment.
        change: Replaces fields of every import's record.
        asked: What was asked for, alike in all of them.
    """

    settle = None  # No rows of its own: the imports' images become active.

    def __init__(
        self, context: Context, resume_state: ResumeState, connections: Connections, place: Place
    ) -> None:
        self.context = context
        self.id = resume_state.id
        self.resume_state = resume_state
        self._connections = connections
        self.place = place
        self.settings = context.current.settings
        self._resume_writer = ResumeStateWriter(
            context.index, resume_state, self.settings.resume.save_seconds
        )
        self.members = Members(context, self.settings, place)
        self.subscribers = self.members.subscribers
        self.followers = self.subscribers.followers
        self.change = self.subscribers.change
        self.secrets = self.members.secrets
        self.asked: Submission  # There as soon as one is in.
        self.verification = Verification(self.subscribers, self.settings)
        self._attempts: Attempts | None = None
        self._reuse: Reuse | None = None
        self._body: Complete | None = None
        self.is_parked = False
        self._is_lost = False

    def park(self) -> None:
        """From here on, a cancelled pull is to be taken up by a later process."""
        self.is_parked = True

    def lose(self) -> None:
        """From here on, a cancelled pull is to be taken up by the host that has taken its imports."""
        self.is_parked = self._is_lost = True

    async def run(self) -> None:
        """Run to the end; every way it can end badly ends here, in the imports' verdicts."""
        try:
            await self.members.settle()
            if self.followers:
                owner = self._first().record.project_id
                with self.context.store.reserve(owner) as reservation:
                    await self._pull(reservation)
        except Failure as failure:
            with suppress(StoreFailed):  # The next start finds it; the verdict must not be lost over it.
                await self._forget_kept()
            await self.members.end_all(failure)
        except Exception as error:
            log.exception("import.fault", pull_id=self.resume_state.id, error=repr(error))
            await self.members.end_all(InternalFault())
        finally:
            self.members.let_go()

    def _first(self) -> RunningImport:
        """Return the import that came first of those that are in."""
        return next(iter(self.followers.values()))

    async def _adopt(self) -> None:
        """Go on with what a host left that is gone; whoever pulls has its imports by now."""
        if self.resume_state.staged or not self.context.engine.is_shared:
            return
        pulls, request = self.context.index.pulls, self.resume_state.request
        left = await retry_while_short(partial(pulls.adopt, request))
        if left is not None:
            log.info("pull.adopted", adopted_id=left.id, kept_bytes=left.kept_bytes)
            self.resume_state = left
            self._resume_writer = ResumeStateWriter(
                self.context.index, left, self.settings.resume.save_seconds
            )

    async def _pull(self, reservation: Reservation) -> None:
        await self._adopt()
        running = self._first()
        record = running.record
        urls = self.members.urls
        find = partial(way_of, self.context.gate, running, self.members.secrets, urls)
        way = self.verification.way = await retry_while_short(find)
        self.secrets = way.secrets
        sources = Sources(
            self.secrets,
            urls,
            record.project_id,
            first=self.resume_state.source,
            expects_digest=self.verification.is_expected_by_all,
        )
        self.asked = record.submission
        sources.ca_pem, sources.dialect = record.submission.ca_pem, way.dialect
        budget = Budget(
            self.resume_state,
            total_seconds=self.settings.pace.total_seconds,
            max_bytes=record.submission.max_bytes,
            now=asyncio.get_running_loop().time,
        )
        opener = SourceOpener(
            self.context.gate, sources, self.settings, self._connections, self.subscribers.add_hop
        )
        attempts = Attempts(self, sources, opener, self._receivers(reservation), budget)
        self._attempts = attempts
        # Owned by the supervisor: without it a crash would cost all that came in since the last row.
        save = partial(self._resume_writer.save_often, attempts)
        self._resume_writer.begin(partial(self.context.supervisor.keep, "resume state", save))
        try:
            await self._fetch_sums(record)
            if await self._take(attempts) is not None:
                await self._process(attempts)
        except Exception:
            self.is_parked = False  # It has come to its end: a later process has nothing to take up.
            raise
        finally:
            await self._resume_writer.end()
            try:
                await shielded(self._let_go(attempts))
            except StoreFailed as error:
                # The next start finds it as it is; what ended the pull must not be forgotten over it.
                log.error("pull.left", pull_id=self.resume_state.id, detail=str(error))  # noqa: TRY400 - a fact, not a fault

    async def _fetch_sums(self, record: Import) -> None:
        if self.secrets.checksum_url is not None:
            await retry_while_short(partial(self._fetch_named, record))

    async def _fetch_named(self, record: Import) -> None:
        ca_pem, dialect = record.submission.ca_pem, self.verification.way.dialect
        request = sums_request(self.secrets, self.members.urls, record.project_id, ca_pem, dialect)
        await self.place.go(request.file.target(self.settings).origin)
        await self.verification.fetch_sums(self.context.gate, request)

    async def _take(self, attempts: Attempts) -> Receiver | None:
        """Pull the bytes; None when everybody got those of an earlier pull."""
        if self.settings.reuse.revalidate != "off":
            self._reuse = Reuse(self.context, self.settings, self.secrets, self.asked)
            if registry.takes_known_bytes():
                attempts.known_etag = await retry_while_short(partial(self._reuse.find, self.subscribers))
        try:
            return await attempts.take_all()
        except Unchanged:
            assert self._reuse is not None  # Nothing is asked about but what it found.
            self.verification.settle_by_hops()
            for running, failure in await self._reuse.give(
                self.subscribers, self.verification.expected({}), self.story()
            ):
                await self.end(running, failure)
        return await attempts.take_all() if self.followers else None

    def _receivers(self, reservation: Reservation) -> ReceiverFactory:
        return ReceiverFactory(
            context=self.context,
            settings=self.settings,
            pull_id=self.id,
            resume_state=self.resume_state,
            claims=self._first().record.submission,
            reservation=reservation,
            promised=self.verification.expected_algorithms,
            subscribers=self.subscribers,
            marked=self._resume_writer.mark,
            headroom=self._headroom,
        )

    async def _headroom(self) -> Headroom | None:
        """Return what is left of a project's quota.

        A pull for several projects has none: each is held to its quota when its image is made.
        """
        projects = {running.record.project_id for running in self.followers.values()}
        if len(projects) != 1:
            return None
        first = self._first()
        used_bytes, first.used_bytes = first.used_bytes, None  # Later attempts ask anew.
        return await quota_headroom(
            self.context.index,
            self.settings,
            projects.pop(),
            partial(coming, self.place.running_imports.values(), self.followers.values()),
            used_bytes,
        )

    async def verify(self, receiver: Receiver, stated: dict[str, str]) -> ChecksumMismatch | None:
        """Compare with the digests that each import expects; from here on nobody joins."""
        await self.members.shut()
        self.verification.stated = stated
        self._body = await registry.run_attempt(self, receiver.complete())
        return self.verification.mismatch

    async def _process(self, attempts: Attempts) -> None:
        """Take complete bytes on, for those whose promise was kept."""
        await self._end_failed(attempts)
        if self.followers:
            assert self._body is not None
            await registry.run_rest(self, self._body)

    async def _end_failed(self, attempts: Attempts) -> None:
        """Give those their verdict whose promise was broken."""
        failed = self.verification.failed
        if all(import_id in failed for import_id in self.followers):
            await attempts.close()  # Whoever sees the verdict finds nothing of the bytes.
        for running in list(self.followers.values()):
            if running.record.id in failed:
                await self.end(running, failed[running.record.id])

    def story(self) -> Story:
        """Return what is kept with the image."""
        headers = self._attempts.version.headers if self._attempts is not None else {}
        return Story(
            settings=self.settings,
            limits=self.context.in_force.of(self.settings),
            source_headers=headers,
            more=self.verification.story(),
        )

    def show(self, share: float) -> None:
        """Show how far a conversion is, from 0 to 1."""
        self.subscribers.change(stages={"converting": {"share": share}})

    async def close(self) -> None:
        """Let go of what came in."""
        if self._attempts is not None:
            await self._attempts.close()

    async def kept(self, body: Complete, address: str, project_ids: Sequence[str]) -> None:
        """Remember what the URL holds, where that is what is kept."""
        etag = self._attempts.version.etag if self._attempts is not None else None
        if "received" not in body.stages and self._reuse is not None:
            await self._reuse.remember(project_ids, etag, address)

    async def _let_go(self, attempts: Attempts) -> None:
        """Keep what a later process can go on from, or leave no trace."""
        if self.is_parked and (self.followers or self._is_lost):
            await self._resume_writer.release(await attempts.park())
            self.subscribers.move(Event.REQUEUE, phase=None)
            with suppress(Cancelled):
                # Once: an index that refuses must not keep the service from stopping.
                await self.subscribers.write_once()
            return
        await attempts.close()
        await self._forget_kept()

    async def _forget_kept(self) -> None:
        """Remove what an earlier process left: it may not even have come to being taken up."""
        if self.resume_state.staged:
            await self.context.store.remove_staged(self.resume_state.staged)
        await self._resume_writer.drop()

    async def end(self, running: RunningImport, failure: Failure | None) -> None:
        """Give an import its verdict; without a failure it has it already."""
        await self.members.end(running, failure)
