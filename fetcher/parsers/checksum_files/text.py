"""From the bytes of a checksum file to its text, and what a file that is none looks like."""

import codecs
import json
import re
import zlib

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files.signed import SIGNATURE

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_GZIP = b"\x1f\x8b\x08"
_UNSEEN = {0xA0: " ", 0x200B: None, 0xFEFF: None, 0x2060: None}
_BULLET = re.compile(r"[ \t]*[-+][ \t]+(?=\S)")
_QUOTED = re.compile(r"\"[0-9A-Fa-f:-]+\"|'[0-9A-Fa-f:-]+'")
# As certutil of Windows 7 and the viewers of certificates write a digest.
_GROUP = re.compile(r"[ :-]")
_GROUPED = re.compile(r"[0-9A-Fa-f]{2}(?:[ :-][0-9A-Fa-f]{2}){15,63}")


def decode(held: bytes, *, max_bytes: int = 1_048_576) -> str:
    """Decode UTF-8 with or without its mark, or UTF-16; packed by gzip, too.

    Names need not be UTF-8; what is not stays as it is and equals no name of a URL.

    Args:
        held: The whole file.
        max_bytes: How large it may be when it is unpacked.

    Raises:
        ChecksumFileUnusable: It is not text, or too large.
    """
    if held.startswith(_GZIP):
        held = _unpacked(held, max_bytes)
    coding = "utf-8"
    for mark, name in _BOMS:
        if held.startswith(mark):
            held, coding = held[len(mark) :], name
            break
    else:
        # UTF-16 without a mark: every second byte of ASCII is zero.
        if held[:2].count(0) == 1 and held[:64].count(0) >= len(held[:64]) // 2:
            coding = "utf-16-be" if held[0] == 0 else "utf-16-le"
    text = held.decode(coding, "surrogateescape" if coding == "utf-8" else "replace")
    if "\0" in text:
        raise ChecksumFileUnusable(reason="it is not text", kind="binary")
    return text


def _unpacked(held: bytes, max_bytes: int) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        plain = unpacking.decompress(held, max_bytes + 1)
    except zlib.error as error:
        raise ChecksumFileUnusable(reason="it is not text", kind="binary") from error
    if len(plain) > max_bytes:
        raise ChecksumFileUnusable(reason=f"it unpacks to more than {max_bytes:,} bytes")
    if not unpacking.eof:
        raise ChecksumFileUnusable(reason="it is packed, and cut short", kind="binary")
    return plain


def plain_lines(text: str) -> str:
    """Return a text with the ends of lines as they are here; those of old Macs are a bare CR."""
    return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text


def plain_line(line: str) -> str:
    """Return a line without what pages and tools add to it: unseen letters, Markdown's marks, groups."""
    line = line.removesuffix("\r").translate(_UNSEEN)
    line = _BULLET.sub("", line.replace("`", "")) if "`" in line or _BULLET.match(line) else line
    line = line[1:-1] if _QUOTED.fullmatch(line.strip()) else line
    return _GROUP.sub("", line) if _GROUPED.fullmatch(line.strip()) else line


def check_kind(text: str) -> None:
    """Refuse what is plainly something else.

    Raises:
        ChecksumFileUnusable: It is empty, a web page, XML, JSON or a signature.
    """
    start = text.lstrip()[:512].lower()
    if not start:
        raise ChecksumFileUnusable(reason="it is empty", kind="empty")
    if start.startswith("<"):
        is_page = "<html" in start or "<!doctype html" in start or not start.startswith("<?xml")
        what = "a web page" if is_page else "an XML document"
        raise ChecksumFileUnusable(reason=f"it is {what}, not a checksum file", kind="page")
    if start.startswith(("{", "[")) and _is_json(text):
        raise ChecksumFileUnusable(reason="it is a JSON document, not a checksum file", kind="json")
    if start.startswith(SIGNATURE.lower()):
        raise ChecksumFileUnusable(reason="it is a signature, not a checksum file", kind="signature")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
