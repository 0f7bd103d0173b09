"""The section of the guard `sums`."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Mistake, Positive, Seconds, Section, unusable_keys


class Sums(Section, frozen=True, kw_only=True):
    """Checksum files named by a submission."""

    max_bytes: Annotated[int, Meta(ge=1, le=67_108_864)]
    max_lines: Positive
    total_seconds: Seconds
    keys: list[str]
    require_signature: bool

    def mistakes(self) -> Iterator[Mistake]:
        """Find what would leave no checksum file trusted, before the first import does."""
        yield from unusable_keys("sums.keys", self.keys)
        if self.require_signature and not self.keys:
            yield Mistake(key="sums.require_signature", value="true", expected="certificates in sums.keys")
