"""From the bytes of a checksum file to its text, and what a file that is none looks like."""

import codecs
import json

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files.signed import SIGNATURE

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(held: bytes) -> str:
    """Decode UTF-8 with or without its mark, or UTF-16.

    Names need not be UTF-8; what is not stays as it is and equals no name of a URL.

    Raises:
        ChecksumFileUnusable: It is not text.
    """
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
