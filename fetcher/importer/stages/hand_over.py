"""Complete bytes on their way into the target image service, until it shows the image as active."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec
import structlog

from fetcher.aio.retry import written
from fetcher.aio.shield import shielded
from fetcher.config import Settings
from fetcher.errors import Cancelled, TargetMismatch, TargetRefused, TargetUnavailable
from fetcher.ids import new_id
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.download.retry_policy import wait_seconds
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.staged_peer import StagedPeer
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.send.image_api_sender import Destination, ImageApiSender, ImageThere
from fetcher.importer.send.target_record import existing_values, new_record
from fetcher.importer.stages.commit import blob_of, called, end_delivered
from fetcher.importer.stages.inject import injected
from fetcher.importer.stages.stage import Carrier, Stage, Story
from fetcher.index.values import Secrets
from fetcher.model import Delivery, Import, Phase

log = structlog.get_logger()

MOST_STATUS_CHARACTERS = 20
BROKEN_LOOKS = 3  # A service that lost its sender needs a moment to put the image back.


def begin(settings: Settings, image_id: str, target_image_id: str | None) -> Delivery | None:
    """Return where a submission's image goes on to; None where images stay here."""
    if not settings.target.url:
        return None
    return Delivery(url=settings.target.url, image_id=target_image_id or image_id)


async def left_there(context: Context, record: Import) -> "HandOver | None":
    """Return what takes back what an earlier process made at the target for an import that waits."""
    if record.delivery is None or not record.delivery.is_made or record.state.is_final:
        return None
    secrets = await context.index.imports.secrets(record.id)
    return HandOver(context, RunningImport(record, time.monotonic), secrets, context.settings())


