"""A head that passes agrees with the request and itself; any other is refused in words of our own."""

import hashlib
from datetime import UTC, datetime

from fetcher.config import load_settings
from fetcher.errors import Failure, SourceStatus
from fetcher.guards.network.heads import Head, Reply, Wanted
from fetcher.guards.network.response import check_head
from fetcher.parsers.digest_headers import parse_digests
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.guards", "http_sf"]
SETTINGS = load_settings()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = (
    *("Content-Length", "Transfer-Encoding", "Content-Range", "Content-Encoding", "ETag", "Last-Modified"),
    *("Retry-After", "Accept-Ranges", "Content-Type", "content-length", "X"),
)
VALUES = (
    *(
        "5",
        "10",
        "chunked",
        "gzip",
        "identity",
        "bytes 5-9/10",
        "bytes 0-4/5",
        "bytes 5-5/*",
        '"v1"',
        'W/"v1"',
        "",
    ),
    *(
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "120",
        "999999999",
        "bytes",
        "none",
        "-1",
        "+5",
        "5, 5",
        "0x5",
        "sha-256=:",
    ),
    *("9223372036854775807", "9223372036854775808", ":AAAA:", ", ", " ", "\t", "=", ";", "/", "-"),
)


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    wanted = Wanted(
        offset=choices.pick((0, 5)),
        length=choices.pick((None, 5)),
        if_range=choices.pick((None, '"v1"', "Sun, 06 Nov 1994 08:49:37 GMT")),
        conditional=bool(choices.number(2)),
        path=choices.pick(("/x", "/x.gz", "/x.xz")),
    )
    status = choices.pick((200, 206, 304, 302, 404, 429, 503, 999, 101, 0))
    fields = []
    while not choices.is_over and len(fields) < 8:
        name = choices.pick(NAMES) if choices.number(8) else choices.text()
        fields.append((name, choices.some(VALUES, 4) if choices.number(3) == 0 else choices.pick(VALUES)))
    _check_digests([value for _, value in fields])
    reply = Reply(status=status, version=choices.pick(((1, 1), (1, 0), (2, 0))), fields=fields)
    try:
        head = check_head(reply, wanted, SETTINGS, NOW)
    except SourceStatus as error:
        assert 0.0 <= (error.retry_after_seconds or 0.0) <= 120.0
    except Failure as error:
        assert str(error).isascii()
        assert str(error).isprintable()
    else:
        _check_passed(head, wanted, reply)


def _check_passed(head: Head, wanted: Wanted, reply: Reply) -> None:
    names = [name.lower() for name, _ in reply.fields]
    assert head.status in {200, 206, 304}
    assert head.status != 206 or wanted.offset or wanted.length is not None
    assert head.status != 304 or wanted.conditional
    assert head.offset == (wanted.offset if head.status == 206 else 0)
    assert names.count("content-length") + names.count("transfer-encoding") <= 1
    assert head.is_chunked == ("transfer-encoding" in names)
    if head.body_bytes is not None:
        assert 0 <= head.body_bytes < 2**63
        assert head.declared_bytes is None or head.offset + head.body_bytes <= head.declared_bytes
    if head.status == 206 and wanted.length is not None and head.body_bytes is not None:
        assert head.body_bytes <= wanted.length
    for validator in (head.etag, head.last_modified):
        assert validator is None or (validator.isascii() and validator.isprintable())


def _check_digests(values: list[str]) -> None:
    for name, value in parse_digests(values).items():
        assert len(bytes.fromhex(value)) == hashlib.new(name).digest_size
