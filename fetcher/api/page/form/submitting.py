"""The first page: submit a URL."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import own_token, require_role
from fetcher.api.body import convert
from fetcher.api.page.echo import echoed
from fetcher.api.page.form.again import default_name, form_of
from fetcher.api.page.form.draft import Draft
from fetcher.api.page.form.fields import EMPTY, LABELS
from fetcher.api.page.render import HEADERS, fragment, page
from fetcher.api.page.session import FORM_FIELD, Visitor, check_proof, read_fields, read_form, with_token
from fetcher.api.page.shown import see_other, shown
from fetcher.api.page.views.probe import look, probe_of, words_of_look
from fetcher.api.problems import advice_of, status_of
from fetcher.api.services import services_of
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.api.submit.words import size_words, time_words
from fetcher.config import Settings
from fetcher.errors import Failure, Forbidden, UnknownImport
from fetcher.importer.schemes.registry import check_source

RECENT = 6
FOLDED = [name for name in LABELS if name != "url"]


@shown
async def home(request: Request, visitor: Visitor) -> Response:
    """`GET /` for browsers: one field and a button."""
    values, lost = await _prefilled(request, visitor)
    return await _home(request, visitor, values, lost=lost)


async def _home(  # noqa: PLR0913 - all that the page shows
    request: Request,
    visitor: Visitor,
    values: Mapping[str, str],
    *,
    failure: Failure | None = None,
    mistakes: Mapping[str, str] | None = None,
    lost: Mapping[str, list[str]] | None = None,
    found: Mapping[str, Any] | None = None,
) -> Response:
    services = services_of(request)
    settings = services.current.settings
    records = await services.index.imports.page(visitor.actor, {}, limit=RECENT)
    mistakes, lost = mistakes or {}, lost or {}
    status = status_of(failure) if failure else 400 if mistakes else 200
    return page(
        "home.html",
        visitor,
        status=status,
        values={**EMPTY, **values},
        wants_more=any(values.get(name) or name in mistakes or name in lost for name in FOLDED),
        mistakes=mistakes,
        wrong={**EMPTY, **mistakes},
        lost=lost,
        labels=LABELS,
        failure=None if failure is None else {"words": str(failure.public()), "advice": advice_of(failure)},
        in_force=in_force(settings),
        settings=settings,
        can_choose=False,
        found=found,
        can_probe=probe_of(request) is not None,
        records=[services.importer.snapshot(record) for record in records],
    )


async def _form_again(request: Request, visitor: Visitor, form: Mapping[str, str], **shown: Any) -> Response:
    """Show a form again, without what may be a secret."""
    values, lost = echoed(form)
    return await _home(request, visitor, values, lost=lost, **shown)


def in_force(settings: Settings) -> list[str]:
    """Return the limits that a submitter should know before pressing the button, in plain words."""
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


async def _prefilled(request: Request, visitor: Visitor) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the form as an earlier import was submitted, where one is named."""
    import_id = request.query_params.get("from")
    if import_id is None:
        return EMPTY, {}
    try:
        record = await services_of(request).importer.find(import_id, visitor.actor)
    except UnknownImport:
        return EMPTY, {}
    return form_of(record.submission)


@shown
async def check(request: Request, _visitor: Visitor) -> Response:
    """`POST /page/check`: say during typing whether a URL can ever work."""
    form = await read_form(request)
    url, words, mood = (form.get("url") or "").strip(), "", ""
    if url:
        try:
            origin = check_source(url, services_of(request).current.settings).origin
        except Failure as failure:
            words, mood = str(failure), "bad"
        else:
            words, mood = f"The file will be downloaded from {origin}.", "good"
    return Response(fragment("_check.html", words=words, mood=mood), headers=HEADERS, media_type="text/html")


@shown
async def probe(request: Request, visitor: Visitor) -> Response:
    """`POST /page/probe`: what a URL leads to; a whole page where no script asks."""
    is_script = request.headers.get("hx-request") == "true"
    form = await (read_form if is_script else read_fields)(request)
    found: dict[str, Any] | None = None
    draft = Draft(
        {name: value for name, value in form.items() if name != FORM_FIELD},
        services_of(request).current.settings,
    )
    try:
        if not is_script:
            check_proof(request, form.pop(FORM_FIELD, ""))
        if not draft.mistakes:
            found = await look(request, draft.document)
    except Failure as failure:
        if not is_script and not draft.refuse(failure):
            return await _form_again(request, visitor, form, failure=failure)
        if is_script and not draft.refuse(failure):
            found = words_of_look({}) | {"unchecked": f"{failure.public()} {advice_of(failure)}"}
    if not is_script:
        return await _form_again(request, visitor, form, mistakes=draft.mistakes, found=found)
    # What is wrong with a URL is said while it is typed; all else beside its field when it is submitted.
    return Response(fragment("_probe.html", found=found), headers=HEADERS, media_type="text/html")


@shown
async def submit(request: Request, visitor: Visitor) -> Response:
    """`POST /page/submit`: take the form, then show the import; or show the form again with what is wrong."""
    services = services_of(request)
    form = await read_fields(request)
    try:
        check_proof(request, form.pop(FORM_FIELD, ""))
        require_role(visitor.actor, "member")
    except Forbidden as failure:
        return await _form_again(request, visitor, form, failure=failure)
    draft = Draft(form, services.current.settings)
    if draft.mistakes:
        return await _form_again(request, visitor, form, mistakes=draft.mistakes)
    draft.document.setdefault("name", default_name(draft.document["url"]))
    try:
        body = convert(draft.document, SubmitBody)
        submission = await body.resolved(visitor.actor, services.current.settings, services.catalogues)
        record = await services.importer.submit(
            visitor.actor,
            submission,
            request_id=request.scope.get("request_id"),
            token=own_token(with_token(request)),
        )
    except Failure as failure:
        if draft.refuse(failure):
            return await _form_again(request, visitor, form, mistakes=draft.mistakes)
        return await _form_again(request, visitor, form, failure=failure)
    return see_other(f"/page/imports/{record.id}")
