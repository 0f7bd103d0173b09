"""The section of the guard `checksum`."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Mistake, Section, printed

Algorithm = Literal["md5", "sha1", "sha256", "sha384", "sha512"]


class Checksum(Section, frozen=True, kw_only=True):
    """The digests that are taken and those that are computed.

    Args:
        address: By which bytes are found in the store; always computed.
    """

    accepted: Annotated[list[Algorithm], Meta(min_length=1)]
    weak: list[Algorithm]
    computed: list[Algorithm]
    address: Literal["sha256", "sha512"]
    required: bool

    @property
    def algorithms(self) -> list[str]:
        """Return what is computed of all bytes that are kept."""
        return list(dict.fromkeys([*self.computed, self.address]))

    def mistakes(self) -> Iterator[Mistake]:
        """Find a choice of digests that cannot work."""
        overlap = set(self.accepted) & set(self.weak)
        if overlap:
            value = printed(sorted(overlap))
            yield Mistake(key="checksum.weak", value=value, expected="none of checksum.accepted")
