"""The lifetime of a link to an image, where the operator wants any."""

from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec


def check_link(seconds: float, settings: Settings) -> None:
    """Refuse a link that the operator does not want.

    Raises:
        Forbidden: There are no links here.
        InvalidRequest: It would live for too long, or not at all.
    """
    rules = settings.links
    if not rules.enabled:
        raise Forbidden(reason="the operator has switched off links to images")
    if not 1 <= seconds <= rules.max_seconds:
        reason = f"seconds is from 1 to {rules.max_seconds:,.0f}"
        raise InvalidRequest(field="seconds", reason=reason)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.links
    return (
        Limit(
            name="links_enabled",
            type="boolean",
            value=rules.enabled,
            description="Whether signed links to images can be made, with which anybody may fetch them.",
            guard="links",
        ),
        Limit(
            name="link_max_seconds",
            type="number",
            value=rules.max_seconds,
            description="How long a signed link may live.",
            guard="links",
        ),
    )


GUARD = GuardSpec(
    name="links",
    title="Links to images",
    sections=("links",),
    limits=limits,
    checks=(check_link,),
    keys=("max_seconds",),
)
