"""One export, from its turn to its end: attempts, waits, and the records of both."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import structlog

from fetcher.aio.retry import retry_write
from fetcher.aio.shield import shielded
from fetcher.config import Settings
from fetcher.errors import (
    BytesDamaged,
    Conflict,
    Failure,
    InternalFault,
    Rejection,
    SourceTooSlow,
    UnknownExport,
    UnknownImage,
)
from fetcher.exporter.digests import read_back
from fetcher.exporter.outbound import Outbound, outbound
from fetcher.exporter.reading import Reading
from fetcher.exporter.senders.base import SendJob
from fetcher.exporter.senders.registry import named
from fetcher.exporter.words import verdict_of
from fetcher.guards.request.receivers import check_kind, check_receiver, check_sendable
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.download.retry_policy import wait_seconds
from fetcher.index.values import SENT, Export, ExportAttempt, ReadBack, ReceiverSecrets
from fetcher.lifecycle import Event
from fetcher.model import Image, Verdict

log = structlog.get_logger()

PROGRESS_SECONDS = 1.0
MAX_ATTEMPTS = 200  # Of one export, however much each of them brought.
ANSWER = "answer"  # In what is remembered: the receiver has the image, and has said this.


class LostClaim(Exception):
    """The export was ended elsewhere: there is nothing more to do."""


class ExportRun:
    """Sends one image; everything it writes carries its claim.

    Attributes:
        is_unwanted: Whoever cancels it wants nothing of it to stay at the receiver.

    Args:
        export: As it was claimed.
        show: Called at every change, for those who follow.
    """

    def __init__(
        self, context: Context, export: Export, secrets: ReceiverSecrets, show: Callable[[Export], None]
    ) -> None:
        self._context = context
        self._secrets = secrets
        self._show = show
        self._sender = named(export.sender)
        self._written_at = 0.0
        self._consecutive_failures = self._reached = 0
        self._outbound: Outbound | None = None
        self._stack = AsyncExitStack()
        self.is_unwanted = False
        self.export = export

    async def run(self) -> None:
        """Try until the receiver has the image, or no attempt is left."""
        try:
            async with self._stack:
                wait: float | None = 0.0
                while wait is not None:
                    await asyncio.sleep(wait)
                    wait = await self._attempt()
        except LostClaim:
            log.info("export.lost", export_id=self.export.id)
            await self._abort_if_ended()
        except asyncio.CancelledError:
            if self.is_unwanted:
                await shielded(self.abort())
            raise

    async def _abort_if_ended(self) -> None:
        """Clear up after an export that was ended elsewhere; one that runs elsewhere is left alone."""
        with suppress(UnknownExport):
            ended = await self._context.index.exports.find(self.export.id, ENGINE)
            if ended.state.is_final:
                await self.abort()

    async def abort(self) -> bool:
        """Remove what is unfinished at the receiver; False where it stays, which the log says."""
        if not self._secrets.resume or ANSWER in self._secrets.resume:
            return True
        settings, export = self._context.current.settings, self.export
        nothing = Outbound(
            reading=Reading(
                partial(self._context.store.read, export.sha256), export.size, export.sha256, self._progress
            ),
            disk_format=None,
        )
        try:
            async with asyncio.timeout(settings.exports.undo_seconds):
                await self._sender.abort(self._job(None, nothing, settings))
        except Exception as error:  # noqa: BLE001 - an export ends here, and says what it has left
            log.warning("export.left", export_id=self.export.id, detail=repr(error))
            return False
        return True

    async def _attempt(self) -> float | None:
        """Make one attempt; how long to wait for the next one, None after the end."""
        settings = self._context.current.settings
        number, began = len(self.export.attempts) + 1, datetime.now(UTC)
        attempt = ExportAttempt(number=number, started_at=began)
        await self._write(Event.ATTEMPT, attempts=(*self.export.attempts, attempt), sent_bytes=0)
        try:
            answer, found = await self._send(settings)
        except Failure as failure:
            self._consecutive_failures += 1
            return await self._failed(failure, settings)
        except LostClaim:
            raise
        except Exception as error:
            log.exception("export.fault", export_id=self.export.id, error=repr(error))
            self._consecutive_failures += 1
            return await self._failed(InternalFault(), settings)
        await self._end(Event.SUCCEED, SENT, answer=answer, read_back=found, sent_bytes=self.export.size)
        return None

    async def _send(self, settings: Settings) -> tuple[dict[str, str], ReadBack | None]:
        """Send, and read back where that was asked for; what was sent once is not sent again."""
        seconds = settings.exports.total_seconds
        check_kind(self._sender.name, settings)
        check_receiver(self._secrets.url, settings)  # The operator may have changed their mind meanwhile.
        image = await self._image()
        check_sendable(image)
        await self._context.index.maintenance.check_whole(self._address_of(image))
        found = await self._prepared(image)
        if image.sha256 is None:
            image = await self._image()  # It may have been computed to prepare it.
        try:
            async with asyncio.timeout(seconds):
                answer: dict[str, str] | None = self._secrets.resume.get(ANSWER)
                if answer is None:
                    answer = await self._sender.send(self._job(image, found, settings))
                    if self.export.options.verify:
                        await self._remember({**self._secrets.resume, ANSWER: answer}, self.export.size)
        except TimeoutError as error:
            raise SourceTooSlow(
                reason=f"not done within {seconds:g} seconds", limit_seconds=seconds
            ) from error
        except Failure:
            if found.reading.failure is not None:
                raise found.reading.failure from None
            raise
        if not self.export.options.verify:
            return answer, None
        return answer, await self._verified(self._job(image, found, settings))

    async def _verified(self, job: SendJob) -> ReadBack:
        wanted = await self._sender.to_read(job)
        if isinstance(wanted, str):
            return ReadBack(result="not-possible", reason=wanted)
        await read_back(job, wanted)
        return ReadBack(result="matched")

    async def _image(self) -> Image:
        return await self._context.index.images.find(self.export.image_id, ENGINE)

    def _address_of(self, image: Image) -> str:
        """Return which bytes of ours are sent or converted.

        Raises:
            Conflict: The image has others than it had when the export was submitted.
        """
        if self.export.options.format is None and self.export.sha256 not in ("", image.sha256):
            raise Conflict(reason="the image has other bytes than it had when it was to be sent")
        return image.address or ""

    async def _prepared(self, image: Image) -> Outbound:
        """Convert the image once for all attempts, where that was asked for."""
        if self._outbound is not None:
            return self._outbound
        wanted = self.export.options.format
        found = await self._stack.enter_async_context(
            outbound(self._context, self.export.id, image, wanted, self._progress)
        )
        self.export = msgspec.structs.replace(
            self.export, size=found.reading.size, sha256=found.reading.sha256
        )
        await self._record()
        self._outbound = found
        return found

    def _job(self, image: Image | None, found: Outbound, settings: Settings) -> SendJob:
        found.reading.begin()
        return SendJob(
            export=self.export,
            secrets=self._secrets,
            image=image,
            disk_format=found.disk_format,
            reading=found.reading,
            remember=self._remember,
            gate=self._context.gate,
            settings=settings,
        )

    async def _remember(self, resume: dict[str, Any], reached: int) -> None:
        """Keep how far the sender is; a copy, for it goes on changing its own."""
        if reached > self._reached:
            self._reached, self._consecutive_failures = (
                reached,
                -1,
            )  # The attempt that brought it does not count.
        resume = msgspec.json.decode(msgspec.json.encode(resume))
        self._secrets = msgspec.structs.replace(self._secrets, resume=resume)
        if not await retry_write(lambda: self._context.index.exports.remember(self.export, resume)):
            raise LostClaim

    async def _failed(self, failure: Failure, settings: Settings) -> float | None:
        """Note a failure, and decide what follows."""
        log.info("export.attempt", export_id=self.export.id, code=failure.code, detail=str(failure))
        verdict, rules = verdict_of(failure), settings.exports
        number, public = len(self.export.attempts), failure.public()
        is_final = isinstance(failure, BytesDamaged | UnknownImage) or not (
            public.is_retryable() or isinstance(failure, InternalFault | SourceTooSlow)
        )
        if is_final or self._consecutive_failures >= rules.attempts or number >= MAX_ATTEMPTS:
            event = Event.REFUSE if isinstance(public, Rejection) else Event.FAIL
            await self._end(event, verdict)
            return None
        pace = msgspec.structs.replace(
            settings.retry,
            first_wait_seconds=rules.first_wait_seconds,
            max_wait_seconds=rules.max_wait_seconds,
        )
        wait = wait_seconds(failure, max(1, self._consecutive_failures), pace)
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
        if event is not Event.SUCCEED:
            changes["answer"] = self._secrets.resume.get(ANSWER, {})
            if not await self.abort():
                changes["answer"] = {"left": "what was begun there could not be removed"}
        log.info("export.ended", export_id=self.export.id, code=verdict.code, receiver=self.export.receiver)
        await self._write(event, attempts=self._closed(verdict.code), verdict=verdict, **changes)

    async def _write(self, event: Event, **changes: object) -> None:
        self.export = self.export.moved(event, datetime.now(UTC), **changes)
        await self._record()
        self._show(self.export)

    async def _record(self) -> None:
        if not await retry_write(lambda: self._context.index.exports.record(self.export)):
            raise LostClaim
