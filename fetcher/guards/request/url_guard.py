"""The guard on URLs: its limits, and what it asks of a submission."""

from fetcher.config import Settings
from fetcher.guards.base import Limit
from fetcher.guards.request.url import CheckedUrls, allowed_ports, check_url
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission


def check_submitted(submission: Submission, urls: CheckedUrls) -> None:
    """Refuse a submission whose URL could never be fetched.

    Raises:
        InvalidUrl: With the rule broken.
    """
    if submission.remote is None:  # Else operator and other service answer for it.
        urls.check(submission.url)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.url
    return (
        Limit(
            name="url_schemes",
            type="array",
            value=list(rules.schemes),
            description="The schemes that a URL may have.",
            guard="url",
        ),
        Limit(
            name="url_ports",
            type="array",
            value=sorted(allowed_ports(settings)),
            description="The ports that a URL may name; other ports are other services'.",
            guard="url",
        ),
        Limit(
            name="max_url_bytes",
            type="integer",
            value=rules.max_url_bytes,
            description="The longest URL that is taken, in bytes.",
            guard="url",
        ),
        Limit(
            name="url_literals_allowed",
            type="boolean",
            value=rules.allow_literals,
            description="Whether an address may stand in place of a host name.",
            guard="url",
        ),
    )


GUARD = GuardSpec(
    name="url",
    title="URLs",
    sections=("url",),
    limits=limits,
    check_urls=check_submitted,
    checks=(check_url,),
)
