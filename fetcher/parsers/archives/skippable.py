"""Frames without data, which files of Zstandard and of LZ4 may have between and before those with data.

Specifications: RFC 8878 section 3.1.2 (Zstandard); LZ4 Frame Format 1.6, "Skippable Frames".
"""

MAGIC = 0x184D_2A50  # To ...5F.
MAGICS = tuple((MAGIC | number).to_bytes(4, "little") for number in range(16))
HEADER_BYTES = 8
MAX_SKIPPED = 16
"""Frames that a file is recognised behind: more than any tool writes."""


def is_skippable(magic: bytes) -> bool:
    """Return whether a frame without data begins with these four bytes."""
    return len(magic) == 4 and int.from_bytes(magic, "little") & ~0xF == MAGIC


def frame_bytes(header: bytes) -> int:
    """Return how long a frame without data is, with its header of 8 bytes; of a shorter one what is known."""
    return HEADER_BYTES + int.from_bytes(header[4:HEADER_BYTES], "little")


def behind_skippable(head: bytes) -> int:
    """Return where the first frame with data begins, or the one too many; it may lie behind the head."""
    at = 0
    for _ in range(MAX_SKIPPED):
        if at + HEADER_BYTES > len(head) or not is_skippable(head[at : at + 4]):
            break
        at += frame_bytes(head[at : at + HEADER_BYTES])
    return at
