"""Pages on imports: the live list, and the story of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.page.render import HEADERS, fragment, page
from fetcher.api.page.session import Visitor, read_choice, read_form
from fetcher.api.page.shown import see_other, shown
from fetcher.api.page.views import chart
from fetcher.api.page.views.lists import read_list
from fetcher.api.page.views.timeline import steps_of
from fetcher.api.services import services_of
from fetcher.api.submit.imports import truths_of
from fetcher.api.submit.watch import Watch
from fetcher.errors import Conflict, InvalidRequest, NotFound
from fetcher.index.values import IMPORT_ORDERS
from fetcher.lifecycle import State
from fetcher.model import Import

LIST_SECONDS = 1.0
AGAIN_SECONDS = 5.0
DETAIL_SECONDS = 0.5
STATES = [state.value for state in State]


def _filters(request: Request) -> dict[str, str]:
    state = request.query_params.get("state", "")
    return {"state": state} if state in STATES else {}


@shown
async def listing(request: Request, visitor: Visitor) -> Response:
    """`GET /page/imports`: newest first; the first page moves by itself."""
    services = services_of(request)
    asked = read_list(
        request,
        orders=tuple(IMPORT_ORDERS),
        default="submitted",
        filters={"state": STATES},
        limit=services.current.settings.server.page_items,
    )
    found = await services.index.statistics.list_imports(visitor.actor, asked.query)
    return page(
        "imports.html",
        visitor,
        records=[services.importer.snapshot(record) for record in found.imports],
        found=found,
        states=STATES,
        asked=asked,
        query=urlencode(asked.filters),
        can_choose=True,
    )


@shown
async def listing_events(request: Request, visitor: Visitor) -> Response:
    """`GET /page/imports/events`: the first page of the list whenever it changes."""
    services, filters = services_of(request), _filters(request)
    most = request.query_params.get("most", "")
    shown_rows = int(most) if most.isascii() and most.isdigit() and len(most) < 4 else None

    async def stream() -> AsyncIterator[ServerSentEvent]:
        before, before_at = "", 0.0
        while True:
            limit = shown_rows or services.current.settings.server.page_items
            found = await services.index.imports.page(visitor.actor, filters, limit=limit)
            records = [services.importer.snapshot(record) for record in found]
            rows = fragment("_import_rows.html", records=records, can_choose=shown_rows is None)
            now = asyncio.get_running_loop().time()
            if rows != before or now - before_at >= AGAIN_SECONDS:  # The page may have passed one over.
                yield ServerSentEvent(rows, event="rows")
                before, before_at = rows, now
            await asyncio.sleep(LIST_SECONDS)

    return EventSourceResponse(stream(), headers=HEADERS)


async def _story(request: Request, visitor: Visitor, record: Import) -> dict[str, Any]:
    truth = (await truths_of(services_of(request), visitor.actor, [record])).get(record.id)
    is_known = truth is None or (record.verdict is not None and truth["code"] == record.verdict.code)
    watch: Watch = request.app.state.watch
    curve = watch.curve(record.id)
    return {
        "record": record,
        "truth": None if is_known else truth,
        "steps": steps_of(record, is_operator=visitor.actor.is_admin),
        "chart": chart.draw(curve.rates()) if curve else None,
    }


@shown
async def detail(request: Request, visitor: Visitor) -> Response:
    """`GET /page/imports/{id}`: the story of one import, while it happens and afterwards."""
    services = services_of(request)
    record = await services.importer.find(request.path_params["id"], visitor.actor)
    return page("import.html", visitor, **await _story(request, visitor, record))


@shown
async def detail_events(request: Request, visitor: Visitor) -> Response:
    """`GET /page/imports/{id}/events`: the story whenever it changes, until it has ended."""
    services, import_id = services_of(request), request.path_params["id"]
    await services.importer.find(import_id, visitor.actor)  # An unknown id is a page, not a broken stream.

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for record in services.importer.follow(import_id, visitor.actor, least_seconds=DETAIL_SECONDS):
            if record.state.is_final:
                yield ServerSentEvent(
                    fragment("_import_actions.html", visitor=visitor, record=record), event="actions"
                )
            story = await _story(request, visitor, record)
            text = fragment("_import_story.html", visitor=visitor, **story)
            yield ServerSentEvent(text, event="end" if record.state.is_final else "progress")

    return EventSourceResponse(stream(), headers=HEADERS)


@shown
async def cancel(request: Request, visitor: Visitor) -> Response:
    """`POST /page/imports/{id}/cancel`: end it; one that has ended meanwhile is simply shown."""
    await read_form(request)
    require_role(visitor.actor, "member")
    import_id = request.path_params["id"]
    with suppress(Conflict):
        await services_of(request).importer.cancel(import_id, visitor.actor)
    return see_other(f"/page/imports/{import_id}")


@shown
async def cancel_several(request: Request, visitor: Visitor) -> Response:
    """`POST /page/imports/bulk`: end all chosen imports; those that have ended stay as they are."""
    _, chosen = await read_choice(request, "import")
    require_role(visitor.actor, "member")
    if not chosen:
        raise InvalidRequest(field="import", reason="choose at least one import")
    for import_id in chosen:
        with suppress(Conflict):
            await services_of(request).importer.cancel(import_id, visitor.actor)
    return see_other("/page/imports")


@shown
async def image_events(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images/{id}/events`: how far the import of an image is, until it has ended."""
    services = services_of(request)
    found = await services.index.imports.page(visitor.actor, {"image_id": request.path_params["id"]}, limit=1)
    if not found:
        raise NotFound(what=request.url.path)

    async def stream() -> AsyncIterator[ServerSentEvent]:
        seconds = DETAIL_SECONDS
        async for record in services.importer.follow(found[0].id, visitor.actor, least_seconds=seconds):
            text = fragment("_image_progress.html", record=record)
            yield ServerSentEvent(text, event="end" if record.state.is_final else "progress")

    return EventSourceResponse(stream(), headers=HEADERS)
