"""Whom an image may be sent to: hosts that the operator named, and nobody while none is named."""

from fetcher.config import Settings
from fetcher.errors import ReceiverForbidden
from fetcher.guards.base import Limit
from fetcher.guards.request.host_names import is_named
from fetcher.guards.request.url import CheckedUrl, check_url
from fetcher.guards.spec import GuardSpec


def check_receiver(raw: str, settings: Settings) -> CheckedUrl:
    """Refuse a receiver that the operator did not allow; sending out is how images are stolen.

    Raises:
        InvalidUrl: The URL can never be reached.
        ReceiverForbidden: Its host is none of `exports.receivers`.
    """
    receivers = settings.exports.receivers
    if not receivers:
        raise ReceiverForbidden(reason="nothing may be sent from here")
    checked = check_url(raw, settings)
    if not is_named(checked.host, receivers):
        raise ReceiverForbidden(reason=f"images may not be sent to {checked.host}")
    return checked


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.exports
    return (
        Limit(
            name="export_receivers",
            type="array",
            value=rules.receivers,
            description="Hosts that images may be sent to; none: images are not sent from here.",
            guard="exports",
        ),
        Limit(
            name="export_role",
            type="string",
            value=rules.role,
            description="The role that may send images.",
            guard="exports",
        ),
        Limit(
            name="export_max_bytes_per_day",
            type="integer",
            value=rules.max_bytes_per_day,
            description="Bytes that one project may send within 24 hours.",
            guard="exports",
        ),
        Limit(
            name="export_attempts",
            type="integer",
            value=rules.attempts,
            description="How often a receiver is tried.",
            guard="exports",
        ),
        Limit(
            name="export_seconds",
            type="number",
            value=rules.total_seconds,
            description="How long one attempt may take.",
            guard="exports",
        ),
    )


GUARD = GuardSpec(
    name="exports",
    title="Sending images",
    sections=("exports",),
    limits=limits,
    checks=(check_receiver,),
    keys=("role", "max_bytes_per_day", "attempts", "total_seconds"),
)
