"""One import from its claim to its verdict."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.config import Settings
from fetcher.errors import Cancelled, Failure, InternalFault
from fetcher.guards.address import TABLE_VERSION
from fetcher.guards.checksum import check_digest
from fetcher.importer.attempts import Attempts, Steps
from fetcher.importer.intake import Intake
from fetcher.importer.live import Live
from fetcher.importer.provenance import document
from fetcher.importer.remote import look_up
from fetcher.importer.timing import GuardTimes
from fetcher.importer.tracing import span
from fetcher.importer.unbroken import unbroken
from fetcher.importer.verdicts import OK, state_of, verdict_of
from fetcher.index import Index, Secrets
from fetcher.model import Actor, Blob, FormatVerdict, Image, Import, Phase, State
from fetcher.pipeline import Workshop
from fetcher.store import Store
from fetcher.store.store import Reservation
from fetcher.transport import Gate, SourceRequest

log = structlog.get_logger()

Settle = Callable[[Blob], Awaitable[bool]]

# Who acts where the service does its own work, which it was allowed to when it took the work.
ENGINE = Actor(project_id="", user_id="engine", roles=frozenset({"admin"}))


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every run needs of the rest of the house."""

    index: Index
    store: Store
    gate: Gate
    workshop: Workshop
    settings: Callable[[], Settings]
    guard_times: GuardTimes = field(default_factory=GuardTimes)


class Run:
    """Carries one claimed import to its end, under the limits in force when it began.

    Args:
        live: Its record, claimed for this run.
        secrets: The URL and headers that only the pull may know.
    """

    def __init__(self, parts: Parts, live: Live, secrets: Secrets) -> None:
        self._parts = parts
        self._live = live
        self._secrets = secrets
        self._settings = parts.settings()
        self._taking: Intake | None = None

    async def finish(self) -> None:
        """Run the import to its end; every way it can end badly ends here, in its verdict."""
        try:
            with self._parts.store.reserve() as reservation:
                await self._import(reservation)
        except Failure as failure:
            await self._fail(failure)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("import.fault", import_id=self._live.record.id, error=repr(error))
            await self._fail(InternalFault())

    async def _import(self, reservation: Reservation) -> None:
        url = self._secrets.url
        if self._live.record.submission.remote is not None:
            url = await look_up(self._parts.gate, self._live, self._secrets, self._settings)
        steps = Steps(fresh=lambda: self._intake(reservation), write=self._write, verify=self._verify)
        request = SourceRequest(url=url, headers=self._secrets.headers)
        attempts = Attempts(self._parts.gate, self._live, request, self._settings, steps)
        try:
            intake = await attempts.take_all()
            with span("commit"):
                await unbroken(
                    commit(self._parts, self._live, intake, self._activation(attempts.source_headers))
                )
        finally:
            await attempts.close()

    async def _intake(self, reservation: Reservation, *, is_judged: bool = True) -> Intake:
        record = self._live.change(format=None)
        self._taking = Intake(
            staged=await self._parts.store.stage(record.id, record.claim),
            store=self._parts.store,
            workshop=self._parts.workshop,
            settings=self._settings,
            submission=record.submission,
            is_judged=is_judged,
            algorithms=self._algorithms(),
            reservation=reservation,
            count=self._count,
            times=self._parts.guard_times,
        )
        return self._taking

    def _activation(self, headers: dict[str, str]) -> Settle:
        """What makes an image of committed bytes; `headers` are those of the source."""

        async def settle(blob: Blob) -> bool:
            return await activate(self._parts, self._live, blob, self._settings, headers)

        return settle

    def _algorithms(self) -> list[str]:
        checksum = self._live.record.submission.checksum
        names: list[str] = list(self._settings.checksum.computed)
        return names if checksum is None or checksum.algorithm in names else [*names, checksum.algorithm]

    def _count(self, size: int) -> None:
        self._live.receive(size)
        if self._live.record.format is None and self._taking is not None and self._taking.format is not None:
            self._live.change(format=self._taking.format)

    async def _write(self) -> None:
        record = self._live.change(updated_at=datetime.now(UTC), received_bytes=self._live.received_bytes)
        if not await self._parts.index.imports.record(record):
            raise Cancelled

    def _verify(self, intake: Intake) -> None:
        """Compare the digests with what was promised.

        Raises:
            ChecksumMismatch: They differ.
        """
        self._live.change(phase=Phase.VERIFYING, format=intake.format, digests=intake.digests())
        checksum = self._live.record.submission.checksum
        if checksum is not None:
            source = "submitter" if self._live.record.submission.remote is None else "remote"
            check_digest(checksum, intake.digests()[checksum.algorithm], source=source)
            if checksum.algorithm in self._settings.checksum.accepted:
                self._live.change(verified_by=source)

    async def _fail(self, failure: Failure) -> None:
        now = datetime.now(UTC)
        changes = {
            "state": state_of(failure),
            "phase": None,
            "verdict": verdict_of(failure),
            "received_bytes": self._live.received_bytes,
            "updated_at": now,
            "ended_at": now,
        }
        record = msgspec.structs.replace(self._live.record, **changes)
        detail = {"code": failure.code, "message": str(failure), "cause": repr(failure.__cause__)}
        level = log.error if isinstance(failure, InternalFault) else log.info
        level(
            "import.ended", import_id=record.id, state=record.state.value, url=record.submission.url, **detail
        )
        if await self._parts.index.imports.end(record, detail):
            self._live.change(**changes)  # Only now: whoever sees an end finds the image as it is after it.


