"""Sending images: submit an export, follow it, cancel it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.body import beside, convert, parse, read_body
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.submit.imports import END_ID, idempotency_key, page_limit
from fetcher.api.submit.submit_body import BucketBody
from fetcher.errors import InvalidRequest, WrongMediaType
from fetcher.exporter.service import Called
from fetcher.index.values import Export, ExportOptions, PartUrls, ReceiverAccess, ReceiverSecrets
from fetcher.lifecycle import State
from fetcher.model import BucketAccess

JSON = "application/json"
Text = Annotated[str, Meta(max_length=8_192)]


class PartsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """URLs that are signed for the parts of one upload; `url` of the export is the one that completes it."""

    urls: Annotated[
        list[Text],
        Meta(
            min_length=1,
            max_length=10_000,
            description="One for each part, in order; kept until the export ends.",
            extra_json_schema={"writeOnly": True},
        ),
    ]
    part_bytes: Annotated[int, Meta(ge=1, le=2**63 - 1, description="Bytes of every part but the last.")]
    abort_url: Annotated[
        Text | None,
        Meta(
            description="Takes a DELETE that drops the upload when the export fails or is cancelled.",
            extra_json_schema={"writeOnly": True},
        ),
    ] = None


class ExportBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /exports`."""

    image: Annotated[str, Meta(min_length=1, max_length=64, description="The ID of the image to send.")]
    url: Annotated[
        str,
        Meta(
            description="Where it goes: a URL signed for one PUT, `s3://BUCKET/KEY`, `oci://HOST/NAME:TAG`, "
            "or `glance://REGION`; kept until the export ends.",
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
    format: Annotated[
        Literal["raw", "qcow2"] | None,
        Meta(description="What the disk is converted to on its way out; absent: as it is kept."),
    ] = None
    layout: Annotated[
        Literal["artifact", "containerdisk"],
        Meta(description="In a registry: the disk as a file, or in a tar that KubeVirt boots from."),
    ] = "artifact"
    replace: Annotated[
        bool, Meta(description="Whether what is there under the same name is replaced; else it is kept.")
    ] = False
    verify: Annotated[
        bool, Meta(description="Whether all bytes are read back from the receiver and compared.")
    ] = False
    read_url: Annotated[
        Text | None,
        Meta(
            description="Where the bytes of a signed URL are read back, for `verify`.",
            extra_json_schema={"writeOnly": True},
        ),
    ] = None
    s3: Annotated[
        BucketBody | None,
        Meta(
            description="Where the bucket of an `s3://` URL is, and who may write to it.",
            extra_json_schema={"writeOnly": True},
        ),
    ] = None
    parts: Annotated[PartsBody | None, Meta(description="For an upload in parts that are signed.")] = None
    token: Annotated[
        Annotated[str, Meta(max_length=16_384)] | None,
        Meta(
            description="Yours for another image service; kept until the export ends.",
            extra_json_schema={"writeOnly": True},
        ),
    ] = None

    def secrets(self) -> ReceiverSecrets:
        """Return the receiver and who we are to it."""
        parts = self.parts
        access = ReceiverAccess(
            s3=None if self.s3 is None else msgspec.convert(self.s3, BucketAccess, from_attributes=True),
            parts=None if parts is None else msgspec.convert(parts, PartUrls, from_attributes=True),
            token=self.token,
            read_url=self.read_url,
        )
        return ReceiverSecrets(url=self.url.strip(), headers=self.headers, access=access)

    def options(self) -> ExportOptions:
        """Return how it is to be sent."""
        return ExportOptions(format=self.format, layout=self.layout, replace=self.replace, verify=self.verify)


class ExportReadBack(msgspec.Struct, frozen=True, kw_only=True):
    """The result of reading the bytes back; other bytes are the failure `receiver-mismatch` instead."""

    result: Annotated[Literal["matched", "not-possible"], Meta(description="Whether they were compared.")]
    reason: Annotated[str, Meta(description="Why they were not; empty where they were.")]


class ExportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of an export."""

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
    """The verdict of an export."""

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
    options: Annotated[dict[str, Any], Meta(description="How it is sent: format, layout, replace, verify.")]
    answer: Annotated[dict[str, str], Meta(description="What the receiver said: status, `etag` ...")]
    read_back: Annotated[
        ExportReadBack | None, Meta(description="What was read back; null where that was not asked for.")
    ]
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
    plain = msgspec.to_builtins(export) | {"options": msgspec.structs.asdict(export.options)}
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
    raw = await read_body(request)
    body = convert(await beside(request, raw, lambda: parse(raw)), ExportBody)
    call = Called(request_id=request.scope.get("request_id"), key=idempotency_key(request, raw))
    export = await services.exporter.submit(actor, body.image, body.secrets(), body.options(), call)
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
    limit = page_limit(query.pop("limit", None), services.current.settings)
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
    seconds = services.current.settings.server.event_seconds

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