class HandOver:
    """Takes one import's image into the target, and takes back what came to nothing.

    What is to be done next is read from the image's record there, each time
    anew: so a retry, a restart and a lost answer all go on where it stands.

    Args:
        running: With a delivery.
        secrets: With the submitter's own token for the target.
        is_parked: Whether whoever cancels this wants it to be taken up by a later process.
    """

    def __init__(
        self,
        context: Context,
        running: RunningImport,
        secrets: Secrets,
        settings: Settings,
        is_parked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._context = context
        self._running = running
        self._settings = settings
        self._is_parked = is_parked
        self._token = secrets.target_token
        self._is_started = False
        self._broken_looks = 0

    @cached_property
    def _sender(self) -> ImageApiSender:
        return ImageApiSender(
            self._context.gate,
            self._settings,
            Destination(
                url=self._delivery.url,
                token=self._token,
                service_token=self._context.service_token
                if self._settings.target.send_service_token
                else None,
                ca_file=self._settings.target.ca_file,
                project=self._running.record.project_id,
            ),
        )

    @property
    def _delivery(self) -> Delivery:
        delivery = self._running.record.delivery
        assert delivery is not None
        return delivery

    async def deliver(self, body: Complete, story: Story, close: Callable[[], Awaitable[None]]) -> bool:
        """Take the bytes there, and end the import; False where they are to stay here, or here too.

        Args:
            close: Lets go of what came in: whoever sees the verdict finds nothing of the bytes.
        """
        if self._running.record.delivery is None:
            return False
        await self.run(body, called(self._running.record, story.source_headers))
        if self._settings.target.keep_bytes:
            return False
        await close()
        await self._context.store.discard(body.staged)
        await shielded(end_delivered(self._context.index, self._running, body, story))
        return True

    async def run(self, body: Complete, name: str | None) -> None:
        """Take the bytes there; when this returns, the service shows the image as active.

        Args:
            name: What the image is called where nobody has said.

        Raises:
            TargetRefused: It will not have the image.
            TargetUnavailable: It cannot be reached, fails, or comes to no end.
            TargetMismatch: It shows other bytes than were sent.
        """
        seconds = self._settings.target.total_seconds
        if self._settings.target.url != self._delivery.url:
            raise TargetRefused(reason="the operator has changed the target since the import was submitted")
        self._running.change(phase=Phase.DELIVERING)
        try:
            async with asyncio.timeout(seconds):
                await self._until_active(body, name)
        except TimeoutError as error:
            await self.undo()
            raise TargetUnavailable(reason=f"the image was not active in {seconds:g} seconds") from error
        except asyncio.CancelledError:
            if not self._is_parked():
                await shielded(self.undo())
            raise
        except Exception:
            await self.undo()
            raise

    async def undo(self) -> None:
        """Remove the image there, unless it was there before; where that fails, the log says so."""
        delivery, target = self._delivery, self._settings.target
        if not delivery.is_made:
            return
        number = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(target.undo_seconds):
                while True:
                    try:
                        await self._sender.remove(delivery.image_id)
                    except TargetRefused as failure:
                        log.warning("delivery.kept", target_image_id=delivery.image_id, detail=str(failure))
                        break
                    except TargetUnavailable as failure:
                        number += 1
                        await asyncio.sleep(wait_seconds(failure, number, self._settings.retry))
                    else:
                        return
        log.error("delivery.left", target=delivery.url, target_image_id=delivery.image_id)
        self._change(status="left")

    async def _until_active(self, body: Complete, name: str | None) -> None:
        await self._context.store.settle(body.staged)
        failures = 0
        while True:
            try:
                if await self._step(body, name):
                    return
            except TargetUnavailable as failure:
                failures += 1
                log.info(
                    "delivery.attempt", attempt=failures, detail=str(failure), cause=ascii(failure.__cause__)
                )
                if failures >= self._settings.retry.attempts:
                    raise
                await asyncio.sleep(wait_seconds(failure, failures, self._settings.retry))
            else:
                failures = 0

    async def _step(self, body: Complete, name: str | None) -> bool:
        """Look at the image there and do what comes next; True when nothing does."""
        there = await self._sender.find(self._delivery.image_id)
        if there is None:
            await self._make(body, name)
            return False
        status = "".join(filter(str.isalnum, there.status))[:MOST_STATUS_CHARACTERS]
        self._change(status=status)
        if status == "active":
            self._compare(there, body)
            return True
        if status == "queued":
            await self._stage(there, body, name)
        elif status == "uploading" and not self._is_started:
            await self._begin_import()
        elif status in {"uploading", "saving", "importing"}:
            await asyncio.sleep(self._settings.target.poll_seconds)
        else:
            raise TargetRefused(reason=f"the image is {status} there")
        return False

    async def _make(self, body: Complete, name: str | None) -> None:
        """Make the record there, under our id if that is free."""
        delivery = self._delivery
        if delivery.status is not None:
            raise TargetRefused(reason="the image was deleted there meanwhile")
        if self._running.record.submission.target_image_id is not None:
            raise TargetRefused(reason="there is no image of that id, or you may not see it", status=404)
        await self._note(is_made=True)  # First: what is made and not known of would stay there.
        record = await self._new_record(body, name)
        try:
            made = await self._sender.create({**record, "id": delivery.image_id})
        except TargetRefused as failure:
            if failure.status != 409:
                raise
            await self._note(image_id=new_id())  # Ids of deleted images are taken for good.
            made = await self._sender.create({**record, "id": self._delivery.image_id})
        if made.id != self._delivery.image_id:
            await self._note(image_id=_checked(made.id))

    async def _new_record(self, body: Complete, name: str | None) -> dict[str, Any]:
        record = self._running.record
        image = await self._context.index.images.find(record.image_id, ENGINE)
        blob = blob_of(body, datetime.now(UTC))
        rules = injected(self._settings, record, blob)
        is_told = self._settings.target.provenance_properties
        return new_record(
            record, msgspec.structs.replace(image, name=image.name or name), blob, rules, is_told=is_told
        )

    async def _stage(self, there: ImageThere, body: Complete, name: str | None) -> None:
        """Send the bytes; an image that its own import gave back has failed."""
        if self._is_started:
            said = await self._sender.last_message(there.id)
            raise TargetRefused(reason="its own import of the staged bytes came to nothing", said=said)
        if not self._delivery.is_made:
            values = existing_values(await self._new_record(body, name), there)
            if values:
                await self._sender.change(self._delivery.image_id, values)
        self._change(sent_bytes=0, size=body.size)
        self._broken_looks = 0
        try:
            await self._sender.stage(self._delivery.image_id, lambda: self._pieces(body), body.size)
        except TargetUnavailable:
            self._broken_looks = BROKEN_LOOKS
            raise

    async def _pieces(self, body: Complete) -> AsyncIterator[bytes]:
        """Read the bytes back, and tell how many have gone."""
        peer, sent = StagedPeer(self._context.store, body.staged, is_whole=True), 0
        while piece := await peer.read():
            yield piece
            sent += len(piece)
            self._change(sent_bytes=sent)

    async def _begin_import(self) -> None:
        """Have the image made of what is staged; not of what may be a part, because its sending broke off."""
        if self._broken_looks > 1:
            self._broken_looks -= 1
            await asyncio.sleep(self._settings.target.poll_seconds)
            return
        if self._broken_looks:
            await self._begin_anew()
            return
        try:
            await self._sender.start_import(self._delivery.image_id)
        except TargetRefused as failure:
            there = await self._sender.find(self._delivery.image_id)
            if failure.status != 409 or there is None or not there.os_glance_import_task:
                raise  # Else the answer to an earlier call was lost, and the import runs.
        self._is_started = True

    async def _begin_anew(self) -> None:
        """Give an image up whose staged bytes may be cut off, and make another."""
        if not self._delivery.is_made:
            reason = "the connection broke off in its bytes, and it keeps what it has of them"
            raise TargetRefused(reason=reason)
        await self._sender.remove(self._delivery.image_id)
        self._broken_looks = 0
        await self._note(image_id=new_id(), status=None)

    def _compare(self, there: ImageThere, body: Complete) -> None:
        """Hold what the service shows against what was sent, unless it has converted the image itself."""
        sent = body.format
        if sent and (there.disk_format, there.container_format) != (sent.disk_format, sent.container_format):
            log.info("delivery.converted", disk_format=there.disk_format)
            return
        if there.size != body.size:
            raise TargetMismatch(what="the size", expected=str(body.size), actual=str(there.size))
        shown = {there.os_hash_algo: there.os_hash_value, "md5": there.checksum}
        for algorithm, value in shown.items():
            expected = body.digests.get(algorithm or "")
            if value is not None and expected not in (None, value.lower()):
                raise TargetMismatch(what=f"its {algorithm}", expected=str(expected), actual=value[:128])

    def _change(self, **changes: Any) -> None:
        self._running.change(delivery=msgspec.structs.replace(self._delivery, **changes))

    async def _note(self, **changes: Any) -> None:
        """Change what is known, and write it down before anything depends on it."""
        self._change(**changes)
        if not await written(lambda: self._context.index.imports.record(self._running.record)):
            raise Cancelled


def _checked(image_id: str) -> str:
    """Return an id that may stand in a URL."""
    try:
        return str(UUID(image_id))
    except ValueError as error:
        raise TargetUnavailable(reason="its answer is not one of the Image API") from error


async def _run(carrier: Carrier, body: Complete) -> Complete | None:
    for running in carrier.running_imports:  # One that goes to the target shares its body with nobody.
        if running.record.delivery is None:
            continue
        over = HandOver(
            carrier.context, running, carrier.secrets, carrier.settings, lambda: carrier.is_parked
        )
        if await over.deliver(body, carrier.story(), carrier.close):
            await carrier.end(running, None)
            return None
    return body


STAGE = Stage(name="hand over", run=_run, needs=("verify", "convert"))
