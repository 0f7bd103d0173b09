"""Pages on exports: send an image, follow it, cancel it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.body import convert
from fetcher.api.page.form.amounts import read_amount
from fetcher.api.page.render import HEADERS, fragment, page
from fetcher.api.page.session import FORM_FIELD, Visitor, check_proof, read_fields, read_form, text_of
from fetcher.api.page.shown import see_other, shown
from fetcher.api.problems import advice_of, status_of
from fetcher.api.services import services_of
from fetcher.api.submit.exports import ExportBody
from fetcher.config import Settings
from fetcher.errors import Conflict, Failure, InvalidRequest
from fetcher.exporter.service import Called
from fetcher.lifecycle import State
from fetcher.model import Actor, Image, Status

STATES = [state.value for state in State]
CHOICES = ("format", "layout")
SWITCHES = ("replace", "verify")
SECRET_TEXTS = ("read_url", "token")
BUCKET = ("endpoint", "region", "addressing", "access_key_id", "secret_access_key", "session_token")
DETAIL_SECONDS = 0.5


def may_export(actor: Actor, settings: Settings) -> bool:
    """Return whether the operator lets a caller send images anywhere."""
    rules = settings.exports
    return bool(rules.receivers) and (actor.is_admin or (rules.role == "member" and "member" in actor.roles))


@shown
async def listing(request: Request, visitor: Visitor) -> Response:
    """`GET /page/exports`: the newest first."""
    services = services_of(request)
    state = request.query_params.get("state") or None
    if state is not None and state not in STATES:
        raise InvalidRequest(field="state", reason=f"state must be one of {', '.join(STATES)}")
    limit = services.current.settings.server.page_items
    marker = request.query_params.get("after") or None
    found = await services.exporter.page(visitor.actor, limit=limit + 1, marker=marker, state=state)
    return page(
        "exports.html",
        visitor,
        exports=found[:limit],
        after=found[limit - 1].id if len(found) > limit else None,
        is_first=marker is None,
        states=STATES,
        state=state,
    )


@shown
async def form(request: Request, visitor: Visitor) -> Response:
    """`GET /page/exports/new`: where an image is to go."""
    image = await _image_of(request, visitor, request.query_params.get("image", ""))
    return _form(request, visitor, image)


@shown
async def create(request: Request, visitor: Visitor) -> Response:
    """`POST /page/exports`: send the image, then show how far it is."""
    services = services_of(request)
    fields = await read_fields(request)
    image = await _image_of(request, visitor, fields.get("image", ""))
    try:
        check_proof(request, fields.pop(FORM_FIELD, ""))
        require_role(visitor.actor, "member")
        body = convert(_document(image, fields), ExportBody)
        export = await services.exporter.submit(
            visitor.actor,
            image.id,
            body.secrets(),
            body.options(),
            Called(request_id=request.scope.get("request_id")),
        )
    except Failure as failure:
        return _form(request, visitor, image, failure=failure)
    return see_other(f"/page/exports/{export.id}")


async def _image_of(request: Request, visitor: Visitor, image_id: str) -> Image:
    """Return the image to send.

    Raises:
        UnknownImage: There is none.
        Conflict: It has no bytes to send.
    """
    image = await services_of(request).index.images.find(image_id, visitor.actor)
    if image.status is not Status.ACTIVE:
        raise Conflict(reason=f"the image is {image.status.value}; only an active one can be sent")
    return image


def _form(request: Request, visitor: Visitor, image: Image, failure: Failure | None = None) -> Response:
    """Show the form; what was typed is a secret, and is not shown again."""
    settings = services_of(request).current.settings
    return page(
        "export-new.html",
        visitor,
        status=status_of(failure) if failure else 200,
        image=image,
        receivers=settings.exports.receivers,
        may_send=may_export(visitor.actor, settings),
        failure=None if failure is None else {"words": str(failure.public()), "advice": advice_of(failure)},
    )


def _document(image: Image, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what the API takes; raises InvalidRequest."""
    document: dict[str, Any] = {name: text for name in CHOICES if (text := text_of(fields, name))}
    document |= {name: fields.get(name) == "yes" for name in SWITCHES}
    headers = _headers(fields.get("headers", ""))
    document |= {name: text for name in SECRET_TEXTS if (text := text_of(fields, name))}
    if bucket := {name: text for name in BUCKET if (text := text_of(fields, f"s3_{name}"))}:
        document["s3"] = bucket
    if (parts := _parts(fields)) is not None:
        document["parts"] = parts
    return {"image": image.id, "url": text_of(fields, "url") or "", "headers": headers, **document}


def _parts(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """Read the signed URLs of an upload in parts; None where there are none.

    Raises:
        InvalidRequest: There is no size of a part beside them.
    """
    urls = [line.strip() for line in fields.get("part_urls", "").splitlines() if line.strip()]
    if not urls:
        return None
    size = read_amount(text_of(fields, "part_bytes") or "", 1)
    if size is None:
        reason = "Size of a part must be a size, such as 64 MiB, as the URLs were signed for"
        raise InvalidRequest(field="part_bytes", reason=reason)
    abort_url = text_of(fields, "abort_url")
    return {"urls": urls, "part_bytes": size, **({"abort_url": abort_url} if abort_url else {})}


def _headers(text: str) -> dict[str, str]:
    """Read headers, one a line.

    Raises:
        InvalidRequest: A line is none, or stands twice.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not name or name in found:
            reason = f"line {number} of Headers must be written as x-ms-blob-type: BlockBlob, each name once"
            raise InvalidRequest(field="headers", reason=reason)
        found[name] = value
    return found


@shown
async def detail(request: Request, visitor: Visitor) -> Response:
    """`GET /page/exports/{id}`: how far it is, or how it ended and what the receiver said."""
    export = await services_of(request).exporter.find(request.path_params["id"], visitor.actor)
    return page("export.html", visitor, export=export)


@shown
async def detail_events(request: Request, visitor: Visitor) -> Response:
    """`GET /page/exports/{id}/events`: the same whenever it changes, until it has ended."""
    services, export_id = services_of(request), request.path_params["id"]
    await services.exporter.find(export_id, visitor.actor)  # An unknown id is a page, not a broken stream.

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for export in services.exporter.follow(export_id, visitor.actor, DETAIL_SECONDS):
            text = fragment("_export_story.html", visitor=visitor, export=export)
            yield ServerSentEvent(text, event="end" if export.state.is_final else "progress")

    return EventSourceResponse(stream(), headers=HEADERS)


@shown
async def cancel(request: Request, visitor: Visitor) -> Response:
    """`POST /page/exports/{id}/cancel`: end it; one that has ended meanwhile is simply shown."""
    await read_form(request)
    require_role(visitor.actor, "member")
    export_id = request.path_params["id"]
    with suppress(Conflict):
        await services_of(request).exporter.cancel(export_id, visitor.actor)
    return see_other(f"/page/exports/{export_id}")
