"""Image records: create, list, show, change, delete, and take out of use."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.body import beside, read_body
from fetcher.api.image_v2.answers import Answer, enter, enter_image, no_content
from fetcher.api.image_v2.attributes import (
    READ_ONLY,
    WRITABLE,
    check_name,
    check_properties,
    check_right,
    check_value,
    count_properties,
)
from fetcher.api.image_v2.documents import read_document
from fetcher.api.image_v2.resources.listing import read_query
from fetcher.api.image_v2.resources.patch import apply_changes, read_changes
from fetcher.api.image_v2.resources.record import STORE, image_view
from fetcher.api.problems import base_url
from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.ids import new_id
from fetcher.importer.methods.registry import offered
from fetcher.index.rows import to_line
from fetcher.index.values import Rows
from fetcher.model import Actor, Image, Status


async def create(request: Request) -> Response:
    """`POST /v2/images`: a record that waits for its bytes."""
    services, actor = await enter(request, "member")
    settings = services.current.settings
    image = new_image(await read_document(request, dict[str, Any]), actor, settings)
    await services.index.images.create(image)
    headers = {
        "Location": f"{base_url(request)}/v2/images/{image.id}",
        "OpenStack-image-import-methods": ",".join(offered(actor, settings)),
        "OpenStack-image-store-ids": STORE,
    }
    return Answer(image_view(to_line(image)), 201, headers)


def new_image(attributes: dict[str, Any], actor: Actor, settings: Settings) -> Image:
    """Make a queued image of a request body.

    Raises:
        InvalidRequest: An attribute is not what it may hold.
        Forbidden: It is not theirs to set.
        QuotaExceeded: There are too many tags or properties.
    """
    image_id = _given_id(attributes.pop("id")) if "id" in attributes else new_id()
    fields: dict[str, Any] = {"project_id": actor.project_id}
    properties: dict[str, str] = {}
    count_properties(attributes.keys() - WRITABLE.keys() - READ_ONLY, settings)  # Before each is looked at.
    for name, value in attributes.items():
        check_name(name)
        checked = check_value(name, value, settings)
        check_right(name, checked, actor)
        if name in WRITABLE:
            fields[WRITABLE[name][1]] = checked
        else:
            properties[name] = checked
    check_properties(properties, settings)
    now = datetime.now(UTC)
    return Image(
        **{"visibility": settings.image_api.default_visibility, **fields},
        id=image_id,
        status=Status.QUEUED,
        properties=properties,
        created_at=now,
        updated_at=now,
    )


def _given_id(given: Any) -> str:
    try:
        return str(msgspec.convert(given, UUID))
    except msgspec.ValidationError as error:
        raise InvalidRequest(field="id", reason="an id is a UUID") from error


async def listing(request: Request) -> Response:
    """`GET /v2/images`: filtered, in any order, a page at a time."""
    services, actor = await enter(request)
    query = read_query(request.query_params, services.current.settings)
    images = await services.index.images.lines(actor, query) if query.limit else Rows()
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != "marker"]
    document: dict[str, Any] = {
        "images": [image_view(image) for image in images],
        "first": f"/v2/images?{urlencode(kept)}" if kept else "/v2/images",
        "schema": "/v2/schemas/images",
    }
    if images and (images.has_more or len(images) == query.limit):
        document["next"] = f"/v2/images?{urlencode([*kept, ('marker', images[-1].id)])}"
    return Answer(document)


async def show(request: Request) -> Response:
    """`GET /v2/images/{id}`."""
    services, actor = await enter_image(request)
    return Answer(image_view(await services.index.images.line(request.path_params["id"], actor)))


async def change(request: Request) -> Response:
    """`PATCH /v2/images/{id}`: all changes or none."""
    services, actor = await enter_image(request, "member")
    settings = services.current.settings
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request)
    changes = await beside(request, body, lambda: read_changes(media_type, body, settings))

    def edit(image: Image) -> Image:
        after = apply_changes(image, changes, actor, settings)
        return image if after == image else touch(after)

    changed = await services.index.images.edit(request.path_params["id"], actor, edit)
    return Answer(image_view(to_line(changed)))


async def delete(request: Request) -> Response:
    """`DELETE /v2/images/{id}`: an import that still writes it is ended first; nothing is left."""
    services, actor = await enter_image(request, "member")
    await services.importer.delete_image(request.path_params["id"], actor)
    return no_content()


async def deactivate(request: Request) -> Response:
    """`POST /v2/images/{id}/actions/deactivate`: nobody but an admin gets the bytes."""
    return await _turn(request, Status.DEACTIVATED)


async def reactivate(request: Request) -> Response:
    """`POST /v2/images/{id}/actions/reactivate`."""
    return await _turn(request, Status.ACTIVE)


async def _turn(request: Request, status: Status) -> Response:
    services, actor = await enter_image(request, "member")
    await services.index.images.edit(request.path_params["id"], actor, partial(turn, status))
    return no_content()


def turn(status: Status, image: Image) -> Image:
    """Return the image with another status, among those that an image with bytes can have.

    Raises:
        Forbidden: It has no bytes.
    """
    if image.status not in {Status.ACTIVE, Status.DEACTIVATED}:
        raise Forbidden(reason=f"the image is {image.status.value} and has no bytes yet")
    return image if image.status is status else touch(msgspec.structs.replace(image, status=status))


def touch(image: Image) -> Image:
    """Return the image, changed now."""
    return msgspec.structs.replace(image, updated_at=datetime.now(UTC))


routes = [
    Route("/v2/images", listing, methods=["GET"]),
    Route("/v2/images", create, methods=["POST"]),
    Route("/v2/images/{id}", show, methods=["GET"]),
    Route("/v2/images/{id}", change, methods=["PATCH"]),
    Route("/v2/images/{id}", delete, methods=["DELETE"]),
    Route("/v2/images/{id}/actions/deactivate", deactivate, methods=["POST"]),
    Route("/v2/images/{id}/actions/reactivate", reactivate, methods=["POST"]),
]
