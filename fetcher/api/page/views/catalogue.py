"""Pages on catalogues: find an image by its name, import it, keep it new."""

from datetime import date, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import own_token, require_role
from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor, read_form, text_of, with_token
from fetcher.api.page.shown import see_other, shown
from fetcher.api.page.views.lists import read_list
from fetcher.api.services import services_of
from fetcher.api.submit.catalogue import CatalogueImage, image_view
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.errors import InvalidRequest
from fetcher.parsers.catalogues import Entry, has_ended, normal_arch

AGES = {"30": "the last 30 days", "90": "the last 90 days", "365": "the last year"}
SUPPORT = {"supported": "supported", "ended": "ended"}
ORDERS = ("name", "released", "size")
MAX_WORDS = 8
MAX_VERSION = 64


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One image of the list."""

    catalogue: str
    image: CatalogueImage


@shown
async def listing(request: Request, visitor: Visitor) -> Response:
    """`GET /page/catalogue`: search by words, architecture, version, age and end of life."""
    services = services_of(request)
    states = await services.catalogues.states()
    arches = sorted({entry.arch for state in states for entry in state.whole.entries})
    version = request.query_params.get("version", "").strip()
    if len(version) > MAX_VERSION:
        raise InvalidRequest(field="version", reason=f"Version is at most {MAX_VERSION} characters long")
    asked = read_list(
        request,
        orders=ORDERS,
        default="released",
        filters={"arch": arches, "age": tuple(AGES), "support": tuple(SUPPORT), "version": (version,)},
        limit=services.current.settings.server.page_items,
    )
    arch = asked.filters.get("arch")
    found = await services.catalogues.search(
        asked.text.split()[:MAX_WORDS], normal_arch(arch) if arch else None
    )
    today = date.today()  # noqa: DTZ011 - a publisher's day has no zone
    fit = [(name, entry) for name, entry in found if _fits(entry, asked.filters, today)]
    fit.sort(key=lambda one: _order(one[1], asked.order), reverse=asked.is_descending)
    begin = (asked.number - 1) * asked.limit
    return page(
        "catalogue.html",
        visitor,
        rows=[
            Row(catalogue=name, image=image_view(name, entry)) for name, entry in fit[begin:][: asked.limit]
        ],
        total=len(fit),
        asked=asked,
        arches=arches,
        ages=AGES,
        states=states,
        can_import="member" in visitor.actor.roles or visitor.actor.is_admin,
    )


def _fits(entry: Entry, filters: dict[str, str], today: date) -> bool:
    if "version" in filters and filters["version"].lower() not in {entry.version.lower(), *entry.names}:
        return False
    if "support" in filters and has_ended(entry, today) != (filters["support"] == "ended"):
        return False
    if "age" in filters:
        since = today - timedelta(days=int(filters["age"]))
        return entry.released is not None and entry.released >= since
    return True


def _order(entry: Entry, order: str) -> tuple[object, ...]:
    if order == "released":
        return (entry.released or date.min, entry.name)
    return (entry.size or 0, entry.name) if order == "size" else (entry.name, entry.order)


@shown
async def take(request: Request, visitor: Visitor) -> Response:
    """`POST /page/catalogue/import`: import the image, then show the import."""
    services = services_of(request)
    form = await read_form(request)
    require_role(visitor.actor, "member")
    body = SubmitBody(catalogue=text_of(form, "image") or "")
    submission = await body.resolved(visitor.actor, services.current.settings, services.catalogues)
    record = await services.importer.submit(
        visitor.actor,
        submission,
        request_id=request.scope.get("request_id"),
        token=own_token(with_token(request)),
    )
    return see_other(f"/page/imports/{record.id}")
