"""Bytes that are sent to us: the same guards, digests and commit as for a pull, and the same records."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.aio.supervisor import start_logged
from fetcher.config import Settings
from fetcher.errors import (
    Cancelled,
    Conflict,
    Interrupted,
    InvalidRequest,
    NotReady,
)
from fetcher.guards.network.address import TABLE_VERSION
from fetcher.guards.stream.convert import check_target
from fetcher.guards.stream.size import check_declared
from fetcher.ids import new_id
from fetcher.importer.context import Context
from fetcher.importer.methods.method import Flow, ImportMethod
from fetcher.importer.records.asked import asked_of
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.verdicts import OK
from fetcher.importer.schedule.queue import FairQueue, Slot, Ticket
from fetcher.importer.stages.commit import with_bytes
from fetcher.importer.stages.inject import check_rules, matching
from fetcher.importer.stages.provenance import document
from fetcher.importer.uploads.run import Body, UploadRun
from fetcher.lifecycle import Event, State, next_state
from fetcher.model import Actor, Image, Import, Phase, Submission

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The parts of the engine that uploads share with downloads: slots, tasks, and what is seen of them."""

    queue: FairQueue
    tasks: dict[str, asyncio.Task[None]]
    running: dict[str, RunningImport]
    is_open: Callable[[], bool]
    release: Callable[[Slot], None]
    notify: Callable[[str], None]


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
        settings = self._context.current.settings
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
        await self._context.index.maintenance.check_whole(stage.blob.address)
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
        settings = self._context.current.settings
        limits = self._context.in_force.of(settings)
        story = document(record, stage.blob, settings, table_version=TABLE_VERSION, limits=limits)
        await self._context.index.uploads.activate(record, stage, image, story)
        self._context.unsigned.set()
        return record

    def _new_record(self, actor: Actor, image: Image, method: str, request_id: str | None) -> Import:
        now, settings = datetime.now(UTC), self._context.current.settings
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
        self._engine.notify(record.id)  # Its row could be seen a moment before.
        if not self._engine.is_open():
            task.cancel()  # Who closes the service ended what was sent by then, and did not see this one.
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            del self._engine.running[record.id], self._engine.tasks[record.id]
            running.notify()
            self._engine.notify(record.id)  # Also to who has just read a row that is old by now.
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
