"""Another Image API: a record is made there, the bytes are staged and imported, or else uploaded.

Source: OpenStack Image API v2, "Interoperable image import" and "Image data".
"""

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import msgspec

from fetcher.config import Settings
from fetcher.errors import InvalidRequest, InvalidUrl, TargetMismatch, TargetRefused, TargetUnavailable
from fetcher.exporter.senders.base import AcceptedReceiver, ReadBackRequest, SendJob
from fetcher.guards.request.receivers import check_receiver
from fetcher.importer.download.remote_record import remote_base
from fetcher.importer.send.image_api_sender import Destination, ImageApiSender, ImageThere
from fetcher.index.values import ExportOptions, ReceiverSecrets
from fetcher.model import is_property
from fetcher.transport import SourceRequest

_URL = re.compile(r"glance\+(?P<place>https?://[^?#\s@]*[^?#\s/@])/?", re.IGNORECASE)
_REGION = re.compile(r"glance://(?P<region>[^/?#\s]{1,255})/?", re.IGNORECASE)
_STATUS = re.compile(r"[a-z_]{1,20}")
UNDER_WAY = frozenset({"uploading", "saving", "importing"})


class ImageServiceSender:
    """Sends to image services."""

    name = "image-api"
    form = "glance://REGION or glance+https://HOST"
    fields = frozenset({"token"})

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Take URLs of image services."""
        return secrets.url.lower().startswith(("glance://", "glance+http://", "glance+https://"))

    def take(self, secrets: ReceiverSecrets, _options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Find the service: one that the operator named, or the one of the URL."""
        if secrets.headers:
            raise InvalidRequest(
                field="headers", reason="an image service is sent a token, and no other header"
            )
        if (match := _REGION.fullmatch(secrets.url)) is not None:
            base = remote_base(match["region"], settings)
        elif (match := _URL.fullmatch(secrets.url)) is not None:
            base = match["place"].removesuffix("/v2")
        else:
            raise InvalidUrl(rule="glance", reason=f"an image service is written as {self.form}")
        target = check_receiver(base, settings)
        if secrets.access.token is not None and not re.fullmatch(r"[!-~]{1,16384}", secrets.access.token):
            raise InvalidRequest(field="token", reason="token is not printable ASCII without blanks")
        return AcceptedReceiver(secrets=msgspec.structs.replace(secrets, url=base), shown=target.redacted)

    async def send(self, job: SendJob) -> dict[str, str]:
        """Make the image there, and wait until it is active."""
        return await Copy(job).run()

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Ask for the image's bytes, unless they were converted there."""
        answer = job.secrets.resume.get("answer", {})
        if answer.get("disk_format", job.disk_format) != job.disk_format:
            return "the service has converted the image"
        token = job.secrets.access.token
        request = SourceRequest(
            url=f"{job.secrets.url}/v2/images/{job.secrets.resume['image_id']}/file",
            headers={"X-Auth-Token": token} if token else {},
            project=job.export.project_id,
        )
        return ReadBackRequest(request=request, size=job.reading.size, sha256=job.reading.sha256)

    async def abort(self, job: SendJob) -> None:
        """Delete the image, which never became active."""
        if "image_id" in job.secrets.resume:
            await Copy(job).remove()


class Copy:
    """One image on its way into another service."""

    def __init__(self, job: SendJob) -> None:
        check_receiver(job.secrets.url, job.settings)
        self._job = job
        self._resume: dict[str, Any] = dict(job.secrets.resume)
        destination = Destination(
            url=job.secrets.url,
            token=job.secrets.access.token,
            project=job.export.project_id,
            is_operators=False,
        )
        self._api = ImageApiSender(job.gate, job.settings, destination)

    async def run(self) -> dict[str, str]:
        """Go on with the import that an earlier attempt began, or begin."""
        there = await self._left()
        if there is None:
            await self._make()
            await self._fill()
        there = await self._active()
        self._compare(there)
        answer = {"status": there.status, "image_id": there.id, "disk_format": there.disk_format or ""}
        return {name: value[:64] for name, value in answer.items()}

    async def remove(self) -> None:
        """Delete what was made."""
        await self._api.remove(self._resume["image_id"])

    async def _left(self) -> ImageThere | None:
        """Find an image that has all its bytes; one that has not is deleted, its id is used up."""
        if "image_id" not in self._resume:
            return None
        there = await self._api.find(self._resume["image_id"])
        if there is not None and (there.status == "active" or self._resume.get("is_filled")):
            return there
        await self.remove()
        return None

    async def _make(self) -> None:
        """Make the record; its id is written down first, for what is made and not known of would stay."""
        image_id = str(uuid4())
        await self._remember(0, image_id=image_id, is_filled=False)
        try:
            made = await self._api.create(self._record() | {"id": image_id})
        except TargetRefused:
            self._resume.clear()  # Nothing was made, so nothing is to be removed.
            await self._remember(0)
            raise
        if made.id != image_id:
            try:
                await self._remember(0, image_id=str(UUID(made.id)))
            except ValueError as error:
                raise TargetUnavailable(reason="its answer is not one of the Image API") from error

    async def _fill(self) -> None:
        reading, image_id = self._job.reading, self._resume["image_id"]
        if await self._api.takes_staged():
            await self._api.stage(image_id, reading.whole, reading.size)
            await self._api.start_import(image_id)
        else:
            await self._api.upload(image_id, reading.whole, reading.size)
        await self._remember(reading.size, is_filled=True)

    async def _active(self) -> ImageThere:
        """Wait for the service's own import."""
        while True:
            there = await self._api.find(self._resume["image_id"])
            if there is None:
                raise TargetRefused(reason="the image was deleted there meanwhile")
            if there.status == "active":
                return there
            if there.status not in UNDER_WAY:
                said = await self._api.last_message(there.id)
                status = there.status if _STATUS.fullmatch(there.status) else "in no known state"
                raise TargetRefused(reason=f"the image is {status} there", said=said)
            await asyncio.sleep(self._job.settings.target.poll_seconds)

    def _record(self) -> dict[str, Any]:
        """Return the record as it is to be there: private, with the properties that the operator lets out."""
        image = self._job.image
        assert image is not None
        begins = tuple(self._job.settings.exports.properties)
        properties = {
            name: value
            for name, value in image.properties.items()
            if name.startswith(begins) and is_property(name)
        }
        return {
            **properties,
            "visibility": "private",
            "disk_format": self._job.disk_format,
            "container_format": image.container_format or "bare",
            "min_disk": image.min_disk,
            "min_ram": image.min_ram,
            "tags": list(image.tags),
            **({"name": image.name} if image.name else {}),
        }

    def _compare(self, there: ImageThere) -> None:
        """Hold what the service shows against what was sent, unless it has converted the image itself."""
        reading, image = self._job.reading, self._job.image
        if there.disk_format != self._job.disk_format:
            return
        if there.size != reading.size:
            raise TargetMismatch(what="the size", expected=str(reading.size), actual=str(there.size))
        digests = {"sha256": reading.sha256}
        if image is not None and image.sha256 == reading.sha256:
            digests |= {"sha512": image.sha512 or "", "md5": image.md5 or ""}
        for name, value in {there.os_hash_algo or "": there.os_hash_value, "md5": there.checksum}.items():
            if value and digests.get(name, "") not in ("", value.lower()):
                raise TargetMismatch(what=f"its {name}", expected=digests[name], actual=value[:128])

    async def _remember(self, reached: int, **changes: Any) -> None:
        self._resume |= changes
        await self._job.remember(self._resume, reached)
