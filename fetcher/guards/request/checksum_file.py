"""Checksum files that a submission may name, and their greatest size."""

from fetcher.config import Settings
from fetcher.errors import ChecksumFileUnusable, InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.request.publishers import in_force, sources_of
from fetcher.guards.request.url import CheckedUrls
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission


def check_checksum_file(submission: Submission, urls: CheckedUrls) -> None:
    """Refuse a checksum file that could never be fetched, and a signature that nobody could verify.

    Raises:
        InvalidUrl: With the rule broken.
        InvalidRequest: The signature belongs to nothing, or no key is trusted.
    """
    if submission.remote is not None:  # Operator and other service answer for it.
        return
    origin = None
    if submission.checksum_url is not None:
        origin = urls.check(submission.checksum_url).origin
    if submission.checksum_signature_url is None:
        return
    signature_origin = urls.check(submission.checksum_signature_url).origin
    if origin is None:
        reason = "checksum_signature_url is of no use without checksum_url"
    elif origin != signature_origin:
        reason = "a checksum file and its signature have to be at one origin"  # A connection counts for one.
    elif not in_force(sources_of(submission), urls.settings).sums.keys:
        reason = "the operator trusts no key, so no signature can be verified here"
    else:
        return
    raise InvalidRequest(field="checksum_signature_url", reason=reason)


def check_size(size: int, settings: Settings) -> None:
    """Refuse a checksum file of so many bytes, announced or received.

    Raises:
        ChecksumFileUnusable: It is too large.
    """
    if size > settings.sums.max_bytes:
        raise ChecksumFileUnusable(reason=f"it is larger than {settings.sums.max_bytes:,} bytes")


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    return (
        Limit(
            name="max_sums_bytes",
            type="integer",
            value=settings.sums.max_bytes,
            description="How large a checksum file may be.",
            guard="sums",
        ),
        Limit(
            name="max_sums_lines",
            type="integer",
            value=settings.sums.max_lines,
            description="How many lines a checksum file may have.",
            guard="sums",
        ),
        Limit(
            name="sums_seconds",
            type="number",
            value=settings.sums.total_seconds,
            description="For a checksum file as a whole.",
            guard="sums",
        ),
        Limit(
            name="sums_signature_required",
            type="boolean",
            value=settings.sums.require_signature,
            description="Whether only signed checksum files are taken.",
            guard="sums",
        ),
    )


GUARD = GuardSpec(
    name="sums",
    title="Checksum files",
    sections=("sums",),
    limits=limits,
    check_urls=check_checksum_file,
    fields=("checksum_url", "checksum_signature_url"),
    checks=(check_size,),
)
