"""The section of the guard `checksum`."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Mistake, Section, printed

Algorithm = Literal["md5", "sha1", "sha256", "sha384", "sha512"]


class Checksum(Section, frozen=True, kw_only=True):
    """The digests that are taken and those that are computed."""

    accepted: Annotated[list[Algorithm], Meta(min_length=1)]
    weak: list[Algorithm]
    computed: Annotated[list[Algorithm], Meta(min_length=1)]
    required: bool

    def mistakes(self) -> Iterator[Mistake]:
        """Find a choice of digests that cannot work."""
        if "sha256" not in self.computed:
            expected = "a list with sha256, which names the blobs"
            yield Mistake(key="checksum.computed", value=printed(self.computed), expected=expected)
        overlap = set(self.accepted) & set(self.weak)
        if overlap:
            value = printed(sorted(overlap))
            yield Mistake(key="checksum.weak", value=value, expected="none of checksum.accepted")
