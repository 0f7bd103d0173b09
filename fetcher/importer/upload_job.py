"""Bytes that are sent to us: the same guards, digests and commit as for a pull, and the same records."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec
import structlog

from fetcher.aio.retry import outlasted
from fetcher.aio.shield import shielded
from fetcher.aio.supervisor import start_logged
from fetcher.config import Settings
from fetcher.errors import (
    Cancelled,
    Conflict,
    DeadlinePassed,
    Failure,
    InternalFault,
    Interrupted,
    InvalidRequest,
    NotReady,
)
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.network.address import TABLE_VERSION
from fetcher.guards.stream.convert import check_target
from fetcher.guards.stream.size import check_declared
from fetcher.ids import new_id
from fetcher.importer.context import Context
from fetcher.importer.lifecycle import end
from fetcher.importer.methods.method import Flow, ImportMethod
from fetcher.importer.methods.registry import named
from fetcher.importer.receive.quota_headroom import coming, quota_headroom
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.unpacking import unpacks_upload
from fetcher.importer.records.asked import asked_of
from fetcher.importer.records.requests import AS_RECEIVED
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.verdicts import OK, fail
from fetcher.importer.schedule.queue import FairQueue, Slot, Ticket
from fetcher.importer.stages.commit import Settle, Story, activate_all, commit, with_bytes
from fetcher.importer.stages.convert import Complete, Conversion
from fetcher.importer.stages.inject import check_rules, matching
from fetcher.importer.stages.provenance import document
from fetcher.lifecycle import Event, State, next_state
from fetcher.model import Actor, Blob, Image, Import, Phase, Submission, Verdict
from fetcher.pipeline import Peer, PeerClock
from fetcher.store.reservation import Reservation

log = structlog.get_logger()

STAGED = Verdict(code="ok", title="The bytes are staged; an import with glance-direct makes the image.")


class Body(Peer, Protocol):
    """The bytes that somebody sends."""

    @property
    def declared_bytes(self) -> int | None:
        """Return how many there are, if the sender says so."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What uploads share with the imports that pull: slots, tasks, and what is seen while they run."""

    queue: FairQueue
    tasks: dict[str, asyncio.Task[None]]
    running: dict[str, RunningImport]
    is_open: Callable[[], bool]
    release: Callable[[Slot], None]
    tell: Callable[[str], None]


class UploadRun:
    """Carries one body to its end.

    Args:
        lives: Who runs now.
        takes_encrypted: Whether a LUKS volume may come as raw.

    Attributes:
        failure: What ended it, if something did.
    """

    def __init__(
        self,
        context: Context,
        running: RunningImport,
        body: Body,
        running_imports: Callable[[], Iterable[RunningImport]],
        *,
        takes_encrypted: bool,
    ) -> None:
        self._context = context
        self._running_imports = running_imports
        self._running = running
        self._body = body
        self._settings = context.settings()
        self._takes_encrypted = takes_encrypted
        self.failure: Failure | None = None

    async def finish(self) -> None:
        """Run to the end; every way it can end badly ends here, in the verdict."""
        try:
            with self._context.store.reserve(self._running.record.project_id) as reservation:
                await self._take(reservation)
        except Failure as failure:
            self.failure = failure
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("import.fault", import_id=self._running.record.id, error=repr(error))
            self.failure = InternalFault()
        if self.failure is not None:
            words = named(self._running.record.method).words(self.failure)
            await fail(self._context.index, self._running, self.failure, words=words)

    async def _take(self, reservation: Reservation) -> None:
        pace = self._settings.pace
        receiver = await self._receiver(reservation)
        try:
            if self._body.declared_bytes is not None:
                reservation.expect(self._body.declared_bytes)
            clock = PeerClock(asyncio.get_running_loop().time)
            async with asyncio.timeout(pace.total_seconds):
                await receiver.take(self._body, clock)
            self._running.change(
                phase=Phase.VERIFYING,
                format=receiver.format,
                digests=receiver.digests(),
                stages=receiver.story(),
            )
            async with self._conversion().run(Complete.of(receiver)) as body:
                self._running.change(format=body.format, digests=body.digests, stages=body.stages)
                await shielded(self._commit(body))
        except TimeoutError as error:
            raise DeadlinePassed(total_seconds=pace.total_seconds) from error
        finally:
            await receiver.close()

    async def _receiver(self, reservation: Reservation) -> Receiver:
        record = self._running.record
        headroom = await quota_headroom(
            self._context.index,
            self._settings,
            record.project_id,
            lambda: coming(self._running_imports(), [self._running]),
        )
        chain = Chain(
            GuardContext(
                purpose=Purpose(record.method),
                settings=self._settings,
                submission=record.submission,
                takes_encrypted=self._takes_encrypted,
                headroom=headroom,
            )
        )
        return Receiver(
            staged=await outlasted(lambda: self._context.store.stage(record.id, record.claim)),
            store=self._context.store,
            worker_pool=self._context.worker_pool,
            settings=self._settings,
            chain=chain,
            unpacks=self._settings.format.enforce_on_upload
            and unpacks_upload(self._settings, record.submission),
            algorithms=self._settings.checksum.computed,
            reservation=reservation,
            count=self._running.receive,
            times=self._context.guard_times,
        )

    def _conversion(self) -> Conversion:
        """Return the converter; whether a plain upload stays as it was sent, a rule says."""
        record, rule = self._running.record, self._settings.convert.uploads
        asked = record.submission.convert_to
        submission = record.submission
        if named(record.method).flow is Flow.SEND and (rule == "never" or (rule == "asked" and not asked)):
            submission = msgspec.structs.replace(submission, convert_to=AS_RECEIVED)
        return Conversion(
            context=self._context,
            settings=self._settings,
            submission=submission,
            begin=lambda: self._running.change(phase=Phase.CONVERTING),
        )

    async def _commit(self, body: Complete) -> None:
        settle: Settle = self._stage
        if named(self._running.record.method).flow is Flow.SEND:
            story = Story(settings=self._settings, source_headers={}, more={})
            settle = partial(activate_all, self._context.index, [self._running], story=story)
        [failure] = await commit(self._context, [self._running], body, settle)
        if failure is not None:
            raise failure

    async def _stage(self, blob: Blob) -> Sequence[Failure | None]:
        stage = partial(self._context.index.uploads.stage, blob=blob)
        return [None if await end(self._running, Event.SUCCEED, STAGED, stage) else Cancelled()]


