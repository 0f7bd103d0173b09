"""Sending images: submit an export, follow it, cancel it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.submit.body import convert, parse, read_body
from fetcher.api.submit.imports import END_ID, page_limit
from fetcher.errors import InvalidRequest, WrongMediaType
from fetcher.index.values import Export, ReceiverSecrets
from fetcher.lifecycle import State

JSON = "application/json"


class ExportBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /exports` takes."""

    image: Annotated[str, Meta(min_length=1, max_length=64, description="The ID of the image to send.")]
    url: Annotated[
        str,
        Meta(
            description="Where it goes, such as a URL signed for one PUT; kept until the export ends.",
            extra_json_schema={"writeOnly": True},
        ),
    ]
    headers: Annotated[
        dict[str, str],
        Meta(
            description="Sent to the receiver alone, such as those that the URL was signed with.",
            extra_json_schema={"writeOnly": True},
        ),
    ] = {}


class ExportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export is."""

    sent_bytes: Annotated[int, Meta(ge=0, description="Bytes that the receiver has been sent.")]
    size: Annotated[int, Meta(ge=0, description="Bytes that there are.")]
    percent: Annotated[float, Meta(ge=0, le=100, description="The same, of a hundred.")]


class ExportAttemptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One try at sending; `code` is null while it runs."""

    number: Annotated[int, Meta(ge=1, description="From 1.")]
    started_at: Annotated[datetime, Meta(description="When it began.")]
    ended_at: Annotated[datetime | None, Meta(description="When it ended.")]
    code: Annotated[str | None, Meta(description="`ok`, or why it failed.")]
    sent_bytes: Annotated[int, Meta(ge=0, description="Bytes sent before it ended.")]
    wait_seconds: Annotated[float, Meta(ge=0, description="How long the next one waits.")]


class ExportVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """How an export ended."""

    code: Annotated[str, Meta(description="`ok`, or a code of `GET /errors`.")]
    title: Annotated[str, Meta(description="The same in a sentence.")]
    advice: Annotated[str, Meta(description="What to do; empty where there is nothing to do.")]
    fields: Annotated[dict[str, Any], Meta(description="The facts.")]


class ExportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One export: state, progress, attempts, and at the end its verdict."""

    id: Annotated[str, Meta(description="Of this export.")]
    image_id: Annotated[str, Meta(description="The image that is sent.")]
    state: Annotated[State, Meta(description="Where it stands.")]
    receiver: Annotated[str, Meta(description="Where it goes, without secrets.")]
    sender: Annotated[str, Meta(description="How it is sent.")]
    progress: Annotated[ExportProgress, Meta(description="How far it is.")]
    attempts: Annotated[list[ExportAttemptAnswer], Meta(description="Every try, the first one first.")]
    digests: Annotated[dict[str, str], Meta(description="Of the bytes that are sent.")]
    answer: Annotated[dict[str, str], Meta(description="What the receiver said: status, `etag` ...")]
    verdict: Annotated[ExportVerdict | None, Meta(description="How it ended; null before.")]
    project_id: Annotated[str, Meta(description="Whose export it is.")]
    user_id: Annotated[str, Meta(description="Who asked for it.")]
    request_id: Annotated[str | None, Meta(description="Of the request that asked for it.")]
    created_at: Annotated[datetime, Meta(description="When it was submitted.")]
    started_at: Annotated[datetime | None, Meta(description="When its first attempt began.")]
    updated_at: Annotated[datetime, Meta(description="When anything of it changed last.")]
    ended_at: Annotated[datetime | None, Meta(description="When it ended.")]
    links: Annotated[dict[str, str], Meta(description="To itself, its events and its image.")]


class ExportsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Some exports, the newest first."""

    exports: Annotated[list[ExportAnswer], Meta(description="As many as were asked for, at most.")]
    next: Annotated[str, Meta(description="Where the following ones are; absent at the end.")] = ""


