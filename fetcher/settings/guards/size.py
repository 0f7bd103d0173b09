"""The section of the guard `size`."""

from fetcher.settings.base import Positive, Section


class Size(Section, frozen=True, kw_only=True):
    """The size of one import."""

    max_bytes: Positive
    require_length: bool
    max_virtual_bytes: Positive
