"""The signatures in a detached signature file, one by one; everything else in it is left unread."""

import base64
import binascii
import re
from collections.abc import Iterator

# A file may be signed by an old and a new key, and a few more; each that is tried costs a verification.
MAX_SIGNATURES = 8
MAX_BYTES = 65_536

_ARMOR = re.compile(
    rb"-----BEGIN PGP SIGNATURE-----[ \t]*\r?\n(?:[!-9;-~]+: [^\n]*\n)*[ \t]*\r?\n"
    rb"((?:[A-Za-z0-9+/]+={0,2}[ \t]*\r?\n)+)(?:=[A-Za-z0-9+/]{4}[ \t]*\r?\n)?-----END PGP SIGNATURE-----"
)
_SIGNATURE = 2
ARMOR = b"-----BEGIN PGP SIGNATURE-----"


def split_signatures(file: bytes) -> list[bytes]:
    """Take the signature packets out of a file, armored or not.

    A library that is given the whole file would also open compressed data in
    it, which can hold a bomb, and would look at the first signature alone.

    Returns:
        The first few, each a whole packet; none where the file is none of signatures.

    Source: RFC 9580 sections 4.2 and 6.2.
    """
    if len(file) > MAX_BYTES:
        return []
    blocks = _ARMOR.findall(file) if file.lstrip().startswith(ARMOR) else [file]
    found: list[bytes] = []
    for block in blocks:
        packets = _unarmor(block) if block is not file else file
        found += _packets(packets)
    return found[:MAX_SIGNATURES]


def _unarmor(block: bytes) -> bytes:
    try:
        return base64.b64decode(re.sub(rb"\s", b"", block), validate=True)
    except binascii.Error:
        return b""


def _packets(text: bytes) -> Iterator[bytes]:
    """Go from packet to packet, as long as they are signatures of a stated length."""
    start = 0
    while start < len(text):
        head = _read_head(text, start)
        if head is None or head[1] > len(text):
            return
        yield text[start : head[1]]
        start = head[1]


def _read_head(text: bytes, start: int) -> tuple[int, int] | None:
    """Return where the body of a signature packet begins and ends."""
    first, at = text[start], start + 1
    if first & 0xC0 == 0xC0 and first & 0x3F == _SIGNATURE:
        kind = text[at : at + 1]
        if not kind or 224 <= kind[0] < 255:  # of parts, which a signature never is
            return None
        if kind[0] == 255:
            return at + 5, at + 5 + int.from_bytes(text[at + 1 : at + 5])
        if kind[0] >= 192:
            return at + 2, at + 2 + ((kind[0] - 192) << 8) + int.from_bytes(text[at + 1 : at + 2]) + 192
        return at + 1, at + 1 + kind[0]
    if first & 0xC0 == 0x80 and first >> 2 & 0x0F == _SIGNATURE and first & 3 != 3:
        size = 1 << (first & 3)
        return at + size, at + size + int.from_bytes(text[at : at + size])
    return None
