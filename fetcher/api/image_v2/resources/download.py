"""Fetching an image's bytes: whole or in part, with the digests that they have."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.image_v2.answers import enter_image, no_content
from fetcher.api.inbound.file_response import BytesResponse, FileResponse, sends_files
from fetcher.api.services import Services
from fetcher.config import Settings
from fetcher.errors import BytesDamaged, Forbidden, RangeNotSatisfiable, StoreFailed
from fetcher.model import Actor, Image, Status
from fetcher.store.protocol import Store

RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


async def download(request: Request) -> Response:
    """`GET /v2/images/{id}/file`: 204 while there is nothing, 206 for a range, 503 where the disk lost it.

    Where the operator wants it, and the bytes are in a bucket, 307 leads to them there.
    """
    services, actor = await enter_image(request, "member")
    image = await services.index.images.find(request.path_params["id"], actor)
    if image.status is Status.DEACTIVATED and not actor.is_admin:
        raise Forbidden(reason="the image is deactivated; only an admin gets its bytes")
    return await send_image(request, services, image, actor)


async def send_image(request: Request, services: Services, image: Image, actor: Actor) -> Response:
    """Send the bytes of an image, to whom may have them: 204, 206, 304 or all of them.

    Raises:
        RangeNotSatisfiable: The range asked for is outside.
        BytesDamaged: They are marked as damaged, or there are more or fewer than there should be.
        StoreFailed: They cannot be read.
        UnknownImage: The image was deleted a moment ago.
    """
    if image.address is None or image.size is None:
        return no_content()
    headers = bytes_headers(image)
    known = request.headers.get("if-none-match", "")
    if headers["ETag"] in known or known.strip() == "*":
        return no_content(304, headers)
    await services.index.maintenance.check_whole(image.address)
    settings = services.current.settings
    if settings.server.x_accel_location:
        return _through_nginx(image, settings, headers)
    try:
        if settings.store.redirect_downloads and request.method == "GET":
            url = await services.store.link(image.address, settings.bucket.redirect_seconds, image.id)
            if url is not None:
                return _to_the_bucket(url)
        return await _send(request, services.store, image, headers)
    except StoreFailed:
        await services.index.images.find(image.id, actor)  # Deleted a moment ago: then it is not there.
        raise


async def _send(request: Request, store: Store, image: Image, headers: dict[str, str]) -> Response:
    """Send the bytes ourselves.

    Raises:
        RangeNotSatisfiable: The range asked for is outside.
        BytesDamaged: There are more or fewer than there should be.
        StoreFailed: They cannot be read.
    """
    assert image.address is not None
    assert image.size is not None
    if await store.size(image.address) not in {None, image.size}:
        raise BytesDamaged(fault="corrupt")  # Else the answer would break off after its head.
    found = wanted_range(request, image.size, headers["ETag"])
    start, end = found or (0, image.size)
    if found is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{image.size}"
    elif image.md5 is not None:
        headers["Content-MD5"] = image.md5
    headers["Content-Length"] = str(end - start)
    status = 200 if found is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    file = await store.file_of(image.address, start) if sends_files(request) else None
    if file is not None:
        return FileResponse(file, start, end - start, status, headers)
    chunks = await _begun(store.read(image.address, start, end - start))
    return BytesResponse(chunks, end - start, status, headers)


def bytes_headers(image: Image) -> dict[str, str]:
    """Return what is true of the whole, whichever part is fetched; the digests as in RFC 9530."""
    digests = {"sha-256": image.sha256, "sha-512": image.sha512}
    fields = [
        f"{name}=:{b64encode(bytes.fromhex(value)).decode()}:" for name, value in digests.items() if value
    ]
    return {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": f'"{image.address}"',
        "Repr-Digest": ", ".join(fields),
        "Last-Modified": format_datetime(image.created_at, usegmt=True),
        "Cache-Control": "private, no-cache",
    }


def wanted_range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return the first byte and the one after the last; None for all of them.

    Several ranges in one request are answered with all bytes, which RFC 9110 allows.

    Raises:
        RangeNotSatisfiable: There is no such byte.

    Source: RFC 9110 section 14.
    """
    found = RANGE.fullmatch(request.headers.get("range", "").replace(" ", "").lower())
    if found is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if last and int(last) < int(first):
        return None
    if start >= size:
        raise RangeNotSatisfiable(size=size)
    return start, end


def _through_nginx(image: Image, settings: Settings, headers: dict[str, str]) -> Response:
    """Have nginx send the bytes: it sees to ranges and lengths itself."""
    assert image.address is not None
    place = f"{settings.server.x_accel_location}/{image.address[:2]}/{image.address}"
    del headers["Accept-Ranges"], headers["Last-Modified"]
    return Response(headers={**headers, "X-Accel-Redirect": place})


def _to_the_bucket(url: str) -> Response:
    """Have the client fetch the bytes from the store's own server, which sees to ranges itself.

    The URL is a secret for as long as it holds: the answer must not be cached, nor the URL sent on as a
    referrer.
    """
    return Response(
        status_code=307,
        headers={"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same chunks, of which the first one has been read.

    So whatever keeps the bytes from being read is an error before the answer
    begins, and a reader whose image is deleted meanwhile goes on to the end.
    """
    first = await anext(chunks, b"")

    async def go_on() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return go_on()
