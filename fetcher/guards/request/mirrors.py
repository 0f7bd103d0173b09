"""Which further URLs of the same bytes a submission may name."""

from collections.abc import Sequence

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.request.url import check_url
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission


def check_mirrors(urls: Sequence[str], settings: Settings) -> None:
    """Refuse too many mirrors, and any that could not be submitted by itself.

    Raises:
        InvalidRequest: There are too many.
        InvalidUrl: One of them can never be fetched.
    """
    if len(urls) > settings.url.max_mirrors:
        reason = f"at most {settings.url.max_mirrors} mirrors are taken"
        raise InvalidRequest(field="mirrors", reason=reason)
    for url in urls:
        check_url(url, settings)


def check_submitted(submission: Submission, settings: Settings) -> None:
    """Refuse a submission whose mirrors are too many, or could never be fetched.

    Raises:
        InvalidRequest: There are too many.
        InvalidUrl: One of them can never be fetched.
    """
    if submission.remote is None:  # Else there are none.
        check_mirrors(submission.mirrors, settings)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    return (
        Limit(
            name="max_mirrors",
            type="integer",
            value=settings.url.max_mirrors,
            description="How many further URLs of the same bytes a submission may name.",
            guard="mirrors",
        ),
    )


GUARD = GuardSpec(
    name="mirrors",
    title="Mirrors",
    sections=("url",),
    limits=limits,
    check_submission=check_submitted,
)
