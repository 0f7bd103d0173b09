"""The submit-a-URL API: submit, follow, cancel."""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.advice import plain_advice
from fetcher.api.auth.identity import own_token, require_role
from fetcher.api.body import beside, convert, parse, read_body
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import Services, services_of
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.api.views import import_view, limits_view, walls_view
from fetcher.config import Settings
from fetcher.errors import InvalidRequest, WrongMediaType
from fetcher.index.values import FILTERS, IdempotencyKey
from fetcher.lifecycle import State
from fetcher.model import Actor, Import
from fetcher.parsers.metalink import parse_metalink

END_ID = "end"  # Of an import's last event; comes back as Last-Event-ID.
STOPPING_RETRY_MILLISECONDS = 5000
METALINK_TYPE = "application/metalink4+xml"
# What the query may say beside a metalink; all else is in the document or has its default.
METALINK_FIELDS = frozenset({"name", "disk_format", "container_format", "visibility"})
KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


async def submit(request: Request) -> Response:
    """`POST /imports`: take a URL; answers 202 before the source is asked anything."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    raw, body = await _body(request, services.current.settings)
    record = await services.importer.submit(
        actor,
        await body.resolved(actor, services.current.settings, services.catalogues),
        key=idempotency_key(request, raw),
        request_id=request.scope.get("request_id"),
        token=own_token(request),
    )
    base = base_url(request)
    shown = import_view(record, base, is_operator=actor.is_admin)
    return JsonAnswer(shown, 202, {"Location": f"{base}/imports/{record.id}"})


async def _body(request: Request, settings: Settings) -> tuple[bytes, SubmitBody]:
    """Read a submission in JSON, or as a metalink with further fields in the query."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent == "application/json":
        raw = await read_body(request)
        return raw, convert(await beside(request, raw, lambda: parse(raw)), SubmitBody)
    if sent == METALINK_TYPE:
        raw = await read_body(request)
        most = settings.url.max_mirrors + 1
        found = (await beside(request, raw, lambda: parse_metalink(raw, max_urls=most))).fields()
        query: dict[str, object] = dict(request.query_params)
        for name in query.keys() - METALINK_FIELDS:
            raise InvalidRequest(field=name, reason=f"beside a metalink, {name} is no field of the query")
        return raw + request.url.query.encode(), convert(found | query, SubmitBody)
    raise WrongMediaType(sent=sent or "none", accepted=f"application/json or {METALINK_TYPE}")


def idempotency_key(request: Request, raw: bytes) -> IdempotencyKey | None:
    """Return the key that a request may be repeated with; None without one.

    Raises:
        InvalidRequest: It is too long, or no text.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not KEY.match(key):
        raise InvalidRequest(
            field="Idempotency-Key", reason="an Idempotency-Key has 1 to 255 printable characters"
        )
    return IdempotencyKey(key=key, fingerprint=hashlib.sha256(raw).hexdigest())


async def show(request: Request) -> Response:
    """`GET /imports/{id}`: how far it is, or how it ended."""
    services = services_of(request)
    actor = await services.identify(request)
    record = await services.importer.find(request.path_params["id"], actor)
    truths = await truths_of(services, actor, [record])
    truth = truths.get(record.id)
    document = import_view(record, base_url(request), truth, is_operator=actor.is_admin)
    return JsonAnswer(document, headers={"Cache-Control": "no-store"})


async def truths_of(services: Services, actor: Actor, records: Sequence[Import]) -> dict[str, dict[str, str]]:
    """Return what really ended imports, with what to do about it: for admins; nothing for anybody else."""
    ended = [record.id for record in records if record.state in {State.FAILED, State.REFUSED}]
    found = await services.index.imports.truths(actor, ended)
    return {key: {**truth, "advice": plain_advice(truth["code"])} for key, truth in found.items()}


async def listing(request: Request) -> Response:
    """`GET /imports`: newest first, filtered, a page at a time."""
    services = services_of(request)
    actor = await services.identify(request)
    query = _query(request)
    limit = page_limit(query.pop("limit", None), services.current.settings)
    marker = query.pop("marker", None)
    for name in query:
        if name not in FILTERS:
            raise InvalidRequest(
                field=name, reason=f"no filter is named {name}; there are {', '.join(FILTERS)}"
            )
    most = services.current.settings.server.max_answer_bytes
    records = await services.index.imports.page(actor, query, limit=limit + 1, marker=marker, max_bytes=most)
    base = base_url(request)
    truths = await truths_of(services, actor, records[:limit])
    shown = [
        import_view(
            services.importer.snapshot(record), base, truths.get(record.id), is_operator=actor.is_admin
        )
        for record in records[:limit]
    ]
    document: dict[str, Any] = {"imports": shown}
    if records.has_more or len(records) > limit:
        following = {**query, "limit": str(limit), "marker": records[:limit][-1].id}
        document["next"] = f"{base}/imports?{urlencode(following)}"
    return JsonAnswer(document, headers={"Cache-Control": "no-store"})


def _query(request: Request) -> dict[str, str]:
    """Return the parameters of a list, each at most once.

    Raises:
        InvalidRequest: One stands twice, or asks for a state that there is not.
    """
    query = dict(request.query_params)
    if len(query) != len(request.query_params.multi_items()):
        raise InvalidRequest(reason="a parameter stands twice")
    states = [state.value for state in State]
    if query.get("state", states[0]) not in states:
        raise InvalidRequest(field="state", reason=f"state is one of {', '.join(states)}")
    return query


def page_limit(text: str | None, settings: Settings) -> int:
    """Read how many rows a list may have.

    Raises:
        InvalidRequest: It is no whole number from 1.
    """
    if text is None:
        return settings.server.page_items
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise InvalidRequest(field="limit", reason="limit is a whole number from 1")
    return min(int(text), settings.server.max_page_items)


async def cancel(request: Request) -> Response:
    """`DELETE /imports/{id}`: end it; when this answers, nothing is left of it."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    await services.importer.cancel(request.path_params["id"], actor)
    return Response(status_code=204)