def export_view(export: Export, base: str) -> dict[str, Any]:
    """Return an export as its project may see it: no secret of its receiver."""
    percent = 100.0 if export.size == 0 else round(100 * export.sent_bytes / export.size, 1)
    itself = f"{base}/exports/{export.id}"
    plain = msgspec.to_builtins(export)
    del plain["claim"], plain["size"], plain["sent_bytes"], plain["sha256"]
    return {
        **plain,
        "progress": {"sent_bytes": export.sent_bytes, "size": export.size, "percent": percent},
        "digests": {"sha256": export.sha256},
        "links": {
            "self": itself,
            "events": f"{itself}/events",
            "image": f"{base}/v2/images/{export.image_id}",
        },
    }


async def submit(request: Request) -> Response:
    """`POST /exports`: send an image to a receiver that the operator allows; 202 before it is sent."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != JSON:
        raise WrongMediaType(sent=sent or "none", accepted=JSON)
    body = convert(parse(await read_body(request)), ExportBody)
    secrets = ReceiverSecrets(url=body.url.strip(), headers=body.headers)
    export = await services.exporter.submit(actor, body.image, secrets, request.scope.get("request_id"))
    base = base_url(request)
    return JsonAnswer(export_view(export, base), 202, {"Location": f"{base}/exports/{export.id}"})


async def show(request: Request) -> Response:
    """`GET /exports/{id}`: how far it is, or how it ended."""
    services = services_of(request)
    actor = await services.identify(request)
    export = await services.exporter.find(request.path_params["id"], actor)
    return JsonAnswer(export_view(export, base_url(request)), headers={"Cache-Control": "no-store"})


async def listing(request: Request) -> Response:
    """`GET /exports`: newest first, a page at a time."""
    services = services_of(request)
    actor = await services.identify(request)
    query = dict(request.query_params)
    limit = page_limit(query.pop("limit", None), services.settings())
    marker, state = query.pop("marker", None), query.pop("state", None)
    if query:
        raise InvalidRequest(field=min(query), reason="the list of exports knows limit, marker and state")
    if state is not None and state not in [known.value for known in State]:
        known = ", ".join(known.value for known in State)
        raise InvalidRequest(field="state", reason=f"state is one of {known}")
    found = await services.exporter.page(actor, limit=limit + 1, marker=marker, state=state)
    base = base_url(request)
    document: dict[str, Any] = {"exports": [export_view(export, base) for export in found[:limit]]}
    if len(found) > limit:
        following = f"&state={state}" if state else ""
        document["next"] = f"{base}/exports?limit={limit}&marker={found[limit - 1].id}{following}"
    return JsonAnswer(document, headers={"Cache-Control": "no-store"})


async def cancel(request: Request) -> Response:
    """`DELETE /exports/{id}`: end it; when this answers, nothing more is sent."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    await services.exporter.cancel(request.path_params["id"], actor)
    return Response(status_code=204)


async def events(request: Request) -> Response:
    """`GET /exports/{id}/events`: the same document at every change, as server-sent events."""
    services = services_of(request)
    actor = await services.identify(request)
    export_id = request.path_params["id"]
    await services.exporter.find(export_id, actor)  # An unknown id is a plain 404, not a broken stream.
    if request.headers.get("last-event-id") == END_ID:
        return Response(status_code=204)
    base = base_url(request)
    seconds = services.settings().server.event_seconds

    async def stream() -> AsyncIterator[ServerSentEvent]:
        number = 0
        async for export in services.exporter.follow(export_id, actor, seconds):
            number += 1
            is_over = export.state.is_final
            text = msgspec.json.encode(export_view(export, base)).decode()
            yield ServerSentEvent(
                text, event="end" if is_over else "progress", id=END_ID if is_over else str(number)
            )

    return EventSourceResponse(stream(), headers={"Cache-Control": "no-store"})


routes = [
    Route("/exports", listing, methods=["GET"]),
    Route("/exports", submit, methods=["POST"]),
    Route("/exports/{id}", show, methods=["GET"]),
    Route("/exports/{id}", cancel, methods=["DELETE"]),
    Route("/exports/{id}/events", events, methods=["GET"]),
]
