"""`s3://bucket/key` with credentials of the submitter: one PUT, or parts of which the answered ones stay.

Source: Amazon S3 API Reference, "PutObject", "Multipart upload" and "Conditional writes".
"""

import hashlib
from collections.abc import Mapping
from math import ceil
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import BadResponse, InvalidRequest, InvalidUrl, ReceiverMismatch, ReceiverRefused
from fetcher.exporter.answers import receipt
from fetcher.exporter.calls import Calls, with_query, without_type
from fetcher.exporter.digests import as_base64
from fetcher.exporter.parts import Answered, Parts
from fetcher.exporter.reading import Part
from fetcher.exporter.senders.base import AcceptedReceiver, ReadBackRequest, SendJob
from fetcher.guards.request.receivers import check_receiver
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schemes import s3
from fetcher.index.values import ExportOptions, ReceiverSecrets
from fetcher.model import BucketAccess, Submission
from fetcher.parsers.bucket_errors import parse_bucket_error
from fetcher.parsers.bucket_uploads import completed_etag, completion, is_completed, is_etag, parse_upload_id
from fetcher.transport import CallAnswer, Outgoing, SourceRequest, make_printable

MAX_PARTS = 10_000
MIB = 1 << 20
LOST = "it has dropped the parts that it had taken"
TAKEN = "there is an object of that name already; ask for replace to have it replaced"


class UploadLost(Exception):
    """The bucket does not know the upload any more, and none of its parts."""


class BucketSender:
    """Sends to buckets."""

    name = "s3"
    form = "s3://BUCKET/KEY"
    fields = frozenset({"s3"})

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Take URLs of buckets."""
        return secrets.url.lower().startswith("s3://")

    def take(self, secrets: ReceiverSecrets, _options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Find the bucket's endpoint; keys in the URL become secrets."""
        submission = Submission(url=secrets.url, max_bytes=1, s3=secrets.access.s3, headers=secrets.headers)
        located = s3.take(submission, CheckedUrls(settings))
        if located.s3 is None or located.s3.access_key_id is None:
            raise InvalidRequest(field="s3.access_key_id", reason="access_key_id is missing: who writes?")
        if urlsplit(located.url).query:
            raise InvalidUrl(rule="bucket", reason="a version is made by the bucket; leave versionId out")
        target = check_receiver(located.url, settings)
        access = msgspec.structs.replace(secrets.access, s3=located.s3)
        secrets = msgspec.structs.replace(secrets, url=located.url, headers=located.headers, access=access)
        return AcceptedReceiver(secrets=secrets, shown=target.redacted)

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send the object, unless it is there already."""
        upload = Upload(job)
        return await upload.whole() if job.reading.size <= upload.part_bytes else await upload.in_parts()

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Ask for the object."""
        request = SourceRequest(url=job.secrets.url, project=job.export.project_id, dialect=dialect_of(job))
        return ReadBackRequest(request=request, size=job.reading.size, sha256=job.reading.sha256)

    async def abort(self, job: SendJob) -> None:
        """Drop the parts of an upload that came to nothing."""
        await Upload(job).drop()


def dialect_of(job: SendJob) -> s3.BucketDialect:
    """Return who signs."""
    return s3.BucketDialect(job.secrets.access.s3 or BucketAccess())


