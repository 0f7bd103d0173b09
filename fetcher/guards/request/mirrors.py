"""Further URLs of the same bytes that a submission may name."""

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.request.url import CheckedUrls
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission


def check_mirrors(submission: Submission, urls: CheckedUrls) -> None:
    """Refuse too many mirrors, and any that could not be submitted by itself.

    Raises:
        InvalidRequest: There are too many.
        InvalidUrl: One of them can never be fetched.
    """
    if submission.remote is not None:  # There are none.
        return
    most = urls.settings.url.max_mirrors
    if len(submission.mirrors) > most:
        raise InvalidRequest(field="mirrors", reason=f"at most {most} mirrors are taken")
    for mirror in submission.mirrors:
        urls.check(mirror)


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
    check_urls=check_mirrors,
    fields=("mirrors",),
)
