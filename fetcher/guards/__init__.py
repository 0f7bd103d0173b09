"""The guards of one import, in order, and what each publishes of its limits."""

from fetcher.config import Settings
from fetcher.guards.base import Limit
from fetcher.guards.network import address, redirects, response
from fetcher.guards.request import mirrors, notify, request_headers, url
from fetcher.guards.stream import checksum, pace, quota, size, stages
from fetcher.guards.stream.formats import FormatGuard
from fetcher.model import Submission


def format_guard(settings: Settings, submission: Submission, *, takes_encrypted: bool = False) -> FormatGuard:
    """Return the guard that says what the bytes are, for one submission."""
    return FormatGuard(
        disk_formats=settings.format.disk_formats,
        container_formats=settings.format.container_formats,
        max_virtual_bytes=settings.size.max_virtual_bytes,
        max_bytes=submission.max_bytes,
        claimed_disk_format=submission.disk_format,
        claimed_container_format=submission.container_format,
        takes_encrypted=takes_encrypted,
    )


def published(settings: Settings) -> tuple[Limit, ...]:
    """Every limit in force, told by the guard that enforces it, in the order of the guards."""
    return (
        *url.limits(settings),
        *mirrors.limits(settings),
        *address.limits(settings),
        *redirects.limits(settings),
        *request_headers.limits(settings),
        *response.limits(settings),
        *size.limits(settings),
        *quota.limits(settings),
        *pace.limits(settings),
        *FormatGuard.limits(settings),
        *stages.limits(settings),
        *checksum.limits(settings),
        *notify.limits(settings),
    )
