"""Moments for people: how long ago, and the exact time beside it."""

from datetime import UTC, datetime

_STEPS = ((60, "s", 1), (3600, "min", 60), (86_400, "h", 3600), (86_400 * 60, "days", 86_400))


def moment(when: str | datetime | None) -> str:
    """Return how long ago a moment was: `just now`, `5 min ago`; the date when that is long."""
    if when is None:
        return "-"
    at = datetime.fromisoformat(when) if isinstance(when, str) else when
    seconds = (datetime.now(UTC) - at).total_seconds()
    if seconds < 5:
        return "just now"
    for limit, unit, size in _STEPS:
        if seconds < limit:
            return f"{seconds // size:.0f} {unit} ago"
    return at.strftime("%Y-%m-%d")


def iso(when: str | datetime) -> str:
    """Return a moment as HTML's `datetime` attribute takes it."""
    return when if isinstance(when, str) else when.isoformat()


def clock(when: str | datetime | None) -> str:
    """Return a moment exactly: `2026-11-22 14:05:09 UTC`."""
    if when is None:
        return "-"
    at = datetime.fromisoformat(when) if isinstance(when, str) else when
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
