"""The submit-a-URL API: submit, follow, cancel."""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.advice import plain_advice
from fetcher.api.auth.identity import own_token, require_role
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import Services, services_of
from fetcher.api.submit.body import beside, convert, parse, read_body
from fetcher.api.submit.views import import_view, limits_view, walls_view
from fetcher.catalogues import Catalogues
from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest, WrongMediaType
from fetcher.guards.stream.checksum import parse_digest
from fetcher.guards.text import check_text
from fetcher.index.values import FILTERS, IdempotencyKey
from fetcher.lifecycle import State
from fetcher.model import RESERVED_PROPERTIES, Actor, BucketAccess, Import, Submission, Visibility
from fetcher.parsers.metalink import parse_metalink
from fetcher.settings.guards.formats import ContainerFormat, DiskFormat
from fetcher.transport import client_certificate, fingerprint

Text = Annotated[str, Meta(max_length=255)]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Secret = Annotated[str, Meta(min_length=16, max_length=255, extra_json_schema={"writeOnly": True})]
Key = Annotated[str, Meta(max_length=8192, extra_json_schema={"writeOnly": True})]
Pem = Annotated[str, Meta(max_length=65_536, extra_json_schema={"writeOnly": True})]
END_ID = "end"  # Of an import's last event; comes back as Last-Event-ID.
STOPPING_RETRY_MILLISECONDS = 5000
METALINK_TYPE = "application/metalink4+xml"
# What the query may say beside a metalink; all else is in the document or has its default.
METALINK_FIELDS = frozenset({"name", "disk_format", "container_format", "visibility"})
KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


class BucketBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the bucket of an s3:// URL is, and who may read it; without keys it is asked as anybody."""

    endpoint: Annotated[str, Meta(max_length=1024)] | None = None
    region: Annotated[str, Meta(max_length=63)] | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    access_key_id: Key | None = None
    secret_access_key: Key | None = None
    session_token: Key | None = None


class SubmitBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /imports` takes."""

    url: str | UnsetType = UNSET
    catalogue: Annotated[str, Meta(min_length=1, max_length=512)] | UnsetType = UNSET
    name: Text | None = None
    disk_format: DiskFormat | None = None
    container_format: ContainerFormat | None = None
    checksum: Annotated[str, Meta(max_length=8_192)] | None = None
    max_bytes: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    min_disk: Amount = 0
    min_ram: Amount = 0
    tags: Annotated[list[Text], Meta(max_length=128)] = []
    properties: Annotated[dict[Text, Annotated[str, Meta(max_length=65535)]], Meta(max_length=128)] = {}
    visibility: Visibility = "private"
    headers: dict[str, str] = {}
    mirrors: Annotated[list[str], Meta(max_length=64)] = []
    checksum_url: str | None = None
    checksum_signature_url: str | None = None
    ca_pem: Annotated[str, Meta(max_length=262_144)] | None = None
    client_certificate_pem: Pem | None = None
    client_key_pem: Pem | None = None
    s3: BucketBody | None = None
    disk: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    convert_to: Literal["as-received", "raw", "qcow2"] | None = None
    notify_url: str | None = None
    notify_secret: Secret | None = None
    target_image_id: UUID | None = None

    def __post_init__(self) -> None:
        """Refuse a body with neither a URL nor a name, and one with both."""
        if (self.url is UNSET) == (self.catalogue is UNSET):
            raise ValueError("an import has a url, or as catalogue the name of an image in a catalogue")

    def to_submission(self, actor: Actor, settings: Settings) -> Submission:
        """Check what the types cannot say.

        Raises:
            InvalidRequest: A checksum, a property's name or a byte cap above the service's cannot be taken.
            QuotaExceeded: There is more text than a record may hold.
            Forbidden: Only an admin may make an image public.
        """
        for name in self.properties:
            if name in RESERVED_PROPERTIES or name.startswith("os_glance"):
                raise InvalidRequest(
                    field=f"properties.{name}", reason=f"the property name {name} is reserved"
                )
        if self.visibility == "public" and not actor.is_admin:
            raise Forbidden(reason="only an admin may make an image public")
        check_text(self.name, set(self.tags), self.properties, settings)
        cap = settings.size.max_bytes
        checksum, checksum_url = self._promise()
        client = client_certificate(self.client_certificate_pem, self.client_key_pem)
        return Submission(
            url="" if self.url is UNSET else self.url,
            name=self.name,
            disk_format=self.disk_format,
            container_format=self.container_format,
            checksum=parse_digest(checksum, settings) if checksum is not None else None,
            max_bytes=cap if self.max_bytes is None else min(self.max_bytes, cap),  # Told by the answer.
            min_disk=self.min_disk,
            min_ram=self.min_ram,
            tags=tuple(sorted(set(self.tags))),
            properties=self.properties,
            visibility=self.visibility,
            headers=self.headers,
            mirrors=tuple(url for url in dict.fromkeys(self.mirrors) if url != self.url),
            checksum_url=checksum_url,
            checksum_signature_url=self.checksum_signature_url,
            ca_pem=self.ca_pem,
            client_certificate=client,
            client_sha256=fingerprint(client),
            s3=None if self.s3 is None else msgspec.convert(self.s3, BucketAccess, from_attributes=True),
            disk=self.disk,
            convert_to=self.convert_to,
            notify_url=self.notify_url,
            notify_secret=self.notify_secret,
            target_image_id=str(self.target_image_id) if self.target_image_id else None,
        )

    async def resolved(self, actor: Actor, settings: Settings, catalogues: Catalogues) -> Submission:
        """Check what the types cannot say, and find the URL of an image that is asked for by name.

        Raises:
            InvalidRequest: As from `to_submission`, or the name is none.
            UnknownName: No catalogue has an image of that name.
            CatalogueUnusable: The catalogue that may have it cannot be asked.
            QuotaExceeded, Forbidden: As from `to_submission`.
        """
        submission = self.to_submission(actor, settings)
        if self.catalogue is UNSET:
            return submission
        found = (await catalogues.resolve(self.catalogue)).fill(submission, settings)
        check_text(found.name, set(found.tags), found.properties, settings)
        return found

    def _promise(self) -> tuple[str | None, str | None]:
        """Return the digest and the checksum file's URL; `file:URL` is the latter, as Packer writes it."""
        checksum = None if self.checksum is None else self.checksum.strip()
        if checksum is None or not checksum.lower().startswith("file:"):
            return checksum, self.checksum_url
        if self.checksum_url is not None:
            raise InvalidRequest(field="checksum", reason="checksum names a file, and so does checksum_url")
        return None, checksum[len("file:") :].strip()


async def submit(request: Request) -> Response:
    """`POST /imports`: take a URL; answers 202 before the source is asked anything."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    raw, body = await _body(request, services.settings())
    record = await services.importer.submit(
        actor,
        await body.resolved(actor, services.settings(), services.catalogues),
        key=_idempotency_key(request, raw),
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


def _idempotency_key(request: Request, raw: bytes) -> IdempotencyKey | None:
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
    limit = page_limit(query.pop("limit", None), services.settings())
    marker = query.pop("marker", None)
    for name in query:
        if name not in FILTERS:
            raise InvalidRequest(
                field=name, reason=f"no filter is named {name}; there are {', '.join(FILTERS)}"
            )
    most = services.settings().server.max_answer_bytes
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
    if not text.isascii() or not text.isdigit() or int(text) < 1:
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

    Whoever has seen the end and connects again, as an `EventSource` does by itself, is told to stop by a 204
    (HTML, section 9.2.3, "Server-sent events", processing model).
    """
    services = services_of(request)
    actor = await services.identify(request)
    import_id = request.path_params["id"]
    await services.importer.find(import_id, actor)  # An unknown id is a plain 404, not a broken stream.
    if request.headers.get("last-event-id") == END_ID:
        return Response(status_code=204)
    base = base_url(request)
    seconds = services.settings().server.event_seconds

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
    """`GET /limits`: every limit in force, told by the guard that enforces it."""
    services = services_of(request)
    await services.identify(request)
    walls = services.importer.context.sandbox.walls
    return JsonAnswer({"limits": {**limits_view(services.settings()), **walls_view(walls)}})


async def options(request: Request) -> Response:
    """`OPTIONS /imports`: what may be submitted, and the limits in force."""
    services = services_of(request)
    await services.identify(request)
    document = {"fields": msgspec.json.schema(SubmitBody), "limits": limits_view(services.settings())}
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
