"""Importing into an image: from a URL, from staged bytes, from another image service."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import own_token
from fetcher.api.image_v2.answers import enter_image, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.image_v2.resources.record import STORE
from fetcher.api.services import services_of
from fetcher.config import Settings
from fetcher.errors import Conflict, Forbidden, InvalidRequest, InvalidUrl
from fetcher.guards.request.redaction import redact_url
from fetcher.importer.methods.method import Flow, ImportMethod, Text
from fetcher.importer.methods.registry import METHODS, named, offered
from fetcher.importer.records.asked import asked_of
from fetcher.index.rights import may_change
from fetcher.model import Actor, Image, Status, Submission


def call_body(methods: Iterable[ImportMethod]) -> type[Any]:
    """Make the type of `POST /v2/images/{id}/import`: what any of the methods may hold, and the stores."""
    known: dict[str, tuple[str, Any, Any]] = {}
    for method in methods:
        kinds = get_type_hints(method.body, include_extras=True)
        for field in msgspec.structs.fields(method.body):
            known.setdefault(field.name, (field.name, kinds[field.name], field.default))
    method_body = msgspec.defstruct(
        "Method",
        [("name", Text), *known.values()],
        namespace={"__doc__": "How the bytes come: a method's name, and what that method needs."},
        frozen=True,
        forbid_unknown_fields=True,
    )
    stores = Annotated[list[Text], Meta(max_length=64)] | None
    options = [("stores", stores, None), ("all_stores", bool | None, None)]
    options.append(("all_stores_must_succeed", bool | None, None))
    return msgspec.defstruct(
        "ImportBody",
        [("method", method_body), *options],
        namespace={"__doc__": "What `POST /v2/images/{id}/import` takes."},
        frozen=True,
        forbid_unknown_fields=True,
    )


ImportBody = call_body(METHODS)


async def start(request: Request) -> Response:
    """`POST /v2/images/{id}/import`: answers 202 before any source is asked anything."""
    services, actor = await enter_image(request, "member")
    settings = services.current.settings
    body = await read_document(request, call_body(METHODS))
    check_method(body.method.name, actor, settings)
    check_stores(body, request.headers.get("x-image-meta-store"))
    await begin(request, actor, named(body.method.name), msgspec.structs.asdict(body.method))
    return no_content(202)


async def begin(request: Request, actor: Actor, method: ImportMethod, body: Mapping[str, Any]) -> None:
    """Begin an import into the image that the path names.

    Raises:
        UnknownImage: The caller does not see the image.
        Forbidden: The image is another project's.
        Conflict: The image does not wait for bytes.
        Failure: Whatever the importer refuses at once.
    """
    services = services_of(request)
    settings = services.current.settings
    image = await services.index.images.find(request.path_params["id"], actor)
    if not may_change(actor, image.project_id):
        raise Forbidden(reason="the image is another project's")
    request_id = request.scope.get("request_id")
    if method.flow is Flow.STAGED:
        await services.importer.uploads.import_staged(actor, image, method, request_id)
        return
    if image.status is not Status.QUEUED:
        raise Conflict(reason=f"the image is {image.status.value}, and only a queued one waits for bytes")
    submission = method.to_submission(body, of_image(image, settings), settings)
    token = own_token(request) if method.takes_token else None
    headers = {"X-Auth-Token": token} if token else None
    try:
        await services.importer.submit(
            actor, submission, method=method, image=image, request_id=request_id, headers=headers
        )
    except InvalidUrl as error:
        shown = redact_url(submission.url)  # Clients look for the URL that they sent.
        raise InvalidUrl(reason=f"{error.reason}: {shown}", rule=error.rule) from error


def check_method(name: str, actor: Actor, settings: Settings) -> None:
    """Refuse a method that is not offered to the caller.

    Raises:
        InvalidRequest: It is not.
    """
    known = offered(actor, settings)
    if name not in known:
        reason = f"unknown import method {name}; there are {', '.join(known)}"
        raise InvalidRequest(field="method.name", reason=reason)


def check_stores(body: Any, header: str | None) -> None:
    """Take every way to name the one store there is, and no other.

    Raises:
        InvalidRequest: Stores are named in two ways.
        Conflict: There is no such store.
    """
    named = [*(body.stores or []), *((header or "").split(",") if header else [])]
    if named and body.all_stores:
        raise InvalidRequest(field="stores", reason="give stores or all_stores, not both")
    unknown = [name for name in named if name.strip() != STORE]
    if unknown:
        raise Conflict(reason=f"there is no store {unknown[0]}; there is {STORE}")


def of_image(image: Image, settings: Settings) -> Submission:
    """Return what is asked for an image whatever the method; that adds where the bytes are."""
    return Submission(
        url="",
        name=image.name,
        disk_format=image.disk_format,
        container_format=image.container_format,
        max_bytes=settings.size.max_bytes,
        min_disk=image.min_disk,
        min_ram=image.min_ram,
        visibility=image.visibility,
        **asked_of(image),
    )


routes = [Route("/v2/images/{id}/import", start, methods=["POST"])]
