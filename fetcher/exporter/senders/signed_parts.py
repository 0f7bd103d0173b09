"""An upload in parts whose URLs are all signed already: a PUT for each, and a POST that completes it.

Source: Amazon S3 API Reference, "UploadPart" and "CompleteMultipartUpload".
"""

from typing import Any

from fetcher.config import Settings
from fetcher.errors import BadResponse, InvalidRequest, ReceiverRefused
from fetcher.exporter.answers import receipt
from fetcher.exporter.calls import Calls, without_type
from fetcher.exporter.digests import digest_field
from fetcher.exporter.parts import Answered, Parts
from fetcher.exporter.reading import Part
from fetcher.exporter.senders.base import AcceptedReceiver, ReadBackRequest, SendJob
from fetcher.exporter.senders.put import read_url
from fetcher.guards.request.receivers import check_receiver
from fetcher.index.values import ExportOptions, PartUrls, ReceiverSecrets
from fetcher.parsers.bucket_uploads import completed_etag, completion, is_completed, is_etag
from fetcher.transport import SourceRequest


class SignedParts:
    """Sends to a list of URLs; that of the export completes the upload."""

    name = "parts"
    form = "https://HOST/PATH?SIGNATURE with parts"
    fields = frozenset({"parts", "read_url"})

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Take what brings URLs of parts."""
        return secrets.access.parts is not None

    def take(self, secrets: ReceiverSecrets, _options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Judge each URL."""
        parts = secrets.access.parts
        assert parts is not None
        if len(set(parts.urls)) < len(parts.urls):
            raise InvalidRequest(field="parts.urls", reason="two parts have the same URL")
        further = [url for url in (parts.abort_url, secrets.access.read_url) if url is not None]
        for url in (*parts.urls, *further):
            check_receiver(url, settings)
        return AcceptedReceiver(secrets=secrets, shown=check_receiver(secrets.url, settings).redacted)

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send the parts that were not answered yet, several at once, then complete the upload."""
        parts, calls = _parts(job), Calls(job)
        resume: dict[str, Any] = {"parts": list(job.secrets.resume.get("parts", []))}

        async def send(number: int, part: Part) -> Answered:
            return [await _send(job, calls, parts.urls[number - 1], part), part.sha256]

        await job.remember(resume, 0)  # From here on there may be something to drop.
        known = await Parts(job, resume, parts.part_bytes).send(send)
        request = SourceRequest(
            url=job.secrets.url,
            verb="POST",
            body=completion([(etag, None) for etag, _sha256 in known]),
            body_type="application/xml",
        )
        answer = await calls.call(request)
        if answer.body.strip() and not is_completed(answer.body):
            raise ReceiverRefused(
                reason="the parts do not become an object", status=answer.status, again=True
            )
        etag = completed_etag(answer.body)
        return receipt(answer) | ({"etag": etag} if etag else {}) | {"parts": str(len(known))}

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Read from the URL that was given for it."""
        return read_url(job)

    async def abort(self, job: SendJob) -> None:
        """Drop the upload where a URL for that was given."""
        parts = job.secrets.access.parts
        if parts is not None and parts.abort_url is not None:
            await Calls(job).call(SourceRequest(url=parts.abort_url, verb="DELETE"), also=(404,))


def _parts(job: SendJob) -> PartUrls:
    """Return the URLs of the parts, if they are as many as it takes.

    Raises:
        InvalidRequest: They are fewer.
    """
    parts = job.secrets.access.parts
    assert parts is not None
    check_parts(parts, job.reading.size)
    return parts


def check_parts(parts: PartUrls, size: int) -> None:
    """Refuse fewer URLs than there are parts.

    Raises:
        InvalidRequest: There are.
    """
    needed = max(1, -(-size // parts.part_bytes))
    if len(parts.urls) < needed:
        reason = (
            f"{size:,} bytes in parts of {parts.part_bytes:,} take {needed:,} URLs, not {len(parts.urls):,}"
        )
        raise InvalidRequest(field="parts.urls", reason=reason)


async def _send(job: SendJob, calls: Calls, url: str, part: Part) -> str:
    own, media_type = without_type(job.secrets.headers)
    request = SourceRequest(
        url=url,
        headers={"Content-Digest": digest_field(part.sha256)} | own,
        outgoing=calls.outgoing(job.reading, part, media_type),
    )
    etag = (await calls.call(request)).headers.get("etag")
    if etag is None or not is_etag(etag):
        raise BadResponse(reason="it takes a part without an entity tag")
    return etag
