"""The bounds of a checksum file."""

from fetcher.config import Settings
from fetcher.guards.base import Limit


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
    )
