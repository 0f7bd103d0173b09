"""Size and pace of what is received."""

from fetcher.errors.base import Rejection, SourceFailure


class LengthUnknown(Rejection):
    """The source does not say where its body ends, and no digest would show that it was cut short."""

    code = "length-unknown"
    title = "The source does not say where the image ends, so a broken connection would go unnoticed."
    advice = "Submit a checksum or checksum_url, or host the image where Content-Length is sent."


class TooManyBytes(Rejection):
    """The source has more bytes than the import may hold."""

    code = "too-many-bytes"
    title = "The image is larger than the {max_bytes} bytes that this import may hold."
    advice = "Use a smaller or a sparse format (qcow2), raise your own max_bytes, or ask the operator."
    max_bytes: int
    declared_bytes: int | None = None


class VirtualSizeExceeded(Rejection):
    """The disk that the image describes is larger than allowed."""

    code = "virtual-size-exceeded"
    title = "The image describes a disk of {virtual_bytes} bytes; at most {max_virtual_bytes} are allowed."
    advice = "Shrink the disk inside the image."
    virtual_bytes: int
    max_virtual_bytes: int


class Truncated(SourceFailure):
    """The source ended before the bytes it had announced."""

    code = "truncated"
    title = "The source sent {received_bytes} of {declared_bytes} bytes."
    advice = "Submit the URL again; if it ends at the same byte, the file at the source is broken."
    retryable = True
    received_bytes: int
    declared_bytes: int | str = "an unknown number of"


class SourceTooSlow(SourceFailure):
    """The source was silent too long, or its rate fell below the floor."""

    code = "source-too-slow"
    title = "The source was too slow: {reason}."
    advice = "Try again later or use a faster mirror; GET /limits tells the time limits."
    retryable = True
    reason: str
    limit_seconds: float | None = None
    limit_bytes_per_second: int | None = None


class DeadlinePassed(SourceFailure):
    """The import as a whole took longer than allowed."""

    code = "deadline-passed"
    title = "The import did not end within {total_seconds} seconds."
    advice = "Use a faster mirror or a smaller format."
    total_seconds: float
