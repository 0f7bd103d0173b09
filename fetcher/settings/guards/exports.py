"""The section of exports: images that leave by the same gate."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import HostOrAddress, Positive, Seconds, Section

# What the senders that come with the service are called; the registry of senders knows of others.
KINDS = frozenset({"image-api", "oci", "parts", "put", "s3"})


class Exports(Section, frozen=True, kw_only=True):
    """Sending images to receivers that the operator allows."""

    receivers: list[HostOrAddress]
    kinds: list[Annotated[str, Meta(min_length=1, max_length=64)]]
    role: Literal["member", "admin"]
    max_running: Annotated[int, Meta(ge=1, le=256)]
    max_running_per_project: Positive
    max_waiting: Positive
    max_submits_per_minute: Positive
    max_bytes_per_day: Positive
    max_per_day: Positive
    attempts: Annotated[int, Meta(ge=1, le=20)]
    first_wait_seconds: Seconds
    max_wait_seconds: Seconds
    total_seconds: Seconds
    stall_seconds: Seconds
    undo_seconds: Seconds
    part_bytes: Annotated[int, Meta(ge=5_242_880, le=5_368_709_120)]
    parts_at_once: Annotated[int, Meta(ge=1, le=32)]
    properties: list[str]
    keep_finished_days: Seconds
