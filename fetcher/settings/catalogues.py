"""Catalogues: images by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fetcher.settings.base import HostPattern, Mistake, Name, Positive, Seconds, Section, unusable_keys
from fetcher.settings.identities import Identity, unusable_identities

CatalogueName = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="lower case letters, digits, - and _")
]


class CatalogueSource(Section, frozen=True, kw_only=True):
    """One catalogue.

    Args:
        name: Stands in searches and in provenance.
        url: Of the index of simplestreams; of a file of image-manager, or of the folder that `files` are in.
            A path without a scheme is a file or a folder on this machine.
        files: Of image-manager, below `url`.
        base_url: What the paths of simplestreams are below; by default, where its folder `streams` is.
        keys: Files with the OpenPGP certificates that must have signed it; none given takes it unsigned.
        identities: Whose sigstore bundles beside its documents count, in place of `keys`.
        trusted_root: The file with the authorities and logs that vouch for them.
        hosts: Which hosts its URLs may name; none given means that of `url` for simplestreams, any else.
    """

    name: CatalogueName
    kind: Literal["simplestreams", "image-manager"]
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    files: list[Name] = msgspec.field(default_factory=list)
    base_url: str = ""
    keys: list[str] = msgspec.field(default_factory=list)
    identities: list[Identity] = msgspec.field(default_factory=list)
    trusted_root: str = ""
    hosts: list[HostPattern] = msgspec.field(default_factory=list)

    @property
    def is_local(self) -> bool:
        """Return whether it is on this machine."""
        return "://" not in self.url

    def mistakes(self) -> Iterator[Mistake]:
        """Find what would make it of no use."""
        key = f"catalogue.{self.name}"
        yield from unusable_keys(f"{key}.keys", self.keys)
        yield from unusable_identities(key, self.identities, self.trusted_root)
        if self.keys and self.identities:
            yield Mistake(
                key=f"{key}.identities", value=f"{len(self.identities)}", expected="none beside keys"
            )
        if self.is_local and not Path(self.url).exists():
            yield Mistake(
                key=f"{key}.url", value=self.url, expected="a file or folder, or a URL with https://"
            )
        if self.kind == "simplestreams" and self.is_local and not self.base_url:
            yield Mistake(
                key=f"{key}.base_url", value="", expected="the URL that the images' paths are below"
            )


class Catalogue(Section, frozen=True, kw_only=True):
    """The catalogues, in the order in which they are asked."""

    sources: list[CatalogueSource]

    def mistakes(self) -> Iterator[Mistake]:
        """Find names that stand twice, and what is wrong in each."""
        names = [source.name for source in self.sources]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Mistake(key="catalogue", value=name, expected="a name of its own for each catalogue")
        for source in self.sources:
            yield from source.mistakes()


class Catalogues(Section, frozen=True, kw_only=True):
    """Limits on catalogues, and what is taken from them."""

    refresh_seconds: Seconds
    total_seconds: Seconds
    max_bytes: Annotated[int, Meta(ge=1, le=268_435_456)]
    max_documents: Positive
    max_entries: Positive
    default_arch: Name
