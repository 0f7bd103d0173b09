"""The values of an operator's questions over many rows."""

from fetcher.model import Value


class ProjectUsage(Value, frozen=True, kw_only=True):
    """The usage of one project.

    Args:
        size: Bytes, each image counted in full even where images share a blob.
    """

    project_id: str
    images: int
    size: int


class Totals(Value, frozen=True, kw_only=True):
    """The contents of the store.

    Args:
        size: Bytes on disk, shared blobs counted once.
        faulty: Blobs that were missing or corrupt when they were last read.
        oldest_check: When the blob that nobody has read for longest was read or written; None without blobs.
    """

    images: int
    blobs: int
    size: int
    faulty: int
    oldest_check: str | None


class Ending(Value, frozen=True, kw_only=True):
    """The number of imports that ended in one code within one step of time.

    Args:
        at: The beginning of the step, `2026-11-22` or `2026-11-22T14`.
        code: The true one, also where submitters get another.
    """

    at: str
    code: str
    count: int


class OriginStatistics(Value, frozen=True, kw_only=True):
    """The record of one origin in its latest imports.

    Args:
        bytes_per_second: Over all that it delivered; None when that is nothing.
    """

    origin: str
    imports: int
    failed: int
    bytes_per_second: float | None


class Ended(Value, frozen=True, kw_only=True):
    """One import that ended.

    Args:
        number: Its place in the audit trail, which only grows.
        action: activated, refused, failed or cancelled.
        code: The true one.
        size: Bytes received.
        seconds: From its start to its end; None when it never started.
    """

    number: int
    action: str
    code: str
    size: int
    seconds: float | None
