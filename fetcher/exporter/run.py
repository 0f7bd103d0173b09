"""One export, from its turn to its end: attempts, waits, and what is told of them."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.aio.retry import written
from fetcher.config import Settings
from fetcher.errors import BytesDamaged, Failure, InternalFault, Rejection, SourceTooSlow
from fetcher.exporter.reading import Reading
from fetcher.exporter.senders.base import SendJob
from fetcher.exporter.senders.registry import named
from fetcher.exporter.words import verdict_of
from fetcher.guards.request.receivers import check_receiver
from fetcher.importer.context import Context
from fetcher.importer.download.retry_policy import wait_seconds
from fetcher.index.values import SENT, Export, ExportAttempt, ReceiverSecrets
from fetcher.lifecycle import Event
from fetcher.model import Verdict

log = structlog.get_logger()

PROGRESS_SECONDS = 1.0


class LostClaim(Exception):
    """Somebody else has ended the export: there is nothing more to do."""


class ExportRun:
    """Sends one image; everything it writes carries its claim.

    Args:
        export: As it was claimed.
        show: Told of every change, for those who follow.
    """

    def __init__(
        self, context: Context, export: Export, secrets: ReceiverSecrets, show: Callable[[Export], None]
    ) -> None:
        self._context = context
        self._secrets = secrets
        self._show = show
        self._written_at = 0.0
        self.export = export

    async def run(self) -> None:
        """Try until the receiver has the image, or no attempt is left."""
        try:
            wait: float | None = 0.0
            while wait is not None:
                await asyncio.sleep(wait)
                wait = await self._attempt()
        except LostClaim:
            log.info("export.lost", export_id=self.export.id)

    async def _attempt(self) -> float | None:
        """Make one attempt; how long to wait for the next one, None after the end."""
        settings = self._context.settings()
        number, began = len(self.export.attempts) + 1, datetime.now(UTC)
        attempt = ExportAttempt(number=number, started_at=began)
        await self._write(Event.ATTEMPT, attempts=(*self.export.attempts, attempt), sent_bytes=0)
        try:
            answer = await self._send(settings)
        except Failure as failure:
            return await self._failed(failure, settings)
        except Exception as error:
            log.exception("export.fault", export_id=self.export.id, error=repr(error))
            return await self._failed(InternalFault(), settings)
        await self._end(Event.SUCCEED, SENT, answer=answer, sent_bytes=self.export.size)
        return None

    async def _send(self, settings: Settings) -> dict[str, str]:
        export, seconds = self.export, settings.exports.total_seconds
        check_receiver(self._secrets.url, settings)  # The operator may have changed their mind meanwhile.
        await self._context.index.maintenance.check_whole(export.sha256)
        reading = Reading(self._context.store, export.sha256, export.size, self._progress)
        job = SendJob(
            url=self._secrets.url,
            headers=self._secrets.headers,
            project=export.project_id,
            size=export.size,
            sha256=export.sha256,
            read=reading.chunks,
            gate=self._context.gate,
            settings=settings,
        )
        try:
            async with asyncio.timeout(seconds):
                return await named(export.sender).send(job)
        except TimeoutError as error:
            raise SourceTooSlow(
                reason=f"not done within {seconds:g} seconds", limit_seconds=seconds
            ) from error
        except Failure:
            if reading.failure is not None:
                raise reading.failure from None
            raise

    async def _failed(self, failure: Failure, settings: Settings) -> float | None:
        """Note a failure, and decide what follows."""
        log.info("export.attempt", export_id=self.export.id, code=failure.code, detail=str(failure))
        verdict, rules = verdict_of(failure), settings.exports
        number, public = len(self.export.attempts), failure.public()
        is_final = isinstance(failure, BytesDamaged) or not (
            public.is_retryable() or isinstance(failure, InternalFault | SourceTooSlow)
        )
        if is_final or number >= rules.attempts:
            event = Event.REFUSE if isinstance(public, Rejection) else Event.FAIL
            await self._end(event, verdict)
            return None
        pace = msgspec.structs.replace(
            settings.retry,
            first_wait_seconds=rules.first_wait_seconds,
            max_wait_seconds=rules.max_wait_seconds,
        )
        wait = wait_seconds(failure, number, pace)
        await self._write(Event.PAUSE, attempts=self._closed(verdict.code, wait))
        return wait

    async def _progress(self, sent_bytes: int) -> None:
        self.export = msgspec.structs.replace(
            self.export, sent_bytes=sent_bytes, updated_at=datetime.now(UTC)
        )
        self._show(self.export)
        if time.monotonic() - self._written_at >= PROGRESS_SECONDS:
            self._written_at = time.monotonic()
            await self._record()

    def _closed(self, code: str, wait: float = 0.0) -> tuple[ExportAttempt, ...]:
        """Return the attempts, the last of which has ended."""
        *before, last = self.export.attempts
        sent = self.export.sent_bytes
        ended = msgspec.structs.replace(
            last, ended_at=datetime.now(UTC), code=code, sent_bytes=sent, wait_seconds=wait
        )
        return (*before, ended)

    async def _end(self, event: Event, verdict: Verdict, **changes: object) -> None:
        log.info("export.ended", export_id=self.export.id, code=verdict.code, receiver=self.export.receiver)
        await self._write(event, attempts=self._closed(verdict.code), verdict=verdict, **changes)

    async def _write(self, event: Event, **changes: object) -> None:
        self.export = self.export.moved(event, datetime.now(UTC), **changes)
        await self._record()
        self._show(self.export)

    async def _record(self) -> None:
        if not await written(lambda: self._context.index.exports.record(self.export)):
            raise LostClaim
