"""Pages on images that are kept new: list, make, change, look now, remove."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.body import convert
from fetcher.api.page.render import page
from fetcher.api.page.session import FORM_FIELD, Visitor, check_proof, read_fields, read_form, text_of
from fetcher.api.page.shown import see_other, shown
from fetcher.api.prefix import outside
from fetcher.api.problems import advice_of, status_of
from fetcher.api.services import services_of
from fetcher.api.submit.schedule_body import ScheduleBody, SchedulePatch
from fetcher.api.submit.schedules import check_now, edit, make, schedule_view
from fetcher.errors import Failure, Forbidden

LABELS = {
    "catalogue": "Image in the catalogue",
    "name": "Name",
    "keep": "Images to keep",
    "retire": "Older images",
    "hours": "Hours between two looks",
    "visibility": "Visibility",
    "convert_to": "Convert to",
    "notify_url": "Webhook URL",
    "notify_secret": "Webhook secret",
}
FIELD_OF = {"interval_seconds": "hours"}
RETIRE = {"hide": "hidden from lists", "show": "shown in lists"}
HOUR_SECONDS = 3600


@shown
async def listing(request: Request, visitor: Visitor) -> Response:
    """`GET /page/schedules`: which images are kept new, the last look at each and the next."""
    services = services_of(request)
    found = await services.index.schedules.page(visitor.actor, marker=request.query_params.get("after"))
    return page(
        "schedules.html",
        visitor,
        schedules=[schedule_view(one) for one in found],
        more=outside(f"/page/schedules?after={found[-1].id}") if found.has_more else None,
        most=services.current.settings.schedules.max_per_project,
        can_change=_can_change(visitor),
    )


@shown
async def form(request: Request, visitor: Visitor) -> Response:
    """`GET /page/schedules/new`: what to keep new, and how."""
    settings = services_of(request).current.settings.schedules
    name = request.query_params.get("catalogue", "")[:512]
    values = {"catalogue": name, "name": name.replace(":", "-"), "keep": "3", "retire": "hide"}
    values["hours"] = _hours(settings.default_interval_seconds)
    return _form(request, visitor, values)


@shown
async def create(request: Request, visitor: Visitor) -> Response:
    """`POST /page/schedules`: make a schedule; its first look is at once."""
    fields = await read_fields(request)
    try:
        check_proof(request, fields.pop(FORM_FIELD, ""))
        require_role(visitor.actor, "member")
        body = convert(_document(fields), ScheduleBody)
        await make(services_of(request), visitor.actor, body)
    except Failure as failure:
        return _form(request, visitor, fields, failure=failure)
    return see_other("/page/schedules")


@shown
async def detail(request: Request, visitor: Visitor) -> Response:
    """`GET /page/schedules/{id}`: one schedule, with the form that changes it."""
    schedule = await services_of(request).index.schedules.find(request.path_params["id"], visitor.actor)
    view = schedule_view(schedule)
    values = {name: str(view[name] or "") for name in LABELS if view.get(name) is not None}
    values |= {"hours": _hours(view["interval_seconds"]), "keep": str(view["keep"]), "notify_url": ""}
    return _form(request, visitor, values, view=view)


@shown
async def change(request: Request, visitor: Visitor) -> Response:
    """`POST /page/schedules/{id}`: change it as the form says; an empty webhook URL stays as it is."""
    services, schedule_id = services_of(request), request.path_params["id"]
    fields = await read_fields(request)
    try:
        check_proof(request, fields.pop(FORM_FIELD, ""))
        require_role(visitor.actor, "member")
        document = _document(fields)
        if fields.get("forget") == "yes":
            document |= {"notify_url": None, "notify_secret": None}
        await edit(services, visitor.actor, schedule_id, convert(document, SchedulePatch))
    except Failure as failure:
        view = schedule_view(await services.index.schedules.find(schedule_id, visitor.actor))
        return _form(request, visitor, fields, view=view, failure=failure)
    return see_other("/page/schedules")


@shown
async def look(request: Request, visitor: Visitor) -> Response:
    """`POST /page/schedules/{id}/run`: look for a newer image now."""
    await read_form(request)
    require_role(visitor.actor, "member")
    await check_now(services_of(request), visitor.actor, request.path_params["id"])
    return see_other("/page/schedules")


@shown
async def remove(request: Request, visitor: Visitor) -> Response:
    """`POST /page/schedules/{id}/delete`: keep it new no longer; its images stay."""
    await read_form(request)
    require_role(visitor.actor, "member")
    await services_of(request).index.schedules.remove(request.path_params["id"], visitor.actor)
    return see_other("/page/schedules")


def _can_change(visitor: Visitor) -> bool:
    return "member" in visitor.actor.roles or visitor.actor.is_admin


def _document(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what the API takes; what is not a number stays a text, and is refused there with its field."""
    document: dict[str, Any] = {}
    for name in ("catalogue", "name", "retire", "visibility", "convert_to", "notify_url", "notify_secret"):
        if text := text_of(fields, name):
            document[name] = text
    if text := text_of(fields, "keep"):
        document["keep"] = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    if text := text_of(fields, "hours"):
        document["interval_seconds"] = _seconds(text)
    return document


def _seconds(text: str) -> float | str:
    try:
        return float(text.replace(",", ".")) * HOUR_SECONDS
    except ValueError:
        return text


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR_SECONDS:g}"


def _form(
    request: Request,
    visitor: Visitor,
    values: Mapping[str, str],
    *,
    view: dict[str, Any] | None = None,
    failure: Failure | None = None,
) -> Response:
    """Show the form, with one mistake beside its field; secrets that were typed are not shown again."""
    settings = services_of(request).current.settings
    named = str(failure.public_fields().get("field") or "") if failure else ""
    field = FIELD_OF.get(named, named)
    words = _words(failure, field) if failure and field in LABELS else ""
    kept = {name: text for name, text in values.items() if not name.startswith("notify_")}
    return page(
        "schedule.html",
        visitor,
        status=status_of(failure) if failure else 200,
        schedule=view,
        values={**dict.fromkeys(LABELS, ""), **kept},
        labels=LABELS,
        retire=RETIRE,
        formats=settings.convert.offered,
        can_notify=settings.notify.per_import,
        can_change=_can_change(visitor),
        wrong={**dict.fromkeys(LABELS, ""), **({field: words} if words else {})},
        failure=None
        if failure is None or words
        else {"words": str(failure.public()), "advice": advice_of(failure)},
    )


def _words(failure: Failure, field: str) -> str:
    """Return a mistake as a person reads it: by its label, with an example."""
    bounds = {
        "keep": "must be a whole number, such as 3; 0 keeps all",
        "hours": "must be a number of hours that the operator allows, such as 24",
        "catalogue": "must be a name without a serial, such as ubuntu:26.04",
    }
    if isinstance(failure, Forbidden) or field not in bounds:
        return str(failure.public())
    return f"{LABELS[field]} {bounds[field]}."
