"""The head of an answer: rows H04 to H13 and Z04, Z06 of the attacks, as far as they need no network."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.config import load_settings
from fetcher.errors import BadResponse, EncodingForbidden, Failure, SourceStatus
from fetcher.guards.network.heads import Head, Reply, Wanted
from fetcher.guards.network.response import (
    MAX_BYTES,
    MAX_HEAD_CHARACTERS,
    check_chunks,
    check_head,
    limits,
    retry_after,
)

SETTINGS = load_settings()
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PLAIN = Wanted()
LENGTH = ("Content-Length", "10")


def check(
    status: int, *fields: tuple[str, str], wanted: Wanted = PLAIN, version: tuple[int, int] = (1, 1)
) -> Head:
    """Judge a head."""
    return check_head(Reply(status=status, version=version, fields=fields), wanted, SETTINGS, NOW)


def test_honest_answer_passes() -> None:
    """What the head says is what is known afterwards."""
    head = check(
        200,
        LENGTH,
        ("ETag", '"x"'),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Accept-Ranges", "bytes"),
    )
    assert (head.declared_bytes, head.body_bytes, head.offset) == (10, 10, 0)
    assert (head.etag, head.last_modified) == ('"x"', "Sun, 06 Nov 1994 08:49:37 GMT")
    assert head.accepts_ranges
    assert not head.is_chunked


def test_end_of_body_may_be_told_by_chunks_or_not_at_all() -> None:
    """Without a length, chunks tell where the end is; without both, nobody can."""
    assert check(200, ("transfer-encoding", " Chunked ")).is_chunked
    assert check(200).body_bytes is None
    assert not check(200).is_chunked


@pytest.mark.parametrize(
    "text", ["5, 5", "+5", "-1", "0x5", "", " ", "5 5", "5.0", "1e3", "\u0665", "9" * 21, "5;", "five"]
)
def test_h04_lengths_in_other_forms_are_refused(text: str) -> None:
    """Readers disagree on these, and where they do, bodies are smuggled."""
    with pytest.raises(BadResponse):
        check(200, ("Content-Length", text))


@pytest.mark.parametrize("second", ["10", "11", ""])
def test_h04_two_lengths_are_refused(second: str) -> None:
    """Even where they agree."""
    with pytest.raises(BadResponse):
        check(200, LENGTH, ("content-length", second))


def test_h04_length_fits_what_a_file_can_hold() -> None:
    """At the limit passes, one past it fails; zeros before change nothing."""
    assert check(200, ("Content-Length", str(MAX_BYTES))).declared_bytes == 2**63 - 1
    assert check(200, ("Content-Length", "0010")).declared_bytes == 10
    for size in (2**63, 2**64 - 1, 2**64):
        with pytest.raises(BadResponse):
            check(200, ("Content-Length", str(size)))


@pytest.mark.parametrize(
    "coding", ["gzip, chunked", "chunked, gzip", "identity", "chunked, chunked", "", "xchunked", "gzip"]
)
def test_h05_transfer_codings_but_chunked_are_refused(coding: str) -> None:
    """Nobody asked for them, and some libraries pass their bytes on undecoded."""
    with pytest.raises(BadResponse):
        check(200, ("Transfer-Encoding", coding))


def test_h05_length_and_transfer_coding_are_refused_together() -> None:
    """Which of them holds is what request smuggling is made of."""
    with pytest.raises(BadResponse):
        check(200, LENGTH, ("Transfer-Encoding", "chunked"))
    with pytest.raises(BadResponse):
        check(200, ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked"))
    with pytest.raises(BadResponse):
        check(200, ("Transfer-Encoding", "chunked"), version=(1, 0))


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (3, 0), (0, 0)])
def test_h12_other_versions_are_refused(version: tuple[int, int]) -> None:
    """HTTP/1.0 and 1.1 are spoken here."""
    with pytest.raises(BadResponse):
        check(200, LENGTH, version=version)
    assert check(200, LENGTH, version=(1, 0)).body_bytes == 10


@pytest.mark.parametrize("name", ["Content-Length ", "Con tent", "", "X:", "X\x00", "\u00e9", "X\n", "(x)"])
def test_h09_names_of_fields_are_tokens(name: str) -> None:
    """`Content-Length :` is another field to a careless reader, and a length to the next."""
    with pytest.raises(BadResponse):
        check(200, LENGTH, (name, "10"))


@pytest.mark.parametrize(
    "status", [100, 101, 103, 201, 202, 203, 204, 205, 206, 207, 226, 300, 304, 305, 306, 307, 400]
)
def test_h11_other_statuses_bring_no_image(status: int) -> None:
    """Only 200 does, and 206 and 304 where they were asked for."""
    with pytest.raises(SourceStatus) as caught:
        check(status, LENGTH)
    assert caught.value.status == status


@pytest.mark.parametrize("status", [-1, 0, 99, 600, 999, 1000])
def test_h11_statuses_that_do_not_exist_are_refused(status: int) -> None:
    """What is outside 100 to 599 is no HTTP."""
    with pytest.raises(BadResponse):
        check(status, LENGTH)


def test_h11_range_that_nobody_asked_for_is_refused() -> None:
    """A 200 with Content-Range contradicts itself."""
    with pytest.raises(BadResponse):
        check(200, LENGTH, ("Content-Range", "bytes 0-9/10"))
    with pytest.raises(BadResponse):
        check(200, LENGTH, ("Content-Range", "bytes 0-9/10"), wanted=Wanted(offset=5))


def test_h13_wait_is_taken_over_within_its_limit() -> None:
    """A source may ask for time, not for a year."""
    for said, wanted in {"7": 7.0, "1000000000": 120.0, "0": 0.0}.items():
        with pytest.raises(SourceStatus) as caught:
            check(429, ("Retry-After", said))
        assert caught.value.retry_after_seconds == wanted


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "1.5",
        "soon",
        "",
        "1e3",
        "99999999999",
        "Sun, 06 Nov 1994",
        "\u0665",
        "Fri, 31 Feb 2027 08:49:37 GMT",
        "Sun, 00 Nov 9999 99:99:99 GMT",
    ],
)
def test_h13_waits_in_other_forms_are_passed_over(text: str) -> None:
    """What is not understood is as if it were not there."""
    assert retry_after([text], NOW) is None


def test_h13_wait_until_a_date() -> None:
    """Past dates mean now, far ones a long time, and two of them nothing."""
    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert retry_after([later], NOW) == 90.0
    assert retry_after(["Sun, 06 Nov 1994 08:49:37 GMT"], NOW) == 0.0
    assert (retry_after(["Fri, 31 Dec 9999 23:59:59 GMT"], NOW) or 0.0) > 1e9
    assert retry_after(["1", "1"], NOW) is None
    assert retry_after([], NOW) is None


ASKED = Wanted(offset=100, if_range='"v1"')


def test_range_is_taken_where_it_is_the_one_asked_for() -> None:
    """From the byte asked for to the last one, of the version asked for."""
    head = check(
        206,
        ("Content-Length", "900"),
        ("Content-Range", "bytes 100-999/1000"),
        ("ETag", '"v1"'),
        wanted=ASKED,
    )
    assert (head.offset, head.declared_bytes, head.body_bytes) == (100, 1000, 900)
    assert head.accepts_ranges


def test_range_with_an_end_may_be_shorter() -> None:
    """A source may give less than a parallel range asked for, never more."""
    wanted = Wanted(offset=100, length=50)
    assert check(206, ("Content-Range", "bytes 100-149/1000"), wanted=wanted).declared_bytes == 1000
    assert check(206, ("Content-Range", "bytes 100-120/*"), wanted=wanted).declared_bytes is None
    with pytest.raises(BadResponse):
        check(206, ("Content-Range", "bytes 100-150/1000"), wanted=wanted)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "bytes 101-999/1000",
            "bytes 99-999/1000",
            "bytes 0-999/1000",
            "bytes 100-998/1000",
            "bytes 100-1000/1000",
        ),
        *(
            "bytes 100-99/1000",
            "bytes */1000",
            "bytes 100-999",
            "items 100-999/1000",
            "bytes=100-999/1000",
            "",
        ),
        *(
            "bytes 100-999/1000, bytes 0-1/2",
            "bytes  100-999/1000",
            "bytes 100-999/+1000",
            "bytes 100-999/999",
        ),
        *("bytes 100-999/99999999999999999999", "bytes \u0661-2/3", "bytes 100-999/1000 "),
    ],
)
def test_range_that_is_another_is_refused(text: str) -> None:
    """Bytes of another place or another whole would be woven into the image."""
    if text.endswith(" "):
        assert (
            check(206, ("Content-Range", text), ("ETag", '"v1"'), wanted=ASKED).offset == 100
        )  # outer blanks are no text
        return
    with pytest.raises(BadResponse):
        check(206, ("Content-Range", text), ("ETag", '"v1"'), wanted=ASKED)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Content-Range", "bytes 100-999/1000")] * 2,
        [("Content-Range", "bytes 100-999/1000"), ("Content-Length", "899")],
        [("Content-Type", "multipart/byteranges; boundary=x")],
    ],
)
def test_range_must_be_one_and_agree_with_the_length(fields: list[tuple[str, str]]) -> None:
    """None, two, several in one body, or another length: refused."""
    with pytest.raises(BadResponse):
        check(206, *fields, ("ETag", '"v1"'), wanted=ASKED)


@pytest.mark.parametrize("etag", [None, '"v2"', 'W/"v1"', "v1", '"V1"'])
def test_range_of_another_version_is_refused(etag: str | None) -> None:
    """A range bound to a version says which one it is of, or is not believed."""
    fields = [("Content-Range", "bytes 100-999/1000"), *([("ETag", etag)] if etag else [])]
    with pytest.raises(BadResponse):
        check(206, *fields, wanted=ASKED)


def test_range_bound_to_a_date_needs_no_tag() -> None:
    """If-Range by date is judged by the source; if it tells a date, it is that one."""
    date, part = "Sun, 06 Nov 1994 08:49:37 GMT", ("Content-Range", "bytes 100-999/1000")
    wanted = Wanted(offset=100, if_range=date)
    assert check(206, part, wanted=wanted).offset == 100
    assert check(206, part, ("Last-Modified", date), wanted=wanted).offset == 100
    with pytest.raises(BadResponse):
        check(206, part, ("Last-Modified", "Sun, 06 Nov 1994 08:49:38 GMT"), wanted=wanted)


def test_h09_head_as_a_whole_is_limited() -> None:
    """At the limit passes, one past it fails, however many fields it is spread over."""
    fields = [("X-1", "a" * 8189)] * 7 + [("X-2", "a" * (MAX_HEAD_CHARACTERS - 7 * 8192 - 3))]
    assert check(200, *fields).status == 200
    with pytest.raises(BadResponse):
        check(200, *fields, ("Y", ""))


def test_whole_instead_of_a_range_is_an_answer() -> None:
    """Who does not do ranges sends everything, and it begins at 0."""
    assert check(200, LENGTH, wanted=ASKED).offset == 0


def test_not_modified_is_an_answer_to_a_condition() -> None:
    """304 brings no body, whatever length it tells."""
    head = check(304, LENGTH, ("ETag", '"v1"'), wanted=Wanted(conditional=True))
    assert head.status == 304
    assert head.declared_bytes is None


@pytest.mark.parametrize(
    "coding", ["br", "zstd", "gzip, gzip", "aes128gcm", "compress", "utf-8, br", "gzip, br", "utf-99999"]
)
def test_z04_z06_codings_are_refused(coding: str) -> None:
    """What cannot be undone within bounds is not taken, nor what is stacked."""
    with pytest.raises(EncodingForbidden) as caught:
        check(200, LENGTH, ("Content-Encoding", coding))
    assert caught.value.encoding in {coding.lower(), "unknown"}


def test_z06_stacked_codings_over_two_fields_are_refused() -> None:
    """Two fields are one list."""
    with pytest.raises(EncodingForbidden):
        check(
            200,
            LENGTH,
            ("Content-Encoding", "gzip"),
            ("Content-Encoding", "gzip"),
            wanted=Wanted(path="/x.gz"),
        )


def test_z06_unknown_words_are_not_repeated() -> None:
    """What the source sent is not shown to people."""
    with pytest.raises(EncodingForbidden) as caught:
        check(200, LENGTH, ("Content-Encoding", "<script>"))
    assert caught.value.encoding == "unknown"


@pytest.mark.parametrize(
    ("path", "coding"),
    [
        ("/x.img.gz", "gzip"),
        ("/X.GZ", "x-gzip"),
        ("/x.tgz", "gzip"),
        ("/x.zst", "zstd"),
        ("/x.xz", "xz"),
        ("/x.bz2", "bzip2"),
    ],
)
def test_z04_compressed_file_with_its_own_label_is_kept_as_it_is(path: str, coding: str) -> None:
    """Servers like to label a .gz file so; the bytes are the file, and the label is noted."""
    assert check(200, LENGTH, ("Content-Encoding", coding), wanted=Wanted(path=path)).coding == coding
    with pytest.raises(EncodingForbidden):
        check(200, LENGTH, ("Content-Encoding", "br"), wanted=Wanted(path=path))


@pytest.mark.parametrize(
    ("coding", "undone"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("deflate", "deflate"),
        ("identity, gzip", "gzip"),
        ("aws-chunked,gzip", "gzip"),
    ],
)
def test_coding_made_on_the_fly_is_undone(coding: str, undone: str) -> None:
    """Nothing that the head says of the coded bytes is then said of the file."""
    fields = [("Content-Encoding", coding), ("ETag", '"v1"'), ("Accept-Ranges", "bytes"), LENGTH]
    head = check(200, *fields, wanted=Wanted(path="/x.qcow2"))
    assert (head.coding, head.undone, head.declared_bytes) == (None, undone, None)
    assert (head.etag, head.accepts_ranges, head.body_bytes) == (None, False, int(LENGTH[1]))


def test_range_of_coded_bytes_is_refused() -> None:
    """Its place in the file is not known."""
    range_ = ("Content-Range", "bytes 5-9/10")
    with pytest.raises(BadResponse):
        check(206, range_, ("Content-Encoding", "gzip"), wanted=Wanted(offset=5))


@pytest.mark.parametrize("names", [["/x.gz"], ["/a", "/b.tgz"], ["/focal.box", "/b"]])
def test_compressed_file_is_known_by_any_of_its_names(names: list[str]) -> None:
    """A redirect may end at an object without a name."""
    head = check(200, LENGTH, ("Content-Encoding", "gzip"), wanted=Wanted(path="/9f2c", names=names))
    assert (head.coding, head.undone) == ("gzip", None)


@pytest.mark.parametrize("told", ['attachment; filename="x.img.gz"', "attachment; filename=x.GZ"])
def test_compressed_file_is_known_by_the_name_that_it_is_sent_under(told: str) -> None:
    """Stores name their objects so."""
    head = check(200, LENGTH, ("Content-Encoding", "gzip"), ("Content-Disposition", told))
    assert (head.coding, head.undone) == ("gzip", None)


@pytest.mark.parametrize(
    "coding",
    [
        "",
        "identity",
        "Identity",
        " identity ",
        "aws-chunked",
        "none",
        "binary",
        "UTF-8",
        "utf8",
        "8bit",
        "iso-8859-1",
        "windows-1252",
        "us-ascii",
        "utf-8, identity",
        "null",
        "aws-chunked, UTF-8",
        *("base64", "chunked", "raw", "text", "off", "UTF-16LE", "latin1", "cp1252", "qcow2"),
        *("application/octet-stream", "application/x-qemu-disk", "binary/octet-stream"),
    ],
)
def test_no_coding_passes(coding: str) -> None:
    """Identity, nothing, and labels that say nothing of how bytes are coded."""
    head = check(200, LENGTH, ("Content-Encoding", coding))
    assert (head.coding, head.undone) == (None, None)


@pytest.mark.parametrize(
    ("beginning", "is_chunk"),
    [
        (b"10000;chunk-signature=" + b"a" * 64 + b"\r\nQFI\xfb", True),
        (b"f" * 16 + b";chunk-signature=" + b"0" * 64 + b"\r\n", True),
        (b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", True),
        (b"400\r\nQFI\xfb", True),
        (b"QFI\xfb\x00\x00\x00\x03", False),
        (b"10000;chunk-signature=" + b"a" * 64 + b"\n", False),
        (b"10000;other=1\r\n", False),
        (b"f" * 17 + b"\r\n", False),
        (b"\r\n", False),
        (b"", False),
    ],
)
def test_chunks_of_an_upload_are_no_image(beginning: bytes, is_chunk: bool) -> None:
    """Signed or not, a store that kept them as they came has another file than the one that was uploaded."""
    assert check(200, LENGTH, ("Content-Encoding", "UTF-8, AWS-Chunked")).may_hold_chunks
    assert not check(200, LENGTH).may_hold_chunks
    if is_chunk:
        with pytest.raises(EncodingForbidden) as caught:
            check_chunks(beginning)
        assert caught.value.encoding == "aws-chunked"
    else:
        check_chunks(beginning)


@pytest.mark.parametrize(
    "etag", ["x", '"', '"a"b"', 'w/"x"', '"\u00e9"', '"a b"', '"' + "a" * 300 + '"', '"a\x7f"']
)
def test_validators_that_are_none_are_passed_over(etag: str) -> None:
    """They are sent back later, so they are taken in their strict form alone."""
    assert check(200, LENGTH, ("ETag", etag)).etag is None
    assert check(200, LENGTH, ("ETag", '"a"'), ("ETag", '"a"')).etag is None
    assert check(200, LENGTH, ("Last-Modified", "yesterday")).last_modified is None


NAMES = st.sampled_from(
    ["Content-Length", "Transfer-Encoding", "Content-Range", "Content-Encoding", "ETag", "Retry-After", "X"]
)
VALUES = st.sampled_from(
    ["5", "10", "chunked", "gzip", "identity", "bytes 5-9/10", "bytes 0-4/5", '"v1"', "*", ""]
) | st.text(max_size=12)


@given(
    status=st.sampled_from([200, 206, 304, 302, 404, 429, 503]) | st.integers(-10, 1200),
    fields=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    wanted=st.builds(
        Wanted,
        offset=st.sampled_from([0, 5]),
        length=st.sampled_from([None, 5]),
        if_range=st.sampled_from([None, '"v1"']),
        conditional=st.booleans(),
    ),
)
def test_head_passes_consistent_or_not_at_all(
    status: int, fields: list[tuple[str, str]], wanted: Wanted
) -> None:
    """Whatever the fields, a head that passes agrees with the request and with itself."""
    try:
        head = check(status, *fields, wanted=wanted)
    except Failure:
        return
    assert head.status in {200, 206, 304}
    assert head.offset == (wanted.offset if head.status == 206 else 0)
    assert not (head.is_chunked and head.body_bytes is not None)
    if head.declared_bytes is not None and head.body_bytes is not None:
        assert head.offset + head.body_bytes <= head.declared_bytes


def test_limits_are_published() -> None:
    """What is enforced is what is told."""
    told = {limit.name: limit.value for limit in limits(SETTINGS)}
    assert told == {"max_retry_after_seconds": 120.0, "content_codings": ["identity", "deflate", "gzip"]}
