"""Recognition of packings by the first bytes: five compressed formats, zip, and tar by its checksum.

Specifications: RFC 1952 (gzip), RFC 8878 (zstd), xz-file-format 1.2, LZ4 Frame Format 1.6,
    PKWARE APPNOTE 6.3 (zip), POSIX.1-2017 "ustar Interchange Format".
"""

from fetcher.parsers.archives import skippable
from fetcher.parsers.archives.names import is_hidden
from fetcher.parsers.archives.tar_headers import CHECKSUM, NUMBER_STARTS, read_header

HEAD_BYTES = 512
"""The bytes that `recognise` wants to see: a header of tar; fewer only when the file is shorter."""

MAGIC = {
    "gzip": b"\x1f\x8b",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
    "bzip2": b"BZh",
}
LZ4_LEGACY = b"\x02\x21\x4c\x18"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
BZIP2_BLOCKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")


def recognise(head: bytes) -> str | None:
    """Find the packing of a file by its first `HEAD_BYTES`; None: it is not packed, or not in a known way."""
    if head.startswith(skippable.MAGICS) and (at := skippable.behind_skippable(head)) + 4 <= len(head):
        head = head[at:]  # pzstd puts a frame without data first.
    for key, magic in MAGIC.items():
        if head.startswith(magic) and _is_plausible(key, head):
            return key
    if head.startswith(LZ4_LEGACY):
        return "lz4"
    if head.startswith(skippable.MAGICS):
        return "zstd"  # Or lz4, which shows behind the frame.
    if head.startswith(ZIP_MAGICS):
        return "zip"
    if (
        not head.startswith(NUMBER_STARTS, CHECKSUM.start)
        or (header := read_header(head[:HEAD_BYTES])) is None
    ):
        return None
    return "ova" if header.name.lower().endswith(".ovf") and not is_hidden(header.name) else "tar"


def _is_plausible(key: str, head: bytes) -> bool:
    """Return whether more than two or three bytes speak for a format; their decoders judge the rest."""
    if key == "gzip":
        return len(head) > 3 and head[2] == 8 and not head[3] & 0xE0
    if key == "bzip2":
        return head[3:4] in b"123456789" and head[4:10] in BZIP2_BLOCKS
    return True
