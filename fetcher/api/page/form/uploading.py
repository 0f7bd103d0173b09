"""Uploads of a file from the reader's own machine, through the guards that every image meets."""

import asyncio
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.image_v2.resources.body_peer import RequestBody
from fetcher.api.image_v2.resources.image_data import check_sender
from fetcher.api.image_v2.resources.images import new_image
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.page.render import HEADERS, page
from fetcher.api.page.session import Visitor, check_origin, check_proof, visitor_of
from fetcher.api.page.shown import shown
from fetcher.api.prefix import outside
from fetcher.api.problems import advice_of, detail_of, status_of
from fetcher.api.services import services_of
from fetcher.errors import Failure
from fetcher.importer.methods.glance_direct import may_send
from fetcher.importer.methods.registry import UPLOAD
from fetcher.model import Actor, Image

log = structlog.get_logger()

FIELDS = ("name", "disk_format", "container_format", "visibility")
PROOF_HEADER = "X-Form-Proof"
_removals: set[asyncio.Future[None]] = set()  # Kept, since the loop alone would forget them.


@shown
async def form(request: Request, visitor: Visitor) -> Response:
    """`GET /page/upload`: choose a file."""
    settings = services_of(request).current.settings
    return page("upload.html", visitor, settings=settings, can_send=may_send(visitor.actor, settings))


async def upload(request: Request) -> Response:
    """`PUT /page/upload`: take the bytes of a file, and say where its image is; for the page's script."""
    try:
        image = await _take(request)
    except Failure as failure:
        log.info("request.refused", code=failure.code, detail=str(failure), path=request.url.path)
        words = {"title": detail_of(failure), "advice": advice_of(failure), "code": failure.public().code}
        return JsonAnswer(words, status_of(failure), HEADERS)
    return JsonAnswer({"image": outside(f"/page/images/{image.id}")}, 201, HEADERS)


async def _take(request: Request) -> Image:
    services = services_of(request)
    settings = services.current.settings
    body = RequestBody(request, settings)
    try:
        check_origin(request)
        visitor = await visitor_of(request)
        check_proof(request, request.headers.get(PROOF_HEADER, ""))
        require_role(visitor.actor, "member")
        check_sender(request, visitor.actor, settings)
        image = new_image(_attributes(request), visitor.actor, settings)
        await services.index.images.create(image)
        await _carry(request, visitor.actor, image, body)
    except Failure:
        await body.linger()
        raise
    return image


def _attributes(request: Request) -> dict[str, Any]:
    found = {name: request.query_params[name] for name in FIELDS if request.query_params.get(name)}
    return {**found, "name": found.get("name", "").strip()[:255] or None}


async def _carry(request: Request, actor: Actor, image: Image, body: RequestBody) -> None:
    """Hand the bytes to the guards; a refused or cancelled upload leaves no image behind."""
    services = services_of(request)
    try:
        await services.importer.uploads.take(
            actor, image, body, method=UPLOAD, request_id=request.scope.get("request_id")
        )
    except BaseException:  # Also where the reader went away, and nobody waits for this any more.
        removal = asyncio.ensure_future(services.importer.delete_image(image.id, actor))
        _removals.add(removal)
        removal.add_done_callback(_removals.discard)
        await asyncio.shield(removal)
        raise
