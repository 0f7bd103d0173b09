"""Words for an upload that ends badly, where the table of errors speaks of a URL and its source."""

from typing import Any

from fetcher import errors
from fetcher.errors import Failure, readable

_AGAIN = "Upload the image again."
WORDS: dict[type[Failure], tuple[str, str]] = {
    errors.EmptySource: (
        "The upload has no bytes.",
        "Send the image's bytes; only an image whose disk_format is raw can be empty.",
    ),
    errors.TooManyBytes: (
        "The image is larger than the {max_bytes} bytes that an upload can hold.",
        "Use a smaller or a sparse format (qcow2), or ask the operator.",
    ),
    errors.Truncated: ("The upload ended after {received_bytes} of {declared_bytes} bytes.", _AGAIN),
    errors.SourceTooSlow: (
        "The upload was too slow: {reason}.",
        "Upload the image again over a faster connection; GET /limits tells the time limits.",
    ),
    errors.DeadlinePassed: (
        "The upload did not end within {total_seconds} seconds.",
        "Use a faster connection or a smaller format.",
    ),
    errors.Interrupted: ("The service was stopped during the upload.", _AGAIN),
    errors.Cancelled: ("The upload was cancelled, or its image was deleted.", _AGAIN),
    errors.InternalFault: (
        "A fault of this service ended the upload.",
        "Tell the operator the request id; uploading again may help.",
    ),
    errors.StoreFailed: (
        "The store could not keep the image.",
        "Upload again later; the operator finds the cause in the log.",
    ),
    errors.StoreFull: (
        "The store has no room for this image.",
        "Upload again later; the operator can see what fills the store.",
    ),
}


def upload_words(failure: Failure) -> tuple[str, str] | None:
    """Return title and advice for the sender of the bytes; None where the failure's own words fit."""
    public = failure.public()
    if type(public) not in WORDS:
        return None
    facts: dict[str, Any] = {name: readable(value) for name, value in public.fields().items()}
    title, advice = WORDS[type(public)]
    return title.format(**facts), advice
