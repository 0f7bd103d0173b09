"""Images that are kept new: one schedule for each name."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.body import read_json
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import Services, services_of
from fetcher.api.submit.imports import page_limit
from fetcher.api.submit.schedule_body import MERGE_PATCH, RULES, ScheduleBody, SchedulePatch
from fetcher.guards.request.redaction import redact_url
from fetcher.ids import new_id
from fetcher.index.values import Schedule
from fetcher.model import Actor


class ScheduleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One image that is kept new.

    Args:
        serial: Of the newest image.
        code: How the last look ended: `ok`, `unchanged`, `running`, or the code of a failure.
        warning: What its owner should look at.
    """

    id: str
    catalogue: str
    name: str
    keep: int
    retire: str
    interval_seconds: float
    visibility: str
    serial: str | None
    image_id: str | None
    import_id: str | None
    code: str | None
    detail: str
    warning: str | None
    end_of_life: date | None
    checked_at: datetime | None
    changed_at: datetime | None
    next_at: datetime
    created_at: datetime
    convert_to: str | None
    properties: dict[str, str]
    notify_url: str | None


class SchedulesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Some schedules of a project, the oldest first."""

    schedules: list[ScheduleAnswer]
    next: str = ""


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """Show one schedule."""
    rules, progress, receiver = schedule.rules, schedule.progress, schedule.receiver
    end = progress.end_of_life
    is_over = end is not None and end < date.today()  # noqa: DTZ011 - a publisher's day has no zone
    warning = f"The publisher looked after it until {end}; choose a newer version." if is_over else None
    shown: dict[str, Any] = msgspec.to_builtins(
        ScheduleAnswer(
            id=schedule.id,
            **{name: getattr(rules, name) for name in RULES},
            notify_url=redact_url(receiver.url) if receiver and receiver.url else None,
            **{
                name: getattr(progress, name)
                for name in ("serial", "image_id", "import_id", "code", "detail")
            },
            warning=warning,
            end_of_life=end,
            checked_at=progress.checked_at,
            changed_at=progress.changed_at,
            next_at=schedule.next_at,
            created_at=schedule.created_at,
        )
    )
    return shown


async def create(request: Request) -> Response:
    """`POST /schedules`: keep an image new; the first look is at once."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    schedule = await make(services, actor, await read_json(request, ScheduleBody))
    headers = {"Location": f"{base_url(request)}/schedules/{schedule.id}"}
    return JsonAnswer(schedule_view(schedule), 201, headers)


async def make(services: Services, actor: Actor, body: ScheduleBody) -> Schedule:
    """Check a new schedule and write it down; its first look is at once.

    Raises:
        InvalidRequest, InvalidUrl, QuotaExceeded, Forbidden: It cannot be taken.
        Conflict: The project has as many as it may.
    """
    settings, now = services.current.settings, datetime.now(UTC)
    schedule = Schedule(
        id=new_id(),
        project_id=actor.project_id,
        user_id=actor.user_id,
        rules=body.rules(actor, settings),
        receiver=body.receiver(settings),
        next_at=now,
        created_at=now,
    )
    await services.index.schedules.create(schedule, most=settings.schedules.max_per_project)
    services.keeper.wake()
    return schedule


async def change(request: Request) -> Response:
    """`PATCH /schedules/{id}`: change some of its rules, as a merge patch; the rest stays as it is."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    patch = await read_json(request, SchedulePatch, accepted=("application/json", MERGE_PATCH))
    edited = await edit(services, actor, request.path_params["id"], patch)
    return JsonAnswer(schedule_view(edited), headers={"Cache-Control": "no-store"})


async def edit(services: Services, actor: Actor, schedule_id: str, patch: SchedulePatch) -> Schedule:
    """Change a schedule; raises what `SchedulePatch.applied` does, and UnknownSchedule."""
    settings = services.current.settings
    edited = await services.index.schedules.edit(
        schedule_id, actor, lambda before: patch.applied(before, actor, settings)
    )
    services.keeper.wake()
    return edited


async def listing(request: Request) -> Response:
    """`GET /schedules`: which images are kept new, and how the last look ended; a page at a time."""
    services = services_of(request)
    actor = await services.identify(request)
    rules, query = services.current.settings.server, request.query_params
    limit = page_limit(query.get("limit", str(rules.max_page_items)), services.current.settings)
    found = await services.index.schedules.page(
        actor, limit=limit, marker=query.get("marker"), max_bytes=rules.max_answer_bytes
    )
    document: dict[str, Any] = {"schedules": [schedule_view(one) for one in found]}
    if found.has_more:
        document["next"] = f"{base_url(request)}/schedules?limit={limit}&marker={found[-1].id}"
    return JsonAnswer(document, headers={"Cache-Control": "no-store"})


async def show(request: Request) -> Response:
    """`GET /schedules/{id}`: one schedule."""
    services = services_of(request)
    actor = await services.identify(request)
    schedule = await services.index.schedules.find(request.path_params["id"], actor)
    return JsonAnswer(schedule_view(schedule), headers={"Cache-Control": "no-store"})


async def remove(request: Request) -> Response:
    """`DELETE /schedules/{id}`: keep it new no longer; its images stay."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    await services.index.schedules.remove(request.path_params["id"], actor)
    return Response(status_code=204)


async def look(request: Request) -> Response:
    """`POST /schedules/{id}/run`: look for a newer image now."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    return JsonAnswer(schedule_view(await check_now(services, actor, request.path_params["id"])), 202)


async def check_now(services: Services, actor: Actor, schedule_id: str) -> Schedule:
    """Have a schedule look at once.

    Raises:
        UnknownSchedule: There is none, or it is another project's.
    """
    now = datetime.now(UTC)
    schedule = await services.index.schedules.edit(
        schedule_id, actor, lambda before: msgspec.structs.replace(before, next_at=now)
    )
    services.keeper.wake()
    return schedule


routes = [
    Route("/schedules", listing, methods=["GET"]),
    Route("/schedules", create, methods=["POST"]),
    Route("/schedules/{id}", show, methods=["GET"]),
    Route("/schedules/{id}", change, methods=["PATCH"]),
    Route("/schedules/{id}", remove, methods=["DELETE"]),
    Route("/schedules/{id}/run", look, methods=["POST"]),
]
