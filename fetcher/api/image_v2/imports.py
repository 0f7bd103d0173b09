"""Importing into an image: from a URL, from staged bytes, from another image service."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import token_of
from fetcher.api.image_v2.answers import enter_image, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.image_v2.info import methods_for
from fetcher.api.image_v2.record import STORE
from fetcher.api.services import services_of
from fetcher.config import Settings
from fetcher.errors import Conflict, Forbidden, InvalidRequest, InvalidUrl, Unauthenticated
from fetcher.guards.request.redaction import redact_url
from fetcher.guards.stream.checksum import parse_digest
from fetcher.index.sqlite.scope import may_change
from fetcher.model import Actor, Image, RemoteImage, Status, Submission

Text = Annotated[str, Meta(max_length=255)]


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the bytes come.

    Args:
        checksum: ALGORITHM:HEX that they must have, for web-download; ours, not the reference's.
    """

    name: Text
    uri: str | None = None
    checksum: Text | None = None
    glance_region: Text | None = None
    glance_image_id: Text | None = None
    glance_service_interface: Text | None = None


class ImportBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /v2/images/{id}/import` takes."""

    method: Method
    stores: Annotated[list[Text], Meta(max_length=64)] | None = None
    all_stores: bool | None = None
    all_stores_must_succeed: bool | None = None


async def start(request: Request) -> Response:
    """`POST /v2/images/{id}/import`: answers 202 before any source is asked anything."""
    services, actor = await enter_image(request, "member")
    settings = services.settings()
    body = await read_document(request, ImportBody)
    check_method(body, actor, settings)
    check_stores(body, request.headers.get("x-image-meta-store"))
    await begin(request, actor, body.method)
    return no_content(202)


async def begin(request: Request, actor: Actor, method: Method) -> None:
    """Begin an import into the image that the path names.

    Raises:
        UnknownImage: The caller does not see the image.
        Forbidden: The image is another project's.
        Conflict: The image does not wait for bytes.
        Failure: Whatever the importer refuses at once.
    """
    services = services_of(request)
    settings = services.settings()
    image = await services.index.images.find(request.path_params["id"], actor)
    if not may_change(actor, image.project_id):
        raise Forbidden(reason="the image is another project's")
    request_id = request.scope.get("request_id")
    if method.name == "glance-direct":
        await services.importer.uploads.import_staged(actor, image, request_id)
        return
    if image.status is not Status.QUEUED:
        raise Conflict(reason=f"the image is {image.status.value}, and only a queued one waits for bytes")
    submission = to_submission(method, image, settings)
    headers = None if submission.remote is None else _own_token(request)
    try:
        await services.importer.submit(actor, submission, image=image, request_id=request_id, headers=headers)
    except InvalidUrl as error:
        shown = redact_url(submission.url)  # Clients look for what they sent in what they are told.
        raise InvalidUrl(reason=f"{error.reason}: {shown}", rule=error.rule) from error


def check_method(body: ImportBody, actor: Actor, settings: Settings) -> None:
    """Refuse a method that is not offered to the caller.

    Raises:
        InvalidRequest: It is not.
    """
    offered = methods_for(actor, settings)
    if body.method.name not in offered:
        reason = f"unknown import method {body.method.name}; there are {', '.join(offered)}"
        raise InvalidRequest(field="method.name", reason=reason)


def check_stores(body: ImportBody, header: str | None) -> None:
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


def to_submission(method: Method, image: Image, settings: Settings) -> Submission:
    """What the importer is asked for.

    Raises:
        InvalidRequest: Something that the method needs is missing or malformed.
    """
    common = Submission(
        url=method.uri or "",
        name=image.name,
        disk_format=image.disk_format,
        container_format=image.container_format,
        checksum=parse_digest(method.checksum.strip(), settings) if method.checksum is not None else None,
        max_bytes=settings.size.max_bytes,
        min_disk=image.min_disk,
        min_ram=image.min_ram,
        visibility=image.visibility,
    )
    if method.name == "glance-download":
        remote = _remote(method)
        urls = {entry.region: entry.url for entry in settings.image_api.remotes}
        base = urls.get(remote.region)
        url = f"{base}/v2/images/{remote.image_id}/file" if base else ""
        return msgspec.structs.replace(common, url=url, remote=remote)
    if not method.uri:
        raise InvalidRequest(field="method.uri", reason="web-download needs the uri of the image")
    return common


def _remote(method: Method) -> RemoteImage:
    if not method.glance_region or not method.glance_image_id:
        raise InvalidRequest(field="method", reason="glance-download needs glance_region and glance_image_id")
    try:
        image_id = str(UUID(method.glance_image_id))
    except ValueError as error:
        reason = f"the remote image id does not look like a UUID: {method.glance_image_id}"
        raise InvalidRequest(field="method.glance_image_id", reason=reason) from error
    return RemoteImage(region=method.glance_region, image_id=image_id)


def _own_token(request: Request) -> dict[str, str] | None:
    """The caller's own token, for a service that the operator named: it decides what they may see there."""
    try:
        return {"X-Auth-Token": token_of(request)}
    except Unauthenticated:
        return None  # In local mode nobody has one.


routes = [Route("/v2/images/{id}/import", start, methods=["POST"])]
