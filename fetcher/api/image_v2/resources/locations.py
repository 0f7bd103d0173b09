"""The locations API of 2.17: adding one is an import from its URL; services may read where bytes came from.

The older way, patching `locations`, is not here: it let a project point an
image at bytes that nobody had judged.
"""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter_image, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.image_v2.resources.imports import begin
from fetcher.api.image_v2.resources.record import STORE
from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.importer.methods.method import Flow, Text
from fetcher.importer.methods.registry import DEFAULT, names_of
from fetcher.index.values import TaskQuery
from fetcher.lifecycle import State


class ValidationData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The expected digest of the bytes; both fields or, as some clients send it, none."""

    os_hash_algo: Text | None = None
    os_hash_value: Text | None = None


class LocationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A location that is to be added."""

    url: Annotated[str, Meta(min_length=1, max_length=65_536)]
    validation_data: ValidationData | None = None


async def add(request: Request) -> Response:
    """`POST /v2/images/{id}/locations`: pulls from the URL like web-download; 202 before it is asked."""
    services, actor = await enter_image(request, "member")
    await services.index.images.find(request.path_params["id"], actor)
    check_open(services.current.settings)
    body = await read_document(request, LocationBody)
    checksum = promised(body.validation_data or ValidationData())
    await begin(request, actor, DEFAULT, {"uri": body.url, "checksum": checksum})
    return no_content(202)


async def listing(request: Request) -> Response:
    """`GET /v2/images/{id}/locations`: the URL that the bytes came from, without secrets, for services."""
    services, actor = await enter_image(request)
    image = await services.index.images.find(request.path_params["id"], actor)
    check_open(services.current.settings)
    if not (actor.is_service or actor.is_admin):
        raise Forbidden(reason="only services and admins may read locations")
    if image.sha256 is None:
        return Answer([])
    query = TaskQuery(methods=names_of({Flow.FETCH}), states=(State.SUCCEEDED,), image_id=image.id, limit=1)
    records = await services.index.tasks.page(actor, query)
    shown = [{"url": record.submission.url, "metadata": {"store": STORE}} for record in records]
    return Answer(shown)


def promised(data: ValidationData) -> str | None:
    """Return the digest that the bytes must have, as ALGORITHM:HEX.

    Raises:
        InvalidRequest: Only one of algorithm and value is given.
    """
    if data.os_hash_algo is None and data.os_hash_value is None:
        return None
    if data.os_hash_algo is None or data.os_hash_value is None:
        reason = "validation_data needs both os_hash_algo and os_hash_value"
        raise InvalidRequest(field="validation_data", reason=reason)
    return f"{data.os_hash_algo}:{data.os_hash_value}"


def check_open(settings: Settings) -> None:
    """Refuse where the operator does not offer locations.

    Raises:
        Forbidden: `image_api.locations` is off.
    """
    if not settings.image_api.locations:
        raise Forbidden(reason="locations are not offered here; import from the URL instead")


routes = [
    Route("/v2/images/{id}/locations", listing, methods=["GET"]),
    Route("/v2/images/{id}/locations", add, methods=["POST"]),
]
