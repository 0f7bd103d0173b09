"""The guard of webhook receivers, and the signature of notifications."""

import base64
import binascii
import hashlib
import hmac

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.request.url import check_url
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission

LEAST_SECRET = 16
PREFIX = "whsec_"


def check_notify(submission: Submission, settings: Settings) -> None:
    """Refuse a receiver that could never be notified.

    Raises:
        InvalidRequest: The operator has switched it off, or the secret is none.
        InvalidUrl: The receiver's URL can never be reached.
    """
    if submission.notify_url is None:
        if submission.notify_secret is not None:
            raise InvalidRequest(
                field="notify_secret", reason="a notify_secret is of no use without notify_url"
            )
        return
    if not settings.notify.per_import:
        reason = "the operator has switched off notify_url; follow the import instead"
        raise InvalidRequest(field="notify_url", reason=reason)
    check_url(submission.notify_url, settings)
    if submission.notify_secret is not None:
        try:
            signing_key(submission.notify_secret)
        except ValueError as error:
            raise InvalidRequest(field="notify_secret", reason=str(error)) from error


def signing_key(secret: str) -> bytes:
    """Read a secret: `whsec_` and base64, or any text that is long enough.

    Raises:
        ValueError: It is neither; the words hold nothing of it.

    Source: Standard Webhooks, "Signature scheme".
    """
    try:
        key = secret.encode("ascii")
        if secret.startswith(PREFIX):
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError(f"the secret is neither ASCII nor {PREFIX} and base64") from error
    if len(key) < LEAST_SECRET:
        raise ValueError(f"the secret has fewer than {LEAST_SECRET} bytes")
    return key


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a message, so that its receiver knows who sent it, when, and that it is whole.

    Args:
        timestamp: Seconds since 1970; a receiver refuses old ones, so that nobody can replay them.

    Source: Standard Webhooks, "Signature scheme"; RFC 2104.
    """
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    digest = hmac.new(signing_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.notify
    return (
        Limit(
            name="notify_url_allowed",
            type="boolean",
            value=rules.per_import,
            description="Whether a submission may name a URL that is notified when the import has ended.",
            guard="notify",
        ),
        Limit(
            name="notify_attempts",
            type="integer",
            value=rules.attempts,
            description="How often the notification of an import's end is tried.",
            guard="notify",
        ),
        Limit(
            name="notify_seconds",
            type="number",
            value=rules.total_seconds,
            description="How long a receiver may take to answer.",
            guard="notify",
        ),
    )


GUARD = GuardSpec(
    name="notify",
    title="Telling others",
    sections=("notify",),
    limits=limits,
    check_submission=check_notify,
    fields=("notify_url", "notify_secret"),
    keys=("attempts", "total_seconds"),
)
