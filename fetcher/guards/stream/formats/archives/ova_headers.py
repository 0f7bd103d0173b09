"""The headers of an OVA's members, as all readers have to read them.

Specification: POSIX.1-2017 pax, "pax Extended Header"; GNU tar, "Basic Tar Format"; what Python's tarfile,
    GNU tar and libarchive make of them.
Reads: every header, and the content of the extended ones: at most 64 KiB of pax, of those for all members
    together likewise, and 4 KiB of a long name or target.
Structure: right checksums; every number is one; records of the length that they say, and a member behind
    each extended header.
Safety: one name and one size for each member, whichever of its headers a reader goes by, for else two
    readers see two archives: at most one extended header of each kind, a size in pax's that is the header's
    own where that has room for it, no name or size for all members. No holes, and no other coding of names.
"""

import re
from collections.abc import Generator

from fetcher.guards.stream.formats.report import CUT_SHORT, Report, Window
from fetcher.guards.stream.formats.work import SHORT_BYTES
from fetcher.parsers.archives.tar_headers import Header, read_header
from fetcher.parsers.archives.tar_members import (
    EXTENDING,
    PAX_GLOBAL,
    PAX_LOCAL,
    Extensions,
    Member,
)

MAX_HEADERS = 4_096
MAX_PAX_BYTES = 65_536
MAX_LONG_NAME_BYTES = 4_096
MAX_NAME_CHARACTERS = 1_000
FORBIDDEN = re.compile(
    r"GNU\.|SUN\.|hdrcharset$|linkpath$"
    r"|SCHILY\.(?!(?:dev|ino|nlink|fflags|devmajor|devminor)$|xattr\.|acl\.)"
)
"""Records that make holes, change names or continue other archives, for some readers at least."""
FORBIDDEN_FOR_ALL = frozenset({"path", "size"})
NO_HOLES = "Pack it anew without a map of holes: GNU tar without -S, libarchive's with --no-read-sparse."
REPACK = "Unpack it and submit the disk image inside, or export the appliance anew."


class Headers:
    """Reads headers and refuses those on which readers may differ.

    Args:
        report: Where to note what is found.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._extensions = Extensions()
        self._shared_bytes = 0
        self._count = 0

    def read(self, block: bytes) -> Header | None:
        """Read a header; None where that ends the inspection."""
        header = read_header(block)
        self._count += 1
        if header is None or header.size is None or not header.has_side_numbers:
            self._report.broke("ova-header", "the header of a member is damaged", CUT_SHORT)
            return None
        self._report.require(self._count <= MAX_HEADERS, "ova-members", "it has too many members", REPACK)
        return None if self._report.findings else header

    def member(self, header: Header, at: int) -> Generator[Window, bytes, Member | None]:
        """Return the member that a header begins; None where it speaks of the next one, or is refused."""
        if header.kind in EXTENDING:
            yield from self._extend(header, header.size or 0, at)
            return None
        member = self._extensions.member(header)
        if member.size is None:
            self._report.broke("ova-header", "an extended header is malformed", REPACK)
            return None
        self._check(member)
        return member

    def _extend(self, header: Header, size: int, at: int) -> Generator[Window, bytes, None]:
        """Read an extended header.

        Raises:
            WorkExceeded: The budget of the import is spent.
        """
        is_pax = header.kind in (PAX_LOCAL, PAX_GLOBAL)
        self._shared_bytes += size if header.kind == PAX_GLOBAL else 0
        is_short = size <= (MAX_PAX_BYTES if is_pax else MAX_LONG_NAME_BYTES)
        is_short = is_short and self._shared_bytes <= MAX_PAX_BYTES
        self._report.require(is_short, "ova-header", "an extended header is too long", REPACK)
        if self._report.findings:
            return
        content = (yield Window(at, size)) if size else b""
        if len(content) < size:
            return  # The file is cut short, which its end reports.
        # A record is a step: long ones are paid for by their bytes.
        self._report.work.spend(max(content.count(b"\n") - size // SHORT_BYTES, 0))
        try:
            self._extensions.take(header, content)
        except ValueError:
            self._report.broke("ova-header", "an extended header is malformed", REPACK)

    def _check(self, member: Member) -> None:
        """Refuse a member that readers may see differently."""

        def require(holds: bool, reason: str) -> None:
            self._report.require(holds, "ova-header", reason, REPACK)

        require(not member.is_repeated, "two extended headers of one kind speak of one member")
        require(member.names == {member.name}, "its headers give a member two names")
        require(member.sizes == {member.size}, "its headers give a member two sizes")
        changes = any(FORBIDDEN.match(key) for key in member.records)
        self._report.require(
            not changes,
            "ova-header",
            "an extended header makes holes, or changes how names are read",
            NO_HOLES,
        )
        is_for_all = not FORBIDDEN_FOR_ALL.isdisjoint(member.shared)
        require(not is_for_all, "an extended header gives all members one name or one size")

    def end(self) -> None:
        """Refuse an archive that ends where a member has to come."""
        is_spoken_of = self._extensions.are_pending and not self._report.findings
        self._report.require(not is_spoken_of, "ova-header", "an extended header speaks of no member", REPACK)
