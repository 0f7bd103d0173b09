"""The section of the guard `links`."""

from collections.abc import Iterator

from fetcher.settings.base import Mistake, Seconds, Section


class Links(Section, frozen=True, kw_only=True):
    """Signed links, with which anybody may fetch one image for a time."""

    enabled: bool
    default_seconds: Seconds
    max_seconds: Seconds

    def mistakes(self) -> Iterator[Mistake]:
        """Find a default that no link may have."""
        if self.default_seconds > self.max_seconds:
            expected = f"at most links.max_seconds, {self.max_seconds:g}"
            yield Mistake(key="links.default_seconds", value=str(self.default_seconds), expected=expected)
