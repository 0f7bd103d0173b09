"""What servers of buckets say of uploads in parts: read by its form, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parsers.bucket_uploads import (
    completed_etag,
    completion,
    is_completed,
    is_etag,
    parse_upload_id,
)

BEGUN = b"<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (BEGUN % b"abc/+=.-", "abc/+=.-"),
        (b'<?xml version="1.0"?>\n' + BEGUN % b" x ", "x"),
        (
            BEGUN.replace(b"Result>", b'Result xmlns="http://s3.amazonaws.com/doc/2006-03-01/">', 1) % b"x",
            "x",
        ),
        (BEGUN % b"", None),
        (BEGUN % b"a b", None),
        (BEGUN % (b"x" * 1025), None),
        (b"<Error><UploadId>x</UploadId></Error>", None),
        (b"<!DOCTYPE a><InitiateMultipartUploadResult/>", None),
        (b"", None),
        (b"{}", None),
    ],
)
def test_an_upload_is_named_by_its_id_alone(body: bytes, found: str | None) -> None:
    """What could not stand in a query, or is in another document, is none."""
    assert parse_upload_id(body) == found


def test_an_object_is_whole_only_where_the_document_says_so() -> None:
    """White space before it is how servers keep the connection alive."""
    done = b"<CompleteMultipartUploadResult><ETag>&quot;a-2&quot;</ETag></CompleteMultipartUploadResult>"
    assert is_completed(b"  \n" + done)
    assert completed_etag(done) == '"a-2"'
    assert not is_completed(b"<Error><Code>InternalError</Code></Error>")
    assert not is_completed(b"   ")


def test_tags_cannot_end_the_document() -> None:
    """An entity tag that came from the server goes back to it as text."""
    assert not is_etag(None)
    assert not is_etag('a"b')
    assert is_etag('"a<b>"')
    body = completion([('"a<b>&"', "c2Ft"), ('"2"', None)])
    assert b"&lt;b&gt;&amp;" in body
    assert body.count(b"<Part>") == 2
    assert body.count(b"<ChecksumSHA256>") == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No document breaks the reader."""
    assert parse_upload_id(body) is None or body
    assert isinstance(is_completed(body), bool)