class Upload:
    """One object on its way into a bucket."""

    def __init__(self, job: SendJob) -> None:
        self._job = job
        self._calls = Calls(job, dialect_of(job))
        self._url = job.secrets.url
        self._resume: dict[str, Any] = dict(job.secrets.resume)
        least = ceil(job.reading.size / MAX_PARTS / MIB) * MIB
        self.part_bytes = max(job.settings.exports.part_bytes, least)

    async def whole(self) -> dict[str, str]:
        """Send it in one request."""
        if (there := await self._find()) is not None:
            return there
        sha256 = self._job.reading.sha256
        checksum = {"x-amz-content-sha256": sha256, "x-amz-checksum-sha256": as_base64(sha256)}
        outgoing = self._calls.outgoing(self._job.reading)
        fields = self._first_fields() | checksum | self._condition()
        answer = await self._call("PUT", self._url, fixed=fields, outgoing=outgoing, also=(412,))
        if answer.status == 412:
            return await self._taken()
        _is_echoed(answer, sha256)
        return receipt(answer)

    async def in_parts(self) -> dict[str, str]:
        """Send it in parts, several at once; each that was answered is written down, and not sent again."""
        if "upload" not in self._resume:
            if (there := await self._find()) is not None:
                return there
            await self._begin()
        resume = self._resume
        try:
            known = await Parts(self._job, resume, resume["part_bytes"]).send(self._send_part)
        except UploadLost:
            raise await self._lost() from None
        return await self._complete(known)

    async def drop(self) -> None:
        """Have the bucket forget the parts."""
        if "upload" in self._resume:
            await self._call("DELETE", self._upload_url(), also=(404,))

    async def _begin(self) -> None:
        fields = self._first_fields() | {"x-amz-checksum-algorithm": "SHA256"}
        answer = await self._call("POST", with_query(self._url, "uploads"), fixed=fields)
        upload_id = parse_upload_id(answer.body)
        if upload_id is None:
            raise BadResponse(reason="it begins an upload without giving it an id")
        self._resume = {"upload": upload_id, "part_bytes": self.part_bytes, "parts": []}
        await self._job.remember(self._resume, 0)

    async def _send_part(self, number: int, part: Part) -> Answered:
        """Send one part.

        Returns:
            Its entity tag, its digest, and that again as servers that keep digests want it back.
        """
        checksum = {"x-amz-content-sha256": part.sha256, "x-amz-checksum-sha256": as_base64(part.sha256)}
        outgoing = self._calls.outgoing(self._job.reading, part)
        url = self._upload_url(f"partNumber={number}&")
        answer = await self._call("PUT", url, fixed=checksum, outgoing=outgoing, also=(404,))
        if answer.status == 404:
            raise UploadLost
        etag = answer.headers.get("etag")
        if etag is None or not is_etag(etag):
            raise BadResponse(reason="it takes a part without an entity tag")
        return [etag, part.sha256, as_base64(part.sha256) if _is_echoed(answer, part.sha256) else ""]

    async def _complete(self, known: list[list[str]]) -> dict[str, str]:
        body = completion([(etag, echoed or None) for etag, _sha256, echoed in known])
        request = SourceRequest(
            url=self._upload_url(),
            verb="POST",
            body=body,
            body_type="application/xml",
            fixed=self._condition() | {"x-amz-content-sha256": _sha256(body)},
        )
        answer = await self._calls.call(request, also=(404, 412))
        if answer.status == 412:
            return await self._taken()
        if answer.status == 404:
            if (there := await self._find()) is not None:
                return there  # The answer to an earlier request was lost.
            raise await self._lost()
        if not is_completed(answer.body):
            error = parse_bucket_error(answer.body)
            code = error.code if error and error.code in s3.KNOWN else "no reason is given"
            raise ReceiverRefused(reason=f"the parts do not become an object: {code}", again=True)
        etag = completed_etag(answer.body)
        return receipt(answer) | ({"etag": etag} if etag else {}) | {"parts": str(len(known))}

    async def _lost(self) -> ReceiverRefused:
        """Forget an upload that the bucket does not know any more."""
        self._resume = {}
        await self._job.remember({}, 0)
        return ReceiverRefused(reason=LOST, status=404, again=True)

    async def _find(self) -> dict[str, str] | None:
        """Look whether the object is there: equal bytes need not be sent, others only replaced if asked for.

        Credentials that may write only are refused this look; then the conditions of requests decide.
        """
        answer = await self._call(
            "HEAD", self._url, fixed={"x-amz-checksum-mode": "ENABLED"}, also=(403, 404)
        )
        if answer.status != 200:
            return None
        if self._is_equal(answer):
            return receipt(answer) | {"found": "equal"}
        if self._job.export.options.replace:
            return None
        raise ReceiverRefused(reason=TAKEN, status=412)

    async def _taken(self) -> dict[str, str]:
        there = await self._find()
        if there is None:
            raise ReceiverRefused(reason=TAKEN, status=412)
        return there

    def _is_equal(self, answer: CallAnswer) -> bool:
        """Tell whether the bucket says of an object that it has the very bytes."""
        reading = self._job.reading
        sums = {as_base64(reading.sha256): True, reading.sha256: True}
        stated = [answer.headers.get(name) for name in ("x-amz-checksum-sha256", "x-amz-meta-sha256")]
        return answer.headers.get("content-length") == str(reading.size) and any(
            sums.get(one or "") for one in stated
        )

    def _first_fields(self) -> dict[str, str]:
        """Return what the object is to have: what the submitter gave, and its digest for later readers."""
        return {"x-amz-meta-sha256": self._job.reading.sha256}

    def _condition(self) -> dict[str, str]:
        return {} if self._job.export.options.replace else {"If-None-Match": "*"}

    def _upload_url(self, before: str = "") -> str:
        return with_query(self._url, f"{before}uploadId={quote(self._resume['upload'], safe='')}")

    async def _call(
        self,
        verb: str,
        url: str,
        *,
        fixed: Mapping[str, str] | None = None,
        outgoing: Outgoing | None = None,
        also: tuple[int, ...] = (),
    ) -> CallAnswer:
        fixed = dict(fixed or {})
        is_first = "x-amz-meta-sha256" in fixed
        own, media_type = without_type(self._job.secrets.headers)
        request = SourceRequest(
            url=url,
            verb=verb,
            headers=own if is_first else {},
            fixed=fixed | ({"Content-Type": media_type} if is_first else {}),
            outgoing=outgoing,
        )
        return await self._calls.call(request, also=also)


def _is_echoed(answer: CallAnswer, sha256: str) -> bool:
    """Tell whether a server has computed the digest of what it took.

    Raises:
        ReceiverMismatch: It has another one.
    """
    stated = answer.headers.get("x-amz-checksum-sha256")
    if stated not in (None, as_base64(sha256)):
        shown = make_printable(str(stated))
        raise ReceiverMismatch(what="the sha256", expected=as_base64(sha256), actual=shown)
    return stated is not None


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
