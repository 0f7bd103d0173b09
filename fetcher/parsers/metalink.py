"""Metalinks: one file, its URLs in order of preference, its size and its digests."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from fetcher.errors import InvalidRequest
from fetcher.model import Digest

NAMESPACE = "{urn:ietf:params:xml:ns:metalink}"
# By the names of RFC 5854 section 4.2.4; weaker hashes in a metalink are passed over.
HASHES = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256"}
MAX_NAME_CHARACTERS = 255
LAST_PRIORITY = 999_999
PIECE_BYTES = 16_384


class Metalink(msgspec.Struct, frozen=True, kw_only=True):
    """The one file of a metalink.

    Args:
        name: The last part of its name, which is never used as a path.
        urls: Best first.
        size: In bytes.
        digest: The strongest that is given.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    digest: Digest | None = None

    def fields(self) -> dict[str, object]:
        """Return the fields of a submission that it stands for."""
        found: dict[str, object] = {"name": self.name, "url": self.urls[0], "mirrors": list(self.urls[1:])}
        if self.digest is not None:
            found["checksum"] = str(self.digest)
        if self.size is not None:
            found["max_bytes"] = self.size
        return found


def parse_metalink(document: bytes, *, max_urls: int) -> Metalink:
    """Read a metalink of one file.

    Args:
        max_urls: More are left out, the least preferred first.

    Raises:
        InvalidRequest: It is no metalink, or of none or several files, or has no URL.

    Source: RFC 5854; entities and document types are refused (CVE-2013-1664 and its kin).
    """
    try:
        root = _root(document)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _refused("it is not well-formed XML, or declares entities") from error
    files = root.findall(f"{NAMESPACE}file") if root.tag == f"{NAMESPACE}metalink" else []
    if len(files) != 1:
        raise _refused("a metalink of exactly one file is taken")
    file = files[0]
    urls = tuple(dict.fromkeys(_urls(file)))[:max_urls]
    if not urls:
        raise _refused("it has no URL")
    return Metalink(name=_name(file), urls=urls, size=_size(file), digest=_digest(file))


def _root(document: bytes) -> Element:
    """Build the tree from pieces: others get their turn between two of them."""
    parser = XMLParser(forbid_dtd=True)
    for begin in range(0, len(document), PIECE_BYTES):
        parser.feed(document[begin : begin + PIECE_BYTES])
    root: Element = parser.close()
    return root


def _refused(reason: str) -> InvalidRequest:
    return InvalidRequest(field="metalink", reason=f"the metalink cannot be taken: {reason}")


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _urls(file: Element) -> Iterator[str]:
    for url in sorted(file.findall(f"{NAMESPACE}url"), key=_priority):
        if _text(url):
            yield _text(url)


def _priority(url: Element) -> int:
    text = url.get("priority", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else LAST_PRIORITY


def _name(file: Element) -> str:
    """Return the last part of the name; a name that leads anywhere else is refused as a whole.

    Source: RFC 5854 section 4.1.2.1: a name is a path below, which an attacker would have lead above.
    """
    name = file.get("name", "")
    parts = name.replace("\\", "/").split("/")
    if not all(parts) or {".", ".."} & set(parts) or not name.isprintable():
        raise _refused("the name of its file is not one of a file")
    return parts[-1][:MAX_NAME_CHARACTERS]


def _size(file: Element) -> int | None:
    text = _text(file.find(f"{NAMESPACE}size"))
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not int(text):
        raise _refused("its size is not a number of bytes")
    return int(text)


def _digest(file: Element) -> Digest | None:
    found = {hash_.get("type", "").lower(): _text(hash_) for hash_ in file.findall(f"{NAMESPACE}hash")}
    for name, algorithm in HASHES.items():
        if name in found:
            return Digest(algorithm=algorithm, value=found[name].lower())
    return None
