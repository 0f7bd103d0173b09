"""Every source scheme; a new one is a file and a line here."""

import asyncio

import msgspec

from fetcher.config import Settings
from fetcher.errors import Failure, InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.request.url import CheckedUrl, CheckedUrls
from fetcher.importer.download.retry_policy import wait_seconds
from fetcher.importer.schemes import oci, s3, web
from fetcher.importer.schemes.pasted import stripped, without_credentials
from fetcher.importer.schemes.scheme import Asked, SourceScheme, Way
from fetcher.model import Submission

SCHEMES: list[SourceScheme] = [web.SCHEME, s3.SCHEME, oci.SCHEME]
DEFAULT = web.SCHEME  # Says itself what is wrong with a URL that has no scheme, or an unknown one.


def scheme_of(url: str) -> SourceScheme:
    """Return the scheme of a URL."""
    name = url.partition("://")[0].lower()
    for scheme in SCHEMES:  # No generator: each submission asks four times.
        if name in scheme.names:
            return scheme
    return DEFAULT


def is_elsewhere(url: str) -> bool:
    """Return whether a URL is of a scheme of its own, not of HTTP."""
    return scheme_of(url) is not DEFAULT


def take(submission: Submission, urls: CheckedUrls) -> tuple[Submission, Submission]:
    """Make of a submission what is asked for.

    Args:
        urls: Judges those that have to be compared by where they lead.

    Returns:
        The submission as it is recorded, its credentials among the secrets, and as it is asked for: with
        URLs of http and https alone.

    Raises:
        Failure: It can never be fetched.
    """
    scheme = scheme_of(stripped(submission.url))
    for other in SCHEMES:
        for name in other.own_fields if other is not scheme else ():
            if getattr(submission, name) is not None:
                raise InvalidRequest(field=name, reason=f"{name} is of no use without a URL {other.form}")
    located = scheme.take(submission, urls)
    if scheme is DEFAULT:
        return located, located
    recorded = msgspec.structs.replace(
        located,
        url=without_credentials(submission.url),
        mirrors=submission.mirrors,
        checksum_url=submission.checksum_url,
        checksum_signature_url=submission.checksum_signature_url,
    )
    return recorded, located


def check_source(url: str, settings: Settings) -> CheckedUrl:
    """Refuse a URL that could never be fetched; return what would be asked first.

    Raises:
        Failure: With the rule broken.
    """
    urls = CheckedUrls(settings)
    return urls.check(take(Submission(url=url, max_bytes=1), urls)[1].url)


async def find_way(asked: Asked) -> Way:
    """Find out where the bytes are; what passes with time is asked again, as often as a source is.

    Raises:
        Failure: They are not to be had.
    """
    number = 0
    while True:
        number += 1
        try:
            return await scheme_of(asked.submission.url).find(asked)
        except Failure as failure:
            retry = asked.settings.retry
            if number >= retry.attempts or not failure.public().is_retryable():
                raise
            await asyncio.sleep(wait_seconds(failure, number, retry))


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish which schemes a submission's URL may have."""
    names = [name for scheme in SCHEMES if scheme.is_enabled(settings) for name in scheme.names]
    allowed = [name for name in names if name not in DEFAULT.names or name in settings.url.schemes]
    forms = ", ".join(scheme.form for scheme in SCHEMES if scheme.is_enabled(settings))
    return (
        Limit(
            name="source_schemes",
            type="array",
            value=allowed,
            description=f"What the URL of a submission may begin with: {forms}.",
            guard="url",
        ),
    )
