"""Links that let anybody who has one fetch one image for a time."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import msgspec
import structlog
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.body import read_json
from fetcher.api.file_names import file_name
from fetcher.api.image_v2.resources.download import send_image
from fetcher.api.inbound.shares import SHARE, Share
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import Services, services_of
from fetcher.attest.links import Linked
from fetcher.errors import Conflict, Forbidden, LinkInvalid, UnknownImage
from fetcher.guards.request.links import check_link
from fetcher.importer.context import ENGINE
from fetcher.index.rights import may_change
from fetcher.model import Actor, Image, Status

log = structlog.get_logger()

MAX_DIGITS = 12


class LinkBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /images/{id}/links`."""

    seconds: Annotated[float, Meta(gt=0)] | None = None


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A link to the bytes of an image; its holder needs nothing else."""

    url: str
    image_id: str
    sha256: str | None
    expires_at: datetime


async def create(request: Request) -> Response:
    """`POST /images/{id}/links`: make a link with which anybody may fetch the image for a time."""
    services = services_of(request)
    actor = await services.identify(request)
    body = await read_json(request, LinkBody)
    link = await make_link(request, services, actor, body.seconds)
    return JsonAnswer(msgspec.to_builtins(link), 201, {"Cache-Control": "no-store"})


async def make_link(
    request: Request, services: Services, actor: Actor, seconds: float | None = None
) -> LinkAnswer:
    """Make a link to the image that the path names.

    Raises:
        UnknownImage: There is none, or the caller does not see it.
        Forbidden: There are no links here, the image is another project's, or it is deactivated.
        InvalidRequest: The link would live for too long.
        Conflict: The image has no bytes yet.
        BytesDamaged: Its bytes are damaged.
    """
    image = await services.index.images.find(request.path_params["id"], actor)
    require_role(actor, "member")
    settings = services.current.settings
    life = settings.links.default_seconds if seconds is None else seconds
    check_link(life, settings)
    if not may_change(actor, image.project_id):
        raise Forbidden(reason="the image is another project's")
    if image.status is Status.DEACTIVATED:
        raise Forbidden(reason="the image is deactivated; nobody is let in to its bytes")
    if image.address is None:
        raise Conflict(reason="the image has no bytes yet")
    await services.index.maintenance.check_whole(image.address)
    expires = int(datetime.now(UTC).timestamp() + life)
    linked = _linked(image, image.address, expires)
    key = await services.link_keys.current(settings.links.max_seconds)
    query = urlencode({"expires": expires, "key": key.key_id, "signature": key.signature(linked)})
    log.info(
        "link.made", image_id=image.id, user_id=actor.user_id, project_id=actor.project_id, expires=expires
    )
    return LinkAnswer(
        url=f"{base_url(request)}/images/{image.id}/file?{query}",
        image_id=image.id,
        sha256=image.sha256,
        expires_at=datetime.fromtimestamp(expires, UTC),
    )


async def fetch(request: Request) -> Response:
    """`GET /images/{id}/file`: the bytes, for the holder of a valid link."""
    services = services_of(request)
    image = await _image_of(request, services)
    assert image.address is not None
    share: Share | None = request.scope.get(SHARE)
    if share is not None:
        # Counted apart: a link that got about takes no places from the project that handed it out.
        share.enter(f"(links of {image.project_id})")
    answer = await send_image(request, services, image, ENGINE)
    # It comes from where the page is: a browser is to keep it as a file, and to run nothing of it.
    answer.headers["Content-Disposition"] = f'attachment; filename="{file_name(image)}"'
    answer.headers["Content-Security-Policy"] = "sandbox"
    return answer


async def _image_of(request: Request, services: Services) -> Image:
    """Return the image that a link leads to.

    Until the signature is verified, every fault is answered with the same words.

    Raises:
        LinkInvalid: It was not signed here, for these bytes, or is good no more.
    """
    query, settings = request.query_params, services.current.settings
    expires, signature = query.get("expires", ""), query.get("signature", "")
    is_number = expires.isascii() and expires.isdigit() and len(expires) <= MAX_DIGITS
    is_number = is_number and not expires.startswith("0")  # One link has one form.
    if not settings.links.enabled or not is_number or len(query.multi_items()) != 3:
        raise LinkInvalid(reason="it was not made here, or was revoked")
    key = await services.link_keys.find(query.get("key", ""))
    try:
        image = await services.index.images.find(request.path_params["id"], ENGINE)
    except UnknownImage:
        image = None
    if key is None or image is None or image.address is None:
        raise LinkInvalid(reason="it was not made here, or was revoked")
    if not key.is_signature(signature, _linked(image, image.address, int(expires))):
        raise LinkInvalid(reason="it was not made here, or was revoked")
    left = int(expires) - datetime.now(UTC).timestamp()
    if left <= 0:
        raise LinkInvalid(reason="its time is over")
    if left > settings.links.max_seconds + 1:
        raise LinkInvalid(reason="it lives for longer than links may now")
    if image.status is Status.DEACTIVATED:
        raise LinkInvalid(reason="the image is deactivated")
    return image


def _linked(image: Image, address: str, expires: int) -> Linked:
    return Linked(image_id=image.id, address=address, project_id=image.project_id, expires=expires)


routes = [
    Route("/images/{id}/links", create, methods=["POST"]),
    Route("/images/{id}/file", fetch, methods=["GET"]),
]
