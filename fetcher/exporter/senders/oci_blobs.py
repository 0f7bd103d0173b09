"""Blobs on their way into a registry: one request each, or chunks of which the acknowledged ones stay."""

import re
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fetcher.errors import BadResponse, Failure, ReceiverMismatch, ReceiverRefused
from fetcher.exporter.calls import Calls, with_query
from fetcher.exporter.layouts import digest_of
from fetcher.exporter.reading import Part, Reading
from fetcher.exporter.senders.base import SendJob
from fetcher.guards.network.redirects import REDIRECTS
from fetcher.guards.request.receivers import check_receiver
from fetcher.transport import CallAnswer, SourceRequest, make_printable

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,19})")


class Blobs:
    """Sends blobs to one repository.

    Attributes:
        resume: How far that is: the open upload, and what it has of it.

    Args:
        base: Of the repository.
    """

    def __init__(self, job: SendJob, calls: Calls, base: str) -> None:
        self._job = job
        self._calls = calls
        self._base = base
        self.resume: dict[str, Any] = dict(job.secrets.resume)

    async def remember(self, reached: int) -> None:
        """Write down how far it is."""
        await self._job.remember(self.resume, reached)

    async def distrust(self) -> bool:
        """Believe the registry no more that it has blobs; False where none was skipped for its word."""
        if not self.resume.pop("skipped", None):
            return False
        self.resume["distrusted"] = True
        await self.remember(0)
        return True

    async def send_disk(self, disk: Reading) -> None:
        """Send the disk, unless it is there: in one request, or in chunks where it is large."""
        if await self._has(f"sha256:{disk.sha256}", disk.size):
            await disk.sent(disk.size)
            return
        if disk.size <= self._job.settings.exports.part_bytes:
            await self._in_one(disk)
        else:
            await self._in_chunks(disk)
        self.resume.pop("upload", None)
        await self.remember(disk.size)

    async def send_small(self, blob: bytes) -> None:
        """Send a configuration, unless it is there."""
        digest = digest_of(blob)
        if await self._has(digest, len(blob)):
            return
        url = self._next(await self._begin(), self._base)
        request = SourceRequest(
            url=_with_digest(url, digest), verb="PUT", body=blob, body_type="application/octet-stream"
        )
        _check_digest(await self._calls.call(request), digest)

    async def drop(self) -> None:
        """Have the registry forget the open upload; those that know no DELETE sweep it themselves."""
        if "upload" in self.resume:
            request = SourceRequest(url=self.resume["upload"], verb="DELETE")
            await self._calls.call(request, also=(404, 405))

    async def _has(self, digest: str, size: int) -> bool:
        """Ask whether a blob is there; an answer of another size or digest is no yes."""
        if self.resume.get("distrusted"):
            return False
        request = SourceRequest(url=f"{self._base}/blobs/{digest}", verb="HEAD")
        answer = await self._calls.call(request, also=(404, *REDIRECTS))
        stated = answer.headers.get("docker-content-digest", digest)
        length = answer.headers.get("content-length", str(size))
        is_there = answer.status in REDIRECTS or (
            answer.status == 200 and stated == digest and length == str(size)
        )
        if is_there:
            self.resume["skipped"] = True
        return is_there

    async def _begin(self) -> CallAnswer:
        return await self._calls.call(SourceRequest(url=f"{self._base}/blobs/uploads/", verb="POST"))

    async def _open(self, disk: Reading) -> int:
        """Take up the upload of an earlier attempt where the registry still has all that it acknowledged.

        Returns:
            How many bytes it has.
        """
        if "upload" in self.resume and self.resume.get("digest") == disk.sha256:
            offset: int = self.resume["offset"]
            request = SourceRequest(url=self.resume["upload"])
            answer = await self._calls.call(request, also=(400, 404, 416))
            if offset and 200 <= answer.status < 300 and _end_of(answer) == offset:
                if "location" in answer.headers:
                    self.resume["upload"] = self._next(answer, self.resume["upload"])
                return offset
            await self._forget()
        url = self._next(await self._begin(), self._base)
        self.resume |= {"upload": url, "digest": disk.sha256, "offset": 0}
        await self.remember(0)
        return 0

    async def _forget(self) -> None:
        """Give an upload up that the registry has lost a part of."""
        with suppress(Failure):  # It is swept by the registry then: a new one does not depend on it.
            await self.drop()
        for name in ("upload", "offset", "digest"):
            self.resume.pop(name, None)

    async def _in_one(self, disk: Reading) -> None:
        if "upload" in self.resume:
            await self._forget()
        await self._open(disk)
        digest = f"sha256:{disk.sha256}"
        request = SourceRequest(
            url=_with_digest(self.resume["upload"], digest), outgoing=self._calls.outgoing(disk)
        )
        _check_digest(await self._calls.call(request), digest)

    async def _in_chunks(self, disk: Reading) -> None:
        """Send chunk by chunk; one that breaks off may cost the registry all, and then all is sent anew."""
        has = await self._open(disk)
        async for part in disk.parts(self._job.settings.exports.part_bytes):
            end = part.offset + part.size
            if end <= has:
                await disk.skip(part)
                continue
            await self._send_chunk(disk, part)
            self.resume["offset"] = end
            await self.remember(end)
        digest = f"sha256:{disk.sha256}"
        request = SourceRequest(
            url=_with_digest(self.resume["upload"], digest),
            verb="PUT",
            body=b"",
            body_type="application/octet-stream",
        )
        _check_digest(await self._calls.call(request), digest)

    async def _send_chunk(self, disk: Reading, part: Part) -> None:
        request = SourceRequest(
            url=self.resume["upload"],
            verb="PATCH",
            outgoing=self._calls.outgoing(disk, part),
            fixed={"Content-Range": f"{part.offset}-{part.offset + part.size - 1}"},
        )
        answer = await self._calls.call(request, also=(404, 416))
        if answer.status in {404, 416} or _end_of(answer) != part.offset + part.size:
            await self._forget()
            await self.remember(0)
            reason = "it has not got the chunk that it was sent"
            raise ReceiverRefused(reason=reason, status=answer.status, again=True)
        self.resume["upload"] = self._next(answer, self.resume["upload"])

    def _next(self, answer: CallAnswer, base: str) -> str:
        """Find where the upload goes on.

        Raises:
            BadResponse: Nowhere.
            ReceiverRefused: It would go on in the clear.
            ReceiverForbidden: It would go on at a host that nothing may be sent to.
        """
        location = answer.headers.get("location", "")
        url = urljoin(base, location)
        if not location or len(url) > 8_192:
            raise BadResponse(reason="it takes an upload without saying where it goes on")
        if urlsplit(base).scheme == "https" and urlsplit(url).scheme != "https":
            raise ReceiverRefused(reason="it wants the bytes without https")
        check_receiver(url, self._job.settings)
        return url


def _with_digest(url: str, digest: str) -> str:
    return with_query(url, f"digest={quote(digest, safe='')}")


def _end_of(answer: CallAnswer) -> int | None:
    """Return how many bytes the registry says that it has; None where it does not say."""
    match = _RANGE.fullmatch(answer.headers.get("range", ""))
    return int(match[1]) + 1 if match else None


def _check_digest(answer: CallAnswer, expected: str) -> None:
    stated = answer.headers.get("docker-content-digest")
    if stated not in (None, expected):
        raise ReceiverMismatch(what="a blob's digest", expected=expected, actual=make_printable(str(stated)))
