"""The section of the guard `redirects`."""

from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Section


class Redirects(Section, frozen=True, kw_only=True):
    """The redirects that are followed."""

    max_redirects: Annotated[int, Meta(ge=0, le=20)]
    allow_downgrade: bool
    allow_promised_downgrade: bool
