"""The running of imports."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Count, Mistake, Positive, Seconds, Section


class Imports(Section, frozen=True, kw_only=True):
    """The number of imports at once."""

    max_running: Positive
    max_running_per_project: Positive
    max_running_per_origin: Positive
    max_connections_per_address: Positive
    max_probes: Positive
    max_probe_seconds: Seconds
    max_queued: Positive
    max_submits_per_minute: Positive
    max_submits_per_minute_per_origin: Positive
    max_submits_per_minute_in_all: Positive
    buffer_bytes: Annotated[int, Meta(ge=4_194_304)]
    threads: Annotated[int, Meta(ge=1, le=256)]
    keep_finished_days: Seconds
    lease_seconds: Annotated[float, Meta(ge=3)]


class Unpack(Section, frozen=True, kw_only=True):
    """Taking the disk out of what it was published in."""

    enabled: bool
    uploads: Literal["never", "not-raw", "always"]
    max_layers: Annotated[int, Meta(ge=1, le=8)]
    max_layer_bytes: Positive
    max_streams: Positive
    max_members: Positive
    max_window_bytes: Annotated[int, Meta(ge=1_048_576, le=2_147_483_648)]


class Retry(Section, frozen=True, kw_only=True):
    """Trying again after a source failure."""

    attempts: Annotated[int, Meta(ge=1, le=20)]
    max_attempts: Annotated[int, Meta(ge=1, le=1000)]
    first_wait_seconds: Seconds
    max_wait_seconds: Seconds
    max_retry_after_seconds: Annotated[float, Meta(ge=0)]

    def mistakes(self) -> Iterator[Mistake]:
        """Find waits that contradict each other."""
        if self.first_wait_seconds > self.max_wait_seconds:
            value = str(self.first_wait_seconds)
            yield Mistake(
                key="retry.first_wait_seconds", value=value, expected="at most retry.max_wait_seconds"
            )


class Resume(Section, frozen=True, kw_only=True):
    """Going on after a crash or a restart."""

    mark_bytes: Annotated[int, Meta(ge=65_536)]
    checkpoint_bytes: Annotated[int, Meta(ge=65_536)]
    save_seconds: Seconds


class Reuse(Section, frozen=True, kw_only=True):
    """Bytes that are not pulled a second time."""

    share: Literal["off", "project", "everybody"] | bool
    revalidate: Literal["off", "project", "everybody"]

    def shares_within(self, project_id: str) -> str | None:
        """Name whose equal requests are one pull with a project's: its own; "", everybody's; None, nobody's.

        Plain true and false, of earlier files, are "project" and "off".
        """
        if self.share in {"off", False}:
            return None
        return "" if self.share == "everybody" else project_id


class Ranges(Section, frozen=True, kw_only=True):
    """Several connections for one pull."""

    connections: Annotated[int, Meta(ge=1, le=16)]
    min_bytes: Count
    segment_bytes: Annotated[int, Meta(ge=65_536, le=268_435_456)]
    buffer_bytes: Annotated[int, Meta(ge=65_536)]
    patience_seconds: Annotated[float, Meta(ge=0)]
    enough_bytes_per_second: Positive
