"""Images that are kept new."""

from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Count, Section

Interval = Annotated[float, Meta(ge=1, le=31_536_000)]


class Schedules(Section, frozen=True, kw_only=True):
    """Images that are kept new."""

    max_per_project: Count
    min_interval_seconds: Interval
    default_interval_seconds: Interval
    max_keep: Annotated[int, Meta(ge=1, le=1000)]
