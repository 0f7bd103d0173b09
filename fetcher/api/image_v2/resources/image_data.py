"""The bytes of an image: sent to us, staged for an import, and fetched."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import enter_image, no_content
from fetcher.api.image_v2.resources.body_peer import RequestBody
from fetcher.api.image_v2.resources.download import download
from fetcher.api.image_v2.resources.record import STORE
from fetcher.config import Settings
from fetcher.errors import Failure, Forbidden, InvalidRequest, NotReady, WrongMediaType
from fetcher.importer.methods.glance_direct import may_send
from fetcher.importer.methods.method import ImportMethod
from fetcher.importer.methods.registry import STAGE, UPLOAD
from fetcher.index.rights import may_change
from fetcher.model import Actor

STOPPING_SECONDS = 1.0  # For a sender to notice that the service stops, which waits for it.
MEDIA_TYPE = "application/octet-stream"


async def upload(request: Request) -> Response:
    """`PUT /v2/images/{id}/file`: the bytes of a queued image."""
    return await _take(request, UPLOAD)


async def stage(request: Request) -> Response:
    """`PUT /v2/images/{id}/stage`: likewise, for an import with `glance-direct` to make the image of."""
    return await _take(request, STAGE)


async def _take(request: Request, method: ImportMethod) -> Response:
    services, actor = await enter_image(request, "member")
    body = RequestBody(request, services.current.settings)
    try:
        image = await services.index.images.find(request.path_params["id"], actor)
        check_sender(request, actor, services.current.settings)
        check_store(request.headers.get("x-image-meta-store"))
        if not may_change(actor, image.project_id):
            raise Forbidden(reason="the image is another project's")
        request_id = request.scope.get("request_id")
        await services.importer.uploads.take(actor, image, body, method=method, request_id=request_id)
    except NotReady:
        await body.linger(STOPPING_SECONDS)
        raise
    except Failure:
        await body.linger()
        raise
    return no_content()


def check_sender(request: Request, actor: Actor, settings: Settings) -> None:
    """Refuse who may not send bytes, and what is not said to be bytes.

    Raises:
        Forbidden: The operator lets others only do that.
        WrongMediaType: It is something else.
    """
    if not may_send(actor, settings):
        raise Forbidden(reason="sending bytes is not open to you here; import from a URL instead")
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != MEDIA_TYPE:
        raise WrongMediaType(sent=sent or "none", accepted=MEDIA_TYPE)


def check_store(named: str | None) -> None:
    """Refuse to store the bytes anywhere but in the one store.

    Raises:
        InvalidRequest: The header names another store.
    """
    if named is not None and named.strip() != STORE:
        reason = f"there is no store {named.strip()[:64]}; the only store is {STORE}"
        raise InvalidRequest(field="X-Image-Meta-Store", reason=reason)


routes = [
    Route("/v2/images/{id}/file", download, methods=["GET"]),
    Route("/v2/images/{id}/file", upload, methods=["PUT"]),
    Route("/v2/images/{id}/stage", stage, methods=["PUT"]),
]
