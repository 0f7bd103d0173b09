"""The section of the guards `url` and `mirrors`."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import HostPattern, Port, Section


class Url(Section, frozen=True, kw_only=True):
    """The URLs that may be submitted."""

    schemes: Annotated[list[Literal["https", "http"]], Meta(min_length=1)]
    ports: Annotated[list[Port], Meta(min_length=1)]
    max_url_bytes: Annotated[int, Meta(ge=64, le=65536)]
    max_mirrors: Annotated[int, Meta(ge=0, le=64)]
    allow_literals: bool
    allow_hosts: list[HostPattern]