async def commit(parts: Parts, live: Live, intake: Intake, settle: Settle) -> None:
    """Make complete and verified bytes durable, then visible.

    The record says first which blob is about to appear, so that a start after
    a crash knows what may lie there without a row.

    Args:
        settle: Writes the rows that need the bytes; False when the import was ended meanwhile.

    Raises:
        Cancelled: The import was cancelled first; nothing is left of it.
        StoreFull: The file system has no room, found out late.
        StoreFailed: The file system or the index refused.
    """
    digests = intake.digests()
    sha256 = digests["sha256"]
    now = datetime.now(UTC)
    record = live.change(
        phase=Phase.COMMITTING, digests=digests, received_bytes=intake.received_bytes, updated_at=now
    )
    if not await parts.index.imports.record(record):
        raise Cancelled
    blob = Blob(
        sha256=sha256,
        size=intake.received_bytes,
        digests=digests,
        virtual_bytes=intake.format.virtual_bytes if intake.format else None,
        created_at=now,
    )
    async with parts.store.holding(sha256):
        try:
            await parts.store.commit(intake.staged, sha256)
            won = await settle(blob)
        finally:
            if not await parts.index.images.has_blob(sha256):
                await parts.store.remove(sha256)
    if not won:
        raise Cancelled


async def activate(parts: Parts, live: Live, blob: Blob, settings: Settings, headers: dict[str, str]) -> bool:
    """Make the import's image active with these bytes, and the import succeeded."""
    now = datetime.now(UTC)
    record = msgspec.structs.replace(
        live.record, state=State.SUCCEEDED, phase=None, verdict=OK, updated_at=now, ended_at=now
    )
    image = await parts.index.images.find(record.image_id, ENGINE)
    image = with_bytes(image, blob, record.format, now)
    story = {**document(record, blob, settings, TABLE_VERSION), "source_headers": headers}
    won = await parts.index.imports.activate(record, blob, image, story)
    if won:
        live.change(**{name: getattr(record, name) for name in Import.__struct_fields__})
        log.info(
            "import.succeeded", import_id=record.id, image_id=image.id, size=blob.size, sha256=blob.sha256
        )
    return won


def with_bytes(image: Image, blob: Blob, verdict: FormatVerdict | None, now: datetime) -> Image:
    """The image as it is with these bytes; its formats are what the bytes are, as far as they were judged."""
    return msgspec.structs.replace(
        image,
        disk_format=verdict.disk_format if verdict else image.disk_format,
        container_format=verdict.container_format if verdict else image.container_format,
        virtual_size=blob.virtual_bytes,
        updated_at=now,
    )
