"""Images that are kept new: one schedule for each name."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.submit.body import read_json
from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.guards.text import check_text
from fetcher.ids import new_id
from fetcher.index.values import Schedule, ScheduleRules
from fetcher.model import Actor, Visibility, is_property
from fetcher.parsers.catalogues import parse_name

Text = Annotated[str, Meta(min_length=1, max_length=255)]


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /schedules` takes.

    Args:
        catalogue: The name that is asked for; without a serial, which never changes.
        name: What the newest image is called, always.
        keep: How many images stay, the newest among them; 0 keeps all.
        retire: Whether lists hide the older ones.
    """

    catalogue: Annotated[str, Meta(min_length=1, max_length=512)]
    name: Text
    keep: Annotated[int, Meta(ge=0)] = 3
    retire: Literal["hide", "show"] = "hide"
    interval_seconds: float | None = None
    visibility: Visibility = "private"
    convert_to: Literal["as-received", "raw", "qcow2"] | None = None
    properties: Annotated[dict[Text, Annotated[str, Meta(max_length=65535)]], Meta(max_length=64)] = {}

    def rules(self, actor: Actor, settings: Settings) -> ScheduleRules:
        """Check what the types cannot say.

        Raises:
            InvalidRequest: A field is out of its bounds.
            QuotaExceeded: There is more text than a record may hold.
            Forbidden: Only an admin may make an image public.
        """
        caps = settings.schedules
        seconds = caps.default_interval_seconds if self.interval_seconds is None else self.interval_seconds
        if not caps.min_interval_seconds <= seconds <= 31_536_000:
            reason = f"interval_seconds is from {caps.min_interval_seconds:,.0f} to 31,536,000"
            raise InvalidRequest(field="interval_seconds", reason=reason)
        if self.keep > caps.max_keep:
            raise InvalidRequest(field="keep", reason=f"keep is at most {caps.max_keep}")
        if parse_name(self.catalogue).serial is not None:
            raise InvalidRequest(field="catalogue", reason="a name with a serial is never newer")
        for name in self.properties:
            if not is_property(name):
                raise InvalidRequest(
                    field=f"properties.{name}", reason=f"the property name {name} is reserved"
                )
        if self.visibility == "public" and not actor.is_admin:
            raise Forbidden(reason="only an admin may make an image public")
        check_text(self.name, set(), self.properties, settings)
        given = {name: getattr(self, name) for name in ("catalogue", "name", "keep", "retire")}
        more = {name: getattr(self, name) for name in ("visibility", "convert_to", "properties")}
        return ScheduleRules(**given, **more, interval_seconds=seconds)


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


class SchedulesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The schedules of a project."""

    schedules: list[ScheduleAnswer]


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """Show one schedule."""
    rules, progress = schedule.rules, schedule.progress
    end = progress.end_of_life
    is_over = end is not None and end < date.today()  # noqa: DTZ011 - a publisher's day has no zone
    warning = f"The publisher looked after it until {end}; choose a newer version." if is_over else None
    shown: dict[str, Any] = msgspec.to_builtins(
        ScheduleAnswer(
            id=schedule.id,
            **{name: getattr(rules, name) for name in ("catalogue", "name", "keep", "retire", "visibility")},
            interval_seconds=rules.interval_seconds,
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
    settings = services.settings()
    rules = (await read_json(request, ScheduleBody)).rules(actor, settings)
    now = datetime.now(UTC)
    schedule = Schedule(
        id=new_id(),
        project_id=actor.project_id,
        user_id=actor.user_id,
        rules=rules,
        next_at=now,
        created_at=now,
    )
    await services.index.schedules.create(schedule, most=settings.schedules.max_per_project)
    services.keeper.wake()
    headers = {"Location": f"{base_url(request)}/schedules/{schedule.id}"}
    return JsonAnswer(schedule_view(schedule), 201, headers)


async def listing(request: Request) -> Response:
    """`GET /schedules`: which images are kept new, and how the last look ended."""
    services = services_of(request)
    actor = await services.identify(request)
    found = await services.index.schedules.page(actor)
    document = {"schedules": [schedule_view(one) for one in found]}
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
    schedule = await services.index.schedules.find(request.path_params["id"], actor)
    now = datetime.now(UTC)
    await services.index.schedules.note(schedule.id, schedule.progress, now)
    services.keeper.wake()
    return JsonAnswer(schedule_view(msgspec.structs.replace(schedule, next_at=now)), 202)


routes = [
    Route("/schedules", listing, methods=["GET"]),
    Route("/schedules", create, methods=["POST"]),
    Route("/schedules/{id}", show, methods=["GET"]),
    Route("/schedules/{id}", remove, methods=["DELETE"]),
    Route("/schedules/{id}/run", look, methods=["POST"]),
]
