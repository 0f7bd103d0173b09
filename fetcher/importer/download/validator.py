"""Validators for ranges, so that two halves are never of two versions."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fetcher.transport import Source, is_strong

# A file may change twice within a second, and the source's clocks may differ: by far not by as much as this.
SETTLED_SECONDS = 60


def validator_of(source: Source) -> str | None:
    """Find what proves that a later answer is of the same version; None where nothing does.

    A strong entity tag; else the date of the last change, if the source's own
    clock says that it was over long before the answer.

    Source: RFC 9110 sections 8.8.2.2 and 13.1.5.
    """
    if is_strong(source.etag):
        return source.etag
    changed, answered = _moment(source.last_modified), _moment(source.headers.get("date"))
    if source.etag or changed is None or answered is None:
        return None  # A weak tag beside the date says that equal dates need not mean equal bytes.
    return source.last_modified if (answered - changed).total_seconds() >= SETTLED_SECONDS else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    # `-0000` is UTC of which no zone is known (RFC 5322 section 3.3), and is read as a date without one.
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None
