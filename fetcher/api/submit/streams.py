"""The routes by which strangers find what is public here."""

import asyncio
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.file_names import file_name
from fetcher.api.image_v2.resources.download import send_image
from fetcher.api.inbound.shares import SHARE, Share
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.streams.machines import MEDIA_TYPE as MACHINE_TYPE
from fetcher.api.streams.machines import METADATA_NAMES, archive_of, is_machine
from fetcher.api.streams.metalink import MEDIA_TYPE, metalink_of
from fetcher.api.streams.products import image_path, is_published
from fetcher.api.streams.published import STRANGER, Document
from fetcher.errors import NotFound, UnknownImage
from fetcher.model import Image

TYPES = {".json": "application/json", ".sjson": "text/plain"}
# Strangers together: they take no places from the project that has the image.
STRANGERS = "(what is published)"


async def listing(request: Request) -> Response:
    """`GET /streams/v1/{name}`: what is public here, as simplestreams: an index, and one file of products."""
    services = services_of(request)
    settings = services.current.settings.publish
    name = request.path_params["name"]
    found = await services.published.find(f"streams/v1/{name}") if settings.enabled else None
    if found is None:
        raise NotFound(what=request.url.path)
    headers = {
        "ETag": found.etag,
        "Last-Modified": format_datetime(found.updated, usegmt=True),
        "Cache-Control": f"public, max-age={int(settings.cache_seconds)}",
    }
    if is_current(request, found):
        return Response(status_code=304, headers=headers)
    return Response(found.text, headers=headers, media_type=TYPES[name[name.rindex(".") :]])


def is_current(request: Request, document: Document) -> bool:
    """Return whether the client's copy is this one.

    Source: RFC 9110 section 13.2.2: the date counts only where no tag is sent.
    """
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or document.etag in tags
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except (TypeError, ValueError, IndexError, OverflowError):
        return False
    return document.updated.replace(microsecond=0) <= since.replace(tzinfo=since.tzinfo or UTC)


async def metalink(request: Request) -> Response:
    """`GET /streams/images/{id}.meta4`: the URL, size and digests of a public image (Metalink 4)."""
    image = await _image_of(request)
    await services_of(request).index.maintenance.check_whole(image.sha256 or "")
    text = metalink_of(image, f"{base_url(request)}/{image_path(image)}")
    name = f"{file_name(image)}.meta4"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}
    return Response(text, headers=headers, media_type=MEDIA_TYPE)


async def fetch(request: Request) -> Response:
    """`GET /streams/images/{id}/{name}`: the bytes of a public image, or what Incus wants to know of it."""
    image = await _image_of(request)
    publish = services_of(request).current.settings.publish
    if request.path_params["name"] in METADATA_NAMES and publish.machines and is_machine(image):
        return Response((await asyncio.to_thread(archive_of, image)).data, media_type=MACHINE_TYPE)
    share: Share | None = request.scope.get(SHARE)
    if share is not None:
        share.enter(STRANGERS)
    answer = await send_image(request, services_of(request), image, STRANGER)
    # It comes from where the page is: a browser is to keep it as a file, and to run nothing of it.
    answer.headers["Content-Disposition"] = f'attachment; filename="{file_name(image)}"'
    answer.headers["Content-Security-Policy"] = "sandbox"
    return answer


async def _image_of(request: Request) -> Image:
    """Return the image that the path names.

    Raises:
        NotFound: There is none that strangers may have, or nothing is published here.
    """
    services = services_of(request)
    try:
        image = await services.index.images.find(request.path_params["id"], STRANGER)
    except UnknownImage as failure:
        raise NotFound(what=request.url.path) from failure
    if not services.current.settings.publish.enabled or not is_published(image):
        raise NotFound(what=request.url.path)
    return image


routes = [
    Route("/streams/v1/{name}", listing, methods=["GET"]),
    Route("/streams/images/{id}.meta4", metalink, methods=["GET"]),
    Route("/streams/images/{id}/{name}", fetch, methods=["GET"]),
]
