"""Heads of answers that bytes may follow: status, framing, coding, range."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from fetcher.config import Settings
from fetcher.errors import BadResponse, EncodingForbidden, SourceStatus
from fetcher.guards.base import Limit
from fetcher.guards.network.heads import Head, Reply, Wanted
from fetcher.guards.spec import GuardSpec

# Files that servers like to label with a coding, though they are meant to be kept as they are. Nobody codes
# on the fly with what has "" here: the file itself is of that kind, whatever it is called.
_GZIP_NAMES = (".gz", ".tgz", ".taz", ".box")
KEPT_CODINGS: dict[str, tuple[str, ...]] = {
    "gzip": _GZIP_NAMES,
    "x-gzip": _GZIP_NAMES,
    "bzip2": ("",),
    "x-bzip2": ("",),
    "xz": ("",),
    "x-xz": ("",),
    "zstd": (".zst", ".tzst"),
}
# What is undone here where it was done on the fly.
UNDONE_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
# Labels that stores and frameworks put on bytes that are not coded at all: how they were uploaded, that
# they are bytes, or what their letters would be.
LABELS = frozenset(
    {
        *("identity", "x-identity", "none", "null", "no", "off", "false", "raw", "plain", "text"),
        *("7bit", "8bit", "binary", "base64", "quoted-printable", "octet-stream", "aws-chunked", "chunked"),
        *("ascii", "us-ascii", "unicode", "utf8", "utf-16le", "utf-16be", "latin1", "latin-1"),
        *("qcow2", "img", "iso", "vmdk", "vhd", "vhdx", "vdi", "ova"),
    }
)
# What an upload to a store is cut into, where that store kept it as it came: chunks as in HTTP, or signed.
_AWS_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;chunk-signature=[0-9a-f]{0,64})?\r\n")
MAX_AWS_CHUNK_BYTES = 16 + len(";chunk-signature=") + 64 + 2
_CHARSET = re.compile(r"(utf|iso|windows|cp)-?[0-9]{1,4}(-[0-9]{1,2})?")
# The type of the file in the field that is not for it.
_MEDIA_TYPE = re.compile(r"(application|binary|text|image)/[a-z0-9.+-]{1,100}")
KNOWN_CODINGS = frozenset(
    {
        "aes128gcm",
        "br",
        "compress",
        "dcb",
        "dcz",
        "deflate",
        "exi",
        "pack200-gzip",
        "x-compress",
        *KEPT_CODINGS,
    }
)
MAX_BYTES = 2**63 - 1
# The parser alone would take a mebibyte, and a head is kept as long as its body is read.
MAX_HEAD_CHARACTERS = 65_536

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(r"[0-9]{1,20}")
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_ETAG = re.compile(r'(W/)?"[!#-~]{0,256}"')
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def check_head(reply: Reply, wanted: Wanted, settings: Settings, now: datetime) -> Head:
    """Refuse an answer whose head promises no image, or contradicts itself.

    Args:
        reply: The head as it came.
        wanted: What was asked for.
        settings: For how long a source may have us wait.
        now: For a Retry-After that is a date.

    Raises:
        SourceStatus: Another status than 200, or 206 and 304 where they were asked for.
        BadResponse: The framing or the range is not to be trusted.
        EncodingForbidden: A content coding that the file itself does not have.

    Source: RFC 9110 sections 8.6, 14.4 and 15, RFC 9112 sections 5.1 and 6.
    """
    fields = _gather(reply)
    if not _is_expected(reply.status, wanted):
        wait = retry_after(fields.get("retry-after", []), now)
        if wait is not None:
            wait = min(wait, settings.retry.max_retry_after_seconds)
        raise SourceStatus(status=reply.status, retry_after_seconds=wait)
    body_bytes, is_chunked = _check_framing(fields, reply.version)
    etag = _single(fields, "etag", _ETAG)
    offset, declared = 0, body_bytes
    if reply.status == 206:
        offset, declared = _check_range(fields, wanted, body_bytes)
        _check_version(wanted.if_range, etag, _single(fields, "last-modified", _DATE))
    elif "content-range" in fields:
        raise BadResponse(reason="it names a range that was not asked for")
    coding = _check_coding(fields, wanted)
    head = Head(
        status=reply.status,
        declared_bytes=None if reply.status == 304 else declared,
        body_bytes=body_bytes,
        is_chunked=is_chunked,
        offset=offset,
        etag=etag,
        last_modified=_single(fields, "last-modified", _DATE),
        accepts_ranges=reply.status == 206 or fields.get("accept-ranges") == ["bytes"],
        coding=coding,
        may_hold_chunks="aws-chunked" in ",".join(fields.get("content-encoding", [])).lower(),
    )
    return head if coding is None or _is_kept(coding, fields, wanted) else _undone(head)


def check_chunks(beginning: bytes) -> None:
    """Refuse a body labelled aws-chunked that is still in chunks; most stores keep the label alone.

    Args:
        beginning: At least the first MAX_AWS_CHUNK_BYTES, or all there is.

    Raises:
        EncodingForbidden: It begins with the line of a chunk.

    Source: AWS Signature Version 4, chunked uploads.
    """
    if _AWS_CHUNK.match(beginning):
        raise EncodingForbidden(encoding="aws-chunked")


def retry_after(values: Sequence[str], now: datetime) -> float | None:
    """Read how many seconds the source asks us to wait; None if it does not say so understandably.

    Source: RFC 9110 section 10.2.3.
    """
    value = values[0] if len(values) == 1 else ""
    if re.fullmatch(r"[0-9]{1,10}", value):
        return float(value)
    if not _DATE.fullmatch(value):
        return None
    try:
        seconds = (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    return (
        Limit(
            name="max_retry_after_seconds",
            type="number",
            value=settings.retry.max_retry_after_seconds,
            description="The longest wait that a source may ask for with Retry-After.",
            guard="response",
        ),
        Limit(
            name="content_codings",
            type="array",
            value=["identity", *sorted(set(UNDONE_CODINGS.values()))],
            description="Content codings that are taken and undone; compressed files stay as they are.",
            guard="response",
        ),
    )


def _gather(reply: Reply) -> dict[str, list[str]]:
    is_known = reply.version in {(1, 0), (1, 1)} and 100 <= reply.status <= 599
    if not is_known or _CONTROL.search(reply.reason):
        raise BadResponse(reason="its status line is none of HTTP/1")
    if sum(len(name) + len(value) for name, value in reply.fields) > MAX_HEAD_CHARACTERS:
        raise BadResponse(reason="its head is too large")
    fields: dict[str, list[str]] = {}
    for name, value in reply.fields:
        if not _NAME.fullmatch(name):
            raise BadResponse(reason="it has a field whose name is not valid")
        fields.setdefault(name.lower(), []).append(value.strip(" \t"))
    return fields


def _is_expected(status: int, wanted: Wanted) -> bool:
    return status == 200 or (status == 206 and wanted.is_range) or (status == 304 and wanted.conditional)


def _check_framing(fields: dict[str, list[str]], version: tuple[int, int]) -> tuple[int | None, bool]:
    lengths = fields.get("content-length", [])
    codings = fields.get("transfer-encoding", [])
    if codings:
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise BadResponse(reason="its transfer coding is not chunked alone")
        if lengths or version == (1, 0):
            raise BadResponse(reason="it has a transfer coding beside a length, or in HTTP/1.0")
        return None, True
    if not lengths:
        return None, False
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]) or int(lengths[0]) > MAX_BYTES:
        raise BadResponse(reason="its Content-Length is not one number")
    return int(lengths[0]), False


def _check_range(
    fields: dict[str, list[str]], wanted: Wanted, body_bytes: int | None
) -> tuple[int, int | None]:
    values = fields.get("content-range", [])
    match = _RANGE.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise BadResponse(reason="its Content-Range is not one range of bytes")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    asked_last = None if wanted.length is None else wanted.offset + wanted.length - 1
    is_asked = first == wanted.offset and last >= first and (asked_last is None or last <= asked_last)
    # Without an end in the request, the range must reach the end of the whole.
    is_whole = total is None or (last < total and (asked_last is not None or last == total - 1))
    if not is_asked or not is_whole:
        raise BadResponse(reason="the range it sends is not the one asked for")
    if body_bytes is not None and body_bytes != last - first + 1:
        raise BadResponse(reason="its length is not that of the range it names")
    return first, total


def _check_version(bound: str | None, etag: str | None, last_modified: str | None) -> None:
    """Refuse a range of another version than the one it was bound to; a date need not be repeated."""
    if bound is None:
        return
    same = etag == bound if bound.startswith('"') else last_modified in {None, bound}
    if not same:
        raise BadResponse(reason="the range it sends is of another version")


def _check_coding(fields: dict[str, list[str]], wanted: Wanted) -> str | None:
    """Find the one coding that is more than a label; identity is none."""
    text = ",".join(fields.get("content-encoding", [])).lower().replace(" ", "")
    codings = [coding for coding in text.split(",") if coding and not _is_label(coding)]
    if not codings:
        return None
    coding = codings[0]
    if len(codings) == 1 and (coding in UNDONE_CODINGS or _is_kept(coding, fields, wanted)):
        return coding
    # What the source sent is shown to people only where it is a word that we know.
    raise EncodingForbidden(encoding=text if text in KNOWN_CODINGS else "unknown")


def _is_label(coding: str) -> bool:
    return coding in LABELS or any(shape.fullmatch(coding) for shape in (_CHARSET, _MEDIA_TYPE))


def _is_kept(coding: str, fields: dict[str, list[str]], wanted: Wanted) -> bool:
    """Return whether the file itself is what the coding says, by any name that it goes under."""
    disposition = "".join(fields.get("content-disposition", [])).strip("\"' ;")
    names = [name.lower() for name in (wanted.path, *wanted.names, disposition)]
    return any(name.endswith(KEPT_CODINGS.get(coding, ())) for name in names)


def _undone(head: Head) -> Head:
    """Forget what holds for the coded bytes alone."""
    if head.status == 206:
        raise BadResponse(reason="the range it sends is of coded bytes")
    assert head.coding is not None
    return msgspec.structs.replace(
        head,
        declared_bytes=None,
        etag=None if head.status == 200 else head.etag,
        last_modified=None,
        accepts_ranges=False,
        coding=None,
        undone=UNDONE_CODINGS[head.coding],
    )


def _single(fields: dict[str, list[str]], name: str, shape: re.Pattern[str]) -> str | None:
    values = fields.get(name, [])
    return values[0] if len(values) == 1 and shape.fullmatch(values[0]) else None


GUARD = GuardSpec(
    name="response",
    title="Answers of sources",
    sections=("retry",),
    limits=limits,
    checks=(check_head, check_chunks, retry_after),
)