class Uploads:
    """Takes bodies that are sent for images, and makes images of staged ones."""

    def __init__(self, context: Context, engine: Engine) -> None:
        self._context = context
        self._engine = engine

    async def take(
        self,
        actor: Actor,
        image: Image,
        body: Body,
        *,
        method: ImportMethod,
        request_id: str | None = None,
    ) -> None:
        """Take in a body; when this returns, the image is active, or its bytes are staged.

        Raises:
            NotReady: The service is stopping.
            QueueFull: As many bodies and imports run as may.
            Conflict: The image does not wait for bytes.
            Cancelled: The image was deleted meanwhile.
            Failure: Whatever a guard or the store refused; nothing is left of the bytes.
        """
        settings = self._context.settings()
        if not self._engine.is_open():
            raise NotReady(reason="it is starting or stopping")
        if not settings.format.enforce_on_upload and None in {image.disk_format, image.container_format}:
            reason = "disk_format and container_format need to be set before bytes are sent"
            raise InvalidRequest(reason=reason)
        check_rules(settings, matching(settings, actor, image.project_id, ""), image)
        check_declared(body.declared_bytes, max_bytes=settings.size.max_bytes)
        record = self._new_record(actor, image, method.name, request_id)
        check_target(record.submission, settings)
        record = msgspec.structs.replace(
            record,
            phase=Phase.PULLING,
            claim=1,
            expected_bytes=body.declared_bytes,
            started_at=record.created_at,
        )
        ticket = Ticket(record.id, record.project_id, f"upload {record.id}")
        slot = self._engine.queue.admit(ticket, settings.imports)
        try:
            status = "saving" if method.flow is Flow.SEND else "uploading"
            await self._context.index.uploads.begin(record, status)
            await self._carry(record, body, takes_encrypted=_takes_encrypted(actor, settings))
        finally:
            self._engine.release(slot)

    async def import_staged(
        self, actor: Actor, image: Image, method: ImportMethod, request_id: str | None = None
    ) -> Import:
        """Make an image of the bytes that were staged for it, which passed every guard when they came.

        Raises:
            Conflict: There are none.
            BytesDamaged: They rotted while they waited.
        """
        stage = await self._context.index.uploads.staged(image.id)
        if stage is None:
            raise Conflict(reason=f"the image is {image.status.value}; stage its bytes first")
        await self._context.index.maintenance.check_whole(stage.blob.sha256)
        record = self._new_record(actor, image, method.name, request_id)
        record = record.ended(
            Event.SUCCEED,
            OK,
            record.created_at,
            received_bytes=stage.blob.size,
            expected_bytes=stage.blob.size,
            format=stage.format,
            digests=stage.blob.digests,
            started_at=record.created_at,
        )
        image = with_bytes(image, stage.blob, stage.format, record.created_at)
        story = document(record, stage.blob, self._context.settings(), TABLE_VERSION)
        await self._context.index.uploads.activate(record, stage, image, story)
        self._context.activated.set()
        return record

    def _new_record(self, actor: Actor, image: Image, method: str, request_id: str | None) -> Import:
        now, settings = datetime.now(UTC), self._context.settings()
        return Import(
            id=new_id(),
            image_id=image.id,
            project_id=image.project_id,
            user_id=actor.user_id,
            method=method,
            submission=Submission(
                url="",
                name=image.name,
                disk_format=image.disk_format,
                container_format=image.container_format,
                max_bytes=settings.size.max_bytes,
                rules=matching(settings, actor, image.project_id, ""),
                **asked_of(image),
            ),
            state=next_state(None, Event.RECEIVE),
            length_verified=True,  # A request without a length, or the end of its chunks, has no body.
            owns_image=False,
            request_id=request_id,
            created_at=now,
            updated_at=now,
        )

    async def _carry(self, record: Import, body: Body, *, takes_encrypted: bool) -> None:
        running = RunningImport(record, asyncio.get_running_loop().time)
        running_imports = self._engine.running.values
        run = UploadRun(self._context, running, body, running_imports, takes_encrypted=takes_encrypted)
        task = start_logged(run.finish(), f"{record.method} {record.id}")
        self._engine.running[record.id] = running
        self._engine.tasks[record.id] = task
        self._engine.tell(record.id)  # Its row could be seen a moment before.
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            del self._engine.running[record.id], self._engine.tasks[record.id]
            running.tell()
            self._engine.tell(record.id)  # Also to who has just read a row that is old by now.
        if run.failure is not None:
            raise run.failure
        if task.cancelled():
            if running.record.state is State.CANCELLED:
                raise Cancelled
            if not self._engine.is_open():
                raise NotReady(reason="it is stopping")
            raise Interrupted


def _takes_encrypted(actor: Actor, settings: Settings) -> bool:
    """Return whether a caller may upload a LUKS volume, as Cinder does for encrypted volumes."""
    who = settings.format.encrypted_uploads
    return who == "everybody" or (who == "service" and actor.is_service)
