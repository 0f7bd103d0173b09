"""What a range may be bound to."""

from types import SimpleNamespace

import pytest

from fetcher.importer.download.validator import validator_of

OLD, NEW = "Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:01:00 GMT"
SOON = "Mon, 01 Jan 2024 00:00:59 GMT"


@pytest.mark.parametrize(
    ("etag", "last_modified", "date", "expected"),
    [
        ('"a"', OLD, NEW, '"a"'),
        (None, OLD, NEW, OLD),
        (None, OLD, SOON, None),
        (None, OLD.replace("GMT", "-0000"), NEW, OLD.replace("GMT", "-0000")),
        (None, OLD, NEW.replace("GMT", "-0000"), OLD),
        (None, OLD, None, None),
        (None, NEW, OLD, None),
        ('W/"a"', OLD, NEW, None),
        ('W/"a"', None, NEW, None),
        (None, None, NEW, None),
        (None, OLD, "Mon, 99 Jan 2024 00:01:00 GMT", None),
    ],
)
def test_only_what_proves_the_version_counts(
    etag: str | None, last_modified: str | None, date: str | None, expected: str | None
) -> None:
    """A strong tag, or a change that was over a minute before the answer; what is doubtful is nothing."""
    source = SimpleNamespace(etag=etag, last_modified=last_modified, headers={"date": date} if date else {})
    assert validator_of(source) == expected
