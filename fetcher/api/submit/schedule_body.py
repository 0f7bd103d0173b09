"""The bodies that make a schedule and change one, and what is checked of them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fetcher.config import Settings
from fetcher.errors import Conflict, Forbidden, InvalidRequest
from fetcher.guards.request.notify import check_notify
from fetcher.guards.text import check_text
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
        notify_url: Notified of the end of each import; kept for as long as the schedule.
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
        """Check and return the receiver of notifications.

        Raises:
            InvalidRequest: The operator allows no receivers, or the secret is none.
            InvalidUrl: The receiver can never be reached.
        """
        asked = Submission(url="", max_bytes=1, notify_url=self.notify_url, notify_secret=self.notify_secret)
        check_notify(asked, settings)
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
        receiver = before.receiver or WebhookTarget()
        old |= {"notify_url": receiver.url, "notify_secret": receiver.secret}
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
