"""Whom an image may be sent to: hosts that the operator named, and nobody while none is named."""

from fetcher.config import Settings
from fetcher.errors import Conflict, ReceiverForbidden
from fetcher.guards.base import Limit, limits_of
from fetcher.guards.request.host_names import is_named
from fetcher.guards.request.url import CheckedUrl, check_url
from fetcher.guards.spec import GuardSpec
from fetcher.model import Image, Status

# Of images whose bytes are of no use without a key that a key manager has.
ENCRYPTED = ("os_encrypt_key_id", "os_encrypt_format", "cinder_encryption_key_id")


def check_any(settings: Settings) -> None:
    """Refuse everything while the operator allows no receiver.

    Raises:
        ReceiverForbidden: There is none.
    """
    if not settings.exports.receivers:
        raise ReceiverForbidden(reason="nothing may be sent from here")


def check_receiver(raw: str, settings: Settings) -> CheckedUrl:
    """Refuse a receiver that the operator did not allow; sending out is how images are stolen.

    Raises:
        InvalidUrl: The URL can never be reached.
        ReceiverForbidden: Its host is none of `exports.receivers`.
    """
    check_any(settings)
    checked = check_url(raw, settings)
    if not is_named(checked.host, settings.exports.receivers):
        raise ReceiverForbidden(reason=f"images may not be sent to {checked.host}")
    return checked


def check_kind(kind: str, settings: Settings) -> None:
    """Refuse a way of sending that the operator did not allow.

    Raises:
        ReceiverForbidden: It is none of `exports.kinds`.
    """
    if kind not in settings.exports.kinds:
        raise ReceiverForbidden(reason=f"the way {kind} is switched off here")


def check_sendable(image: Image) -> None:
    """Refuse an image that nobody could use elsewhere, or that may not be used at all.

    Raises:
        Conflict: It is not active, or its bytes are encrypted with a key that does not go along.
    """
    if image.status is not Status.ACTIVE or image.address is None or image.size is None:
        reason = f"the image is {image.status.value}; only an active one can be sent"
        raise Conflict(reason=reason)
    found = next((name for name in ENCRYPTED if name in image.properties), None)
    if found is not None:
        raise Conflict(reason=f"the image is encrypted ({found}), and its key does not go along")


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.exports
    return limits_of(
        "exports",
        (
            "export_receivers",
            "array",
            rules.receivers,
            "Hosts that images may be sent to; none: images are not sent from here.",
        ),
        (
            "export_kinds",
            "array",
            list(rules.kinds) if rules.receivers else [],
            "The kinds of receivers that images may be sent to.",
        ),
        (
            "export_part_bytes",
            "integer",
            rules.part_bytes,
            "The size of a part of images that are sent in parts.",
        ),
        (
            "export_parts_at_once",
            "integer",
            rules.parts_at_once,
            "Parts of one image that are sent at the same time, to buckets and to signed URLs.",
        ),
        ("export_role", "string", rules.role, "The role that may send images."),
        (
            "export_max_per_minute",
            "integer",
            rules.max_submits_per_minute,
            "Exports that one project may submit within a minute.",
        ),
        (
            "export_max_bytes_per_day",
            "integer",
            rules.max_bytes_per_day,
            "Bytes that one project may send within 24 hours.",
        ),
        (
            "export_max_per_day",
            "integer",
            rules.max_per_day,
            "Exports that one project may make within 24 hours, whatever becomes of them.",
        ),
        ("export_attempts", "integer", rules.attempts, "How often a receiver is tried."),
        ("export_seconds", "number", rules.total_seconds, "How long one attempt may take."),
    )


GUARD = GuardSpec(
    name="exports",
    title="Sending images",
    sections=("exports",),
    limits=limits,
    checks=(check_any, check_receiver, check_kind, check_sendable),
    keys=(
        "role",
        "max_submits_per_minute",
        "max_bytes_per_day",
        "max_per_day",
        "attempts",
        "total_seconds",
        "part_bytes",
        "parts_at_once",
    ),
)
