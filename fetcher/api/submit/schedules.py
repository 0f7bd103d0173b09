"""Images that are kept new: one schedule for each name."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.body import read_json
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import Services, services_of
from fetcher.config import Settings
from fetcher.errors import Conflict, Forbidden, InvalidRequest
from fetcher.guards.request.notify import check_notify
from fetcher.guards.request.redaction import redact_url
from fetcher.guards.text import check_text
from fetcher.ids import new_id
from fetcher.index.values import Schedule, ScheduleProgress, ScheduleRules, WebhookTarget
from fetcher.model import Actor, Submission, Visibility, is_property
from fetcher.parsers.catalogues import parse_name

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
Keep = Annotated[int, Meta(ge=0)]
Retire = Literal["hide", "show"]
Format = Literal["as-received", "raw", "qcow2"]
Properties = Annotated[dict[Text, Annotated[str, Meta(max_length=65535)]], Meta(max_length=64)]
Secret = Annotated[str, Meta(max_length=1024, extra_json_schema={"writeOnly": True})]
Url = Annotated[str, Meta(max_length=8192, extra_json_schema={"writeOnly": True})]
MERGE_PATCH = "application/merge-patch+json"
RULES = (
    *("catalogue", "name", "keep", "retire", "visibility", "convert_to", "properties"),
    "interval_seconds",
)


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /schedules`.

    Args:
        catalogue: The name that is asked for; without a serial, which never changes.
        name: What the newest image is called, always.
        keep: How many images stay, the newest among them; 0 keeps all.
        retire: Whether lists hide the older ones.
        notify_url: Told of the end of each import; kept for as long as the schedule.
    """

    catalogue: Name
    name: Text
    keep: Keep = 3
    retire: Retire = "hide"
    interval_seconds: float | None = None
    visibility: Visibility = "private"
    convert_to: Format | None = None
    properties: Properties = {}
    notify_url: Url | None = None
    notify_secret: Secret | None = None

    def receiver(self, settings: Settings) -> WebhookTarget | None:
        """Check who is to be told.

        Raises:
            InvalidRequest: The operator allows no receivers, or the secret is none.
            InvalidUrl: The receiver can never be reached.
        """
        told = Submission(url="", max_bytes=1, notify_url=self.notify_url, notify_secret=self.notify_secret)
        check_notify(told, settings)
        return WebhookTarget(url=self.notify_url, secret=self.notify_secret) if self.notify_url else None

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
        given = {name: getattr(self, name) for name in RULES}
        return ScheduleRules(**{**given, "interval_seconds": seconds})


class SchedulePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `PATCH /schedules/{id}`: what is left out stays as it is (RFC 7396)."""

    catalogue: Name | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    keep: Keep | UnsetType = UNSET
    retire: Retire | UnsetType = UNSET
    interval_seconds: float | UnsetType | None = UNSET
    visibility: Visibility | UnsetType = UNSET
    convert_to: Format | UnsetType | None = UNSET
    properties: Properties | UnsetType = UNSET
    notify_url: Url | UnsetType | None = UNSET
    notify_secret: Secret | UnsetType | None = UNSET

    def applied(self, before: Schedule, actor: Actor, settings: Settings) -> Schedule:
        """Return the schedule with the changes, as checked as a new one.

        Raises:
            Conflict: Another image is asked for while an import of the one before runs.
            InvalidRequest, InvalidUrl, QuotaExceeded, Forbidden: As for a new one.
        """
        old = {name: getattr(before.rules, name) for name in RULES}
        told = before.receiver or WebhookTarget()
        old |= {"notify_url": told.url, "notify_secret": told.secret}
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        given = {name: value for name, value in given.items() if value is not UNSET}
        if "notify_url" in given and "notify_secret" not in given:
            old["notify_secret"] = None  # It was agreed on with the receiver before.
        body = ScheduleBody(**{**old, **given})
        rules = body.rules(actor, settings)
        after = msgspec.structs.replace(before, rules=rules, receiver=body.receiver(settings))
        if rules.catalogue == before.rules.catalogue:
            return after
        if before.progress.import_id is not None:
            raise Conflict(reason="an import of this schedule runs; ask for another image when it has ended")
        return msgspec.structs.replace(
            after, progress=ScheduleProgress(tries=before.progress.tries + 1), next_at=datetime.now(UTC)
        )


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
    """The schedules of a project."""

    schedules: list[ScheduleAnswer]


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """Show one schedule."""
    rules, progress, told = schedule.rules, schedule.progress, schedule.receiver
    end = progress.end_of_life
    is_over = end is not None and end < date.today()  # noqa: DTZ011 - a publisher's day has no zone
    warning = f"The publisher looked after it until {end}; choose a newer version." if is_over else None
    shown: dict[str, Any] = msgspec.to_builtins(
        ScheduleAnswer(
            id=schedule.id,
            **{name: getattr(rules, name) for name in RULES},
            notify_url=redact_url(told.url) if told and told.url else None,
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
    settings, now = services.settings(), datetime.now(UTC)
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
    settings = services.settings()
    edited = await services.index.schedules.edit(
        schedule_id, actor, lambda before: patch.applied(before, actor, settings)
    )
    services.keeper.wake()
    return edited


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
    return JsonAnswer(schedule_view(await hurry(services, actor, request.path_params["id"])), 202)


async def hurry(services: Services, actor: Actor, schedule_id: str) -> Schedule:
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
