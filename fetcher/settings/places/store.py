"""The store, and its maintenance."""

from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Count, Percent, Positive, Seconds, Section


class Store(Section, frozen=True, kw_only=True):
    """The folder of images and records."""

    folder: Annotated[str, Meta(min_length=1)]
    url: Annotated[
        str,
        Meta(
            pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?)?$",
            description="s3://bucket/prefix, or empty for store.folder",
        ),
    ]
    redirect_downloads: bool
    reserve_bytes: Count
    reserve_percent: Percent
    ballast_bytes: Annotated[int, Meta(ge=0, le=1_073_741_824)]
    write_bytes: Annotated[int, Meta(ge=4096, le=16_777_216)]
    read_buffer_bytes: Annotated[int, Meta(ge=65_536)]
    direct_io: bool


class Maintenance(Section, frozen=True, kw_only=True):
    """Looking after the store."""

    scrub_days: Seconds
    scrub_bytes_per_second: Annotated[int, Meta(ge=65_536)]
    repair: bool
    keep_audit_days: Seconds
    max_audit_lines: Positive
    keep_idempotency_days: Seconds
    keep_retired_days: Seconds