async def events(request: Request) -> Response:
    """`GET /imports/{id}/events`: the same document at every change, as server-sent events.

    A client that has seen the end and connects again, as an `EventSource` does by itself, gets a 204, which
    makes it stop (HTML, section 9.2.3, "Server-sent events", processing model).
    """
    services = services_of(request)
    actor = await services.identify(request)
    import_id = request.path_params["id"]
    await services.importer.find(import_id, actor)  # An unknown id is a plain 404, not a broken stream.
    if request.headers.get("last-event-id") == END_ID:
        return Response(status_code=204)
    base = base_url(request)
    seconds = services.current.settings.server.event_seconds

    async def stream() -> AsyncIterator[ServerSentEvent]:
        number, name = 0, ""
        async for record in services.importer.follow(import_id, actor, least_seconds=seconds):
            number += 1
            name = "end" if record.state.is_final else "progress"
            truth = (await truths_of(services, actor, [record])).get(record.id)
            if truth is None:
                text = services.event_texts.of(record, base, is_operator=actor.is_admin)
            else:
                document = import_view(record, base, truth, is_operator=actor.is_admin)
                text = msgspec.json.encode(document).decode()
            yield ServerSentEvent(text, event=name, id=END_ID if record.state.is_final else str(number))
        if name != "end":
            yield ServerSentEvent("{}", event="stopping", retry=STOPPING_RETRY_MILLISECONDS)

    return EventSourceResponse(stream(), headers={"Cache-Control": "no-store"})


async def provenance(request: Request) -> Response:
    """`GET /imports/{id}/provenance`: where the image's bytes came from, and who judged them."""
    services = services_of(request)
    actor = await services.identify(request)
    document = await services.index.imports.provenance(request.path_params["id"], actor)
    if document is None:
        raise InvalidRequest(reason="the import has made no image, so nothing has a provenance")
    return JsonAnswer(document)


async def limits(request: Request) -> Response:
    """`GET /limits`: every limit in force, from the guard that enforces it."""
    services = services_of(request)
    await services.identify(request)
    walls = services.importer.context.sandbox.walls
    return JsonAnswer({"limits": {**limits_view(services.current.settings), **walls_view(walls)}})


async def options(request: Request) -> Response:
    """`OPTIONS /imports`: what may be submitted, and the limits in force."""
    services = services_of(request)
    await services.identify(request)
    document = {"fields": msgspec.json.schema(SubmitBody), "limits": limits_view(services.current.settings)}
    return JsonAnswer(document, headers={"Allow": "GET, HEAD, OPTIONS, POST"})


# Streams end by themselves when the service stops, with a last event; sse-starlette would cut them off.
AppStatus.enable_automatic_graceful_drain = False

routes = [
    Route("/imports", listing, methods=["GET"]),
    Route("/imports", submit, methods=["POST"]),
    Route("/imports", options, methods=["OPTIONS"]),
    Route("/imports/{id}", show, methods=["GET"]),
    Route("/imports/{id}", cancel, methods=["DELETE"]),
    Route("/imports/{id}/events", events, methods=["GET"]),
    Route("/imports/{id}/provenance", provenance, methods=["GET"]),
    Route("/limits", limits, methods=["GET"]),
]
