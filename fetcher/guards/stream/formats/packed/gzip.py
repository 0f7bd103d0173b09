"""gzip.

Specification: RFC 1952.
Reads: the header of the first member, 10 bytes.
Structure: method deflate, no reserved flag, room for a member at all. gzip marks no end: what follows
    a member is known only by unpacking, which is not done here.
Safety: none. What its beginning unpacks to is judged in peek.
"""

from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role

GZIP = Kind(key="gzip", words="a gzip archive", role=Role.PACKED)

MAGIC, DEFLATE = b"\x1f\x8b", 8
RESERVED_FLAGS = 0xE0
LEAST_BYTES = 18


def recognise(head: bytes) -> Report | None:
    """Find gzip by its magic, also with a method that it does not have: readers call it gzip all the same."""
    if head[:2] != MAGIC:
        return None
    report = Report(kind=GZIP, name="gzip archive")
    sound = len(head) >= LEAST_BYTES and head[2] == DEFLATE and not head[3] & RESERVED_FLAGS
    report.require(sound, "gzip-header", "its header is not one of gzip", CUT_SHORT)
    return report
