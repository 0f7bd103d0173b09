"""The image at the target image service: a look at it, and what comes next by what it shows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec
import structlog

from fetcher.aio.retry import retry_write
from fetcher.config import Settings
from fetcher.errors import Cancelled, TargetMismatch, TargetRefused, TargetUnavailable
from fetcher.ids import new_id
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.staged_peer import StagedPeer
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.send.image_api_sender import Destination, ImageApiSender, ImageThere
from fetcher.importer.send.target_record import existing_values, new_record
from fetcher.importer.stages.commit import blob_of
from fetcher.importer.stages.inject import injected
from fetcher.model import Delivery

log = structlog.get_logger()

MAX_STATUS_CHARACTERS = 20
BROKEN_LOOKS = 3  # A service that lost its sender needs a moment to put the image back.


class TargetImage:
    """Takes one import's image a step further, as far as a look shows it to be.

    What is to be done next is read from the image's record there, each time
    anew: so a retry, a restart and a lost answer all go on where it stands.

    Args:
        running: With a delivery.
        token: The submitter's own for the target.
    """

    def __init__(
        self, context: Context, running: RunningImport, token: str | None, settings: Settings
    ) -> None:
        self._context = context
        self._running = running
        self._settings = settings
        self._token = token
        self._is_started = False
        self._broken_looks = 0

    @cached_property
    def sender(self) -> ImageApiSender:
        """Return who speaks to the target."""
        return ImageApiSender(
            self._context.gate,
            self._settings,
            Destination(
                url=self.delivery.url,
                token=self._token,
                service_token=self._context.service_token
                if self._settings.target.send_service_token
                else None,
                ca_file=self._settings.target.ca_file,
                project=self._running.record.project_id,
            ),
        )

    @property
    def delivery(self) -> Delivery:
        """Return what is known of the image there."""
        delivery = self._running.record.delivery
        assert delivery is not None
        return delivery

    async def step(self, body: Complete, name: str | None) -> bool:
        """Look at the image there and do what comes next; True when nothing does."""
        there = await self.sender.find(self.delivery.image_id)
        if there is None:
            await self._make(body, name)
            return False
        status = "".join(filter(str.isalnum, there.status))[:MAX_STATUS_CHARACTERS]
        self.change(status=status)
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
        delivery = self.delivery
        if delivery.status is not None:
            raise TargetRefused(reason="the image was deleted there meanwhile")
        if self._running.record.submission.target_image_id is not None:
            raise TargetRefused(reason="there is no image of that id, or you may not see it", status=404)
        await self._note(is_made=True)  # First: what is made and not known of would stay there.
        record = await self._new_record(body, name)
        try:
            made = await self.sender.create({**record, "id": delivery.image_id})
        except TargetRefused as failure:
            if failure.status != 409:
                raise
            await self._note(image_id=new_id())  # Ids of deleted images are taken for good.
            made = await self.sender.create({**record, "id": self.delivery.image_id})
        if made.id != self.delivery.image_id:
            await self._note(image_id=_checked(made.id))

    async def _new_record(self, body: Complete, name: str | None) -> dict[str, Any]:
        record = self._running.record
        image = await self._context.index.images.find(record.image_id, ENGINE)
        blob = blob_of(self._context, body, datetime.now(UTC))
        rules = injected(self._settings, record, blob)
        has_provenance = self._settings.target.provenance_properties
        named = msgspec.structs.replace(image, name=image.name or name)
        return new_record(record, named, blob, rules, has_provenance=has_provenance)

    async def _stage(self, there: ImageThere, body: Complete, name: str | None) -> None:
        """Send the bytes; an image that its own import gave back has failed."""
        if self._is_started:
            said = await self.sender.last_message(there.id)
            raise TargetRefused(reason="its own import of the staged bytes came to nothing", said=said)
        if not self.delivery.is_made:
            values = existing_values(await self._new_record(body, name), there)
            if values:
                await self.sender.change(self.delivery.image_id, values)
        self.change(sent_bytes=0, size=body.size)
        self._broken_looks = 0
        try:
            await self.sender.stage(self.delivery.image_id, lambda: self._pieces(body), body.size)
        except TargetUnavailable:
            self._broken_looks = BROKEN_LOOKS
            raise

    async def _pieces(self, body: Complete) -> AsyncIterator[bytes]:
        """Read the bytes back, and report how many have gone."""
        peer, sent = StagedPeer(self._context.store, body.staged, is_whole=True), 0
        while piece := await peer.read():
            yield piece
            sent += len(piece)
            self.change(sent_bytes=sent)

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
            await self.sender.start_import(self.delivery.image_id)
        except TargetRefused as failure:
            there = await self.sender.find(self.delivery.image_id)
            if failure.status != 409 or there is None or not there.os_glance_import_task:
                raise  # Else the answer to an earlier call was lost, and the import runs.
        self._is_started = True

    async def _begin_anew(self) -> None:
        """Give an image up whose staged bytes may be cut off, and make another."""
        if not self.delivery.is_made:
            reason = "the connection broke off in its bytes, and it keeps what it has of them"
            raise TargetRefused(reason=reason)
        await self.sender.remove(self.delivery.image_id)
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

    def change(self, **changes: Any) -> None:
        """Change what is known of the image there, and show it."""
        self._running.change(delivery=msgspec.structs.replace(self.delivery, **changes))

    async def _note(self, **changes: Any) -> None:
        """Change what is known, and write it down before anything depends on it."""
        self.change(**changes)
        if not await retry_write(lambda: self._context.index.imports.record(self._running.record)):
            raise Cancelled


def _checked(image_id: str) -> str:
    """Return an id that may stand in a URL."""
    try:
        return str(UUID(image_id))
    except ValueError as error:
        raise TargetUnavailable(reason="its answer is not one of the Image API") from error
