"""The section of the guard `publishers`."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from fetcher.settings.base import HostPattern, Mistake, Name, Section, unusable_keys
from fetcher.settings.identities import Identity, unusable_identities


class PublisherRule(Section, frozen=True, kw_only=True):
    """A publisher: hosts, and the keys that sign their images.

    Args:
        name: Stands in refusals and in provenance.
        hosts: Of the submitted URL, of its mirrors, and of every place that they redirect to.
        keys: Files with the OpenPGP certificates and plain public keys that count for it, and no other; by
            default `sums.keys`, or none where there are identities.
        identities: Whose sigstore bundles count (extra `sigstore`).
        trusted_root: The file with the authorities and logs that vouch for them.
        required: Whether an image that none of them vouches for is refused.
    """

    name: Name
    hosts: Annotated[list[HostPattern], Meta(min_length=1)]
    keys: list[str] = msgspec.field(default_factory=list)
    identities: list[Identity] = msgspec.field(default_factory=list)
    trusted_root: str = ""
    required: bool = True


class Publisher(Section, frozen=True, kw_only=True):
    """Publishers whose images have to be signed."""

    rules: list[PublisherRule]

    def mistakes(self) -> Iterator[Mistake]:
        """Find keys and trusted roots that cannot be read."""
        for rule in self.rules:
            yield from unusable_keys(f"publisher.{rule.name}.keys", rule.keys)
            yield from unusable_identities(f"publisher.{rule.name}", rule.identities, rule.trusted_root)
