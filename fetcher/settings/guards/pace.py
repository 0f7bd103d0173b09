"""The section of the guard `pace`."""

from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Count, Seconds, Section


class Pace(Section, frozen=True, kw_only=True):
    """The deadlines of a source."""

    dns_seconds: Seconds
    dial_seconds: Seconds
    connect_seconds: Seconds
    header_seconds: Seconds
    chain_seconds: Seconds
    unreachable_step_seconds: Annotated[float, Meta(ge=0, le=60)]
    idle_seconds: Seconds
    floor_bytes_per_second: Count
    floor_window_seconds: Seconds
    floor_grace_seconds: Annotated[float, Meta(ge=0)]
    total_seconds: Seconds
