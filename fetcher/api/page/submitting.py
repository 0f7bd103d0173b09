"""The first page: submit a URL."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.page.render import HEADERS, fragment, page
from fetcher.api.page.session import Visitor, read_form, text_of
from fetcher.api.page.shown import see_other, shown
from fetcher.api.problems import advice_of, status_of
from fetcher.api.services import services_of
from fetcher.api.submit.body import convert
from fetcher.api.submit.imports import SubmitBody
from fetcher.api.submit.words import size_words, time_words
from fetcher.config import Settings
from fetcher.errors import Failure, InvalidRequest, InvalidUrl, UnknownImport
from fetcher.guards.request.url import check_url
from fetcher.importer.pasted import without_credentials
from fetcher.model import Submission

RECENT = 6
EMPTY: dict[str, str] = dict.fromkeys(
    (
        *("url", "name", "disk_format", "container_format", "checksum", "max_bytes"),
        *("min_disk", "min_ram", "tags", "properties", "visibility", "checksum_url", "mirrors", "notify_url"),
    ),
    "",
)
_TEXTS = ("name", "disk_format", "container_format", "checksum", "checksum_url", "visibility", "notify_url")
_WHOLE = ("max_bytes", "min_disk", "min_ram")


@shown
async def home(request: Request, visitor: Visitor) -> Response:
    """`GET /` for browsers: one field and a button."""
    return await _home(request, visitor, await _prefilled(request, visitor))


async def _home(
    request: Request, visitor: Visitor, values: Mapping[str, str], failure: Failure | None = None
) -> Response:
    services = services_of(request)
    settings = services.settings()
    records = await services.index.imports.page(visitor.actor, {}, limit=RECENT)
    return page(
        "home.html",
        visitor,
        status=200 if failure is None else status_of(failure),
        values=values,
        wants_more=any(value for name, value in values.items() if name != "url"),
        secret_lost=any(
            "REDACTED" in values[name] for name in ("url", "checksum_url", "mirrors", "notify_url")
        ),
        failure=None if failure is None else {"words": str(failure.public()), "advice": advice_of(failure)},
        in_force=in_force(settings),
        settings=settings,
        records=[services.importer.snapshot(record) for record in records],
    )


def in_force(settings: Settings) -> list[str]:
    """The limits that a submitter should know before pressing the button, in plain words."""
    ports = ", ".join(str(port) for port in settings.url.ports)
    lines = [
        f"Up to {size_words(settings.size.max_bytes)}, within {time_words(settings.pace.total_seconds)}",
        f"{' or '.join(settings.url.schemes)} on the public internet, port {ports}",
        f"Disk formats: {', '.join(settings.format.disk_formats)}",
        f"Containers: {', '.join(settings.format.container_formats)}",
    ]
    if settings.checksum.required:
        lines.append(f"A checksum is required: {', '.join(settings.checksum.accepted)}")
    return lines


async def _prefilled(request: Request, visitor: Visitor) -> dict[str, str]:
    """The form as an earlier import was submitted, where one is named."""
    import_id = request.query_params.get("from")
    if import_id is None:
        return EMPTY
    try:
        record = await services_of(request).importer.find(import_id, visitor.actor)
    except UnknownImport:
        return EMPTY
    return _form_of(record.submission)


def _form_of(submission: Submission) -> dict[str, str]:
    return {
        "url": submission.url,
        "name": submission.name or "",
        "disk_format": submission.disk_format or "",
        "container_format": submission.container_format or "",
        "checksum": str(submission.checksum or ""),
        "max_bytes": "",
        "min_disk": str(submission.min_disk or ""),
        "min_ram": str(submission.min_ram or ""),
        "tags": ", ".join(submission.tags),
        "properties": "\n".join(f"{name}={value}" for name, value in submission.properties.items()),
        "visibility": submission.visibility,
        "checksum_url": submission.checksum_url or "",
        "mirrors": "\n".join(submission.mirrors),
        "notify_url": submission.notify_url or "",
    }


@shown
async def check(request: Request, _visitor: Visitor) -> Response:
    """`POST /page/check`: say while somebody types whether a URL can ever work."""
    form = await read_form(request)
    url, words, mood = (form.get("url") or "").strip(), "", ""
    if url:
        try:
            origin = check_url(without_credentials(url), services_of(request).settings()).origin
        except InvalidUrl as failure:
            words, mood = str(failure), "bad"
        else:
            words, mood = f"Will be fetched from {origin}.", "good"
    return Response(fragment("_check.html", words=words, mood=mood), headers=HEADERS, media_type="text/html")


@shown
async def submit(request: Request, visitor: Visitor) -> Response:
    """`POST /page/submit`: take the form, then show the import; or show the form again with what is wrong."""
    services = services_of(request)
    form = {**EMPTY, **await read_form(request)}
    try:
        require_role(visitor.actor, "member")
        body = convert(to_document(form), SubmitBody)
        submission = body.to_submission(visitor.actor, services.settings())
        record = await services.importer.submit(
            visitor.actor, submission, request_id=request.scope.get("request_id")
        )
    except Failure as failure:
        return await _home(request, visitor, form, failure)
    return see_other(f"/page/imports/{record.id}")


def to_document(form: Mapping[str, str]) -> dict[str, Any]:
    """The form as the API takes it; empty fields are left out.

    Raises:
        InvalidRequest: A number is none, or a property is not NAME=VALUE.
    """
    document: dict[str, Any] = {"url": (form.get("url") or "").strip()}
    for name in _TEXTS:
        if text := text_of(form, name):
            document[name] = text
    for name in _WHOLE:
        if text := text_of(form, name):
            if not (text.isascii() and text.isdigit()):
                raise InvalidRequest(field=name, reason=f"{name} is a whole number")
            document[name] = int(text)
    document["tags"] = [tag for tag in (text.strip() for text in form.get("tags", "").split(",")) if tag]
    document["mirrors"] = form.get("mirrors", "").split()
    document["properties"] = _properties(form.get("properties", ""))
    return document


def _properties(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if line.strip() and (not equals or not name.strip()):
            raise InvalidRequest(field="properties", reason="each line of properties is NAME=VALUE")
        if line.strip():
            found[name.strip()] = value.strip()
    return found
