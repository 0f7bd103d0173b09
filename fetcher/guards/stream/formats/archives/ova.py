"""OVA, an appliance in one file: a tar archive whose first member is an OVF descriptor.

Specification: DMTF DSP0243 2.1 (OVF), sections 5 to 9; for tar see tar.
Reads: every member's header, and the extended ones of pax and GNU before it (see ova_headers); the descriptor
    and the manifest (see ova_papers); the first and last 64 KiB of the others, and all of them while a
    manifest speaks of them or may still come.
Structure: regular files only, at most 1,024, each inside the archive; a block of zeros behind the last, and
    nothing but zeros to the end of the file.
Safety: no path, no link, no device in a member's name or type; one descriptor, that names only members;
    every member that is a disk image passes the checks of its format; a packed one is refused,
    because it cannot be judged. Every member is what the manifest says, where there is one.
"""

from fetcher.guards.stream.formats.archives import pkzip, sevenzip, tar
from fetcher.guards.stream.formats.archives.ova_headers import MAX_NAME_CHARACTERS, REPACK, Headers
from fetcher.guards.stream.formats.archives.ova_papers import DESCRIPTOR, MANIFEST, Papers, kind_of
from fetcher.guards.stream.formats.disks import parallels, qcow2, vdi, vhd, vhdx, vmdk, vmdk_descriptor
from fetcher.guards.stream.formats.disks.tables import round_up
from fetcher.guards.stream.formats.packed import bzip2, gzip, lz4, xz, zstandard
from fetcher.guards.stream.formats.raw import iso9660
from fetcher.guards.stream.formats.refused import luks, qcow1, qed
from fetcher.guards.stream.formats.report import (
    CUT_SHORT,
    HEAD_BYTES,
    End,
    Kind,
    Report,
    Role,
    Steps,
    Window,
    windows,
)
from fetcher.parsers.archives.ovf import NOT_PLAIN
from fetcher.parsers.archives.tar_headers import BLOCK_BYTES
from fetcher.parsers.archives.tar_members import Member, first_name

OVA = Kind(key="ova", words="an OVA appliance", role=Role.BUNDLE, disk_format="vmdk")

MAX_MEMBERS = 1_024
REGULAR = "0"
NEVER = 1 << 62
INSIDE = (
    qcow2.recognise, qcow1.recognise, qed.recognise, vmdk.recognise, vmdk_descriptor.recognise, vdi.recognise,
    vhd.recognise, vhdx.recognise, parallels.recognise, iso9660.recognise, luks.recognise, gzip.recognise,
    xz.recognise, zstandard.recognise, bzip2.recognise, pkzip.recognise, sevenzip.recognise, lz4.recognise,
    tar.recognise,
)  # fmt: skip
TAKEN = ("vmdk", "iso", "qcow2", "vdi", "vhd")


def recognise(head: bytes) -> Report | None:
    """Find OVA by its first member."""
    name = first_name(head)
    if name is None or not name.lower().endswith(".ovf"):
        return None
    report = Report(kind=OVA, name="OVA appliance")
    walk = _MemberWalk(report)
    report.follow = walk.steps
    report.close = walk.close
    return report


class _MemberWalk:
    """Goes from member to member."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.names: set[str] = set()
        self.papers = Papers(report)
        self.disk_bytes = 0
        self.headers = Headers(report)
        self.has_end = False

    def steps(self) -> Steps:
        """Read headers and members until the block of zeros that ends an archive, then zeros to its end."""
        at = 0
        while not self.report.findings:
            block = yield Window(at, BLOCK_BYTES)
            if not any(block):
                yield from self._end(block, at)
                return
            header = self.headers.read(block)
            if header is None:
                return
            at += BLOCK_BYTES
            self.report.reaches(at + round_up(header.size or 0, BLOCK_BYTES), "members")
            member = yield from self.headers.member(header, at)
            size = (header.size if member is None else member.size) or 0
            self.report.reaches(at + round_up(size, BLOCK_BYTES), "members")
            if member is not None and not self.report.findings:
                yield from self._member(member, at)
            at += round_up(size, BLOCK_BYTES)

    def _end(self, block: bytes, at: int) -> Steps:
        """Judge the whole, and refuse whatever follows the block of zeros that ends it."""
        whole = len(block) == BLOCK_BYTES
        self.has_end = whole
        self.report.require(whole, "ova-end", "it ends without the mark of its end", CUT_SHORT)
        self.headers.end()
        self._conclude()
        if not whole or self.report.findings:
            return
        for window in windows(at + BLOCK_BYTES, NEVER):
            padding = yield window
            if padding.count(0) < len(padding):
                self.report.broke("ova-end", "something follows the end of the archive", REPACK)
            if len(padding) < window.length or self.report.findings:
                return

    def _member(self, member: Member, at: int) -> Steps:
        """Judge one member by its type, its name and its content."""
        self._check_name(member)
        if self.report.findings:
            return
        name, size = member.name.removeprefix("./"), member.size or 0
        is_wanted = self.papers.open(name)
        kind = DESCRIPTOR if len(self.names) == 1 else kind_of(name)  # By which the whole was recognised.
        if kind == DESCRIPTOR:
            is_first = len(self.names) == 1
            self.report.require(is_first, "ova-descriptor", "it has two descriptors", REPACK)
            yield from self.papers.descriptor(at, size)
        elif kind == MANIFEST:
            yield from self.papers.manifest(at, size)
        elif is_wanted:
            yield from self._all_content(at, size)
        elif size:
            yield from self._content(at, size)
        self.papers.close()

    def _check_name(self, member: Member) -> None:
        require = self.report.require
        require(member.header.kind == REGULAR, "ova-member-type", "a member is no regular file", REPACK)
        name = member.name.removeprefix("./")
        is_readable = name.isprintable() and "\ufffd" not in name and len(name) <= MAX_NAME_CHARACTERS
        plain = NOT_PLAIN.search(name) is None and is_readable
        require(plain, "ova-member-name", "a member's name is a path", REPACK)
        require(name not in self.names, "ova-member-name", "two members have the same name", REPACK)
        self.names.add(name)
        require(len(self.names) <= MAX_MEMBERS, "ova-members", "it has too many members", REPACK)

    def _content(self, at: int, size: int) -> Steps:
        """Judge a member that may be a disk, by its beginning and its end."""
        head = yield Window(at, min(size, HEAD_BYTES))
        tail = head
        last = min(size - len(head), HEAD_BYTES)
        if last and len(head) == HEAD_BYTES:
            tail += yield Window(at + size - last, last)
        if len(tail) == len(head) + last:
            self._judge(head, End(size, tail[-HEAD_BYTES:]))

    def _all_content(self, at: int, size: int) -> Steps:
        """Judge a member that may be a disk, and take its digests on the way."""
        head, former, last, read_bytes = b"", b"", b"", 0
        for window in windows(at, size):
            former, last = last, (yield window)
            self.papers.take(last)
            head = head or last
            read_bytes += len(last)
        if size and read_bytes == size:
            self._judge(head, End(size, (former + last)[-HEAD_BYTES:]))

    def _judge(self, head: bytes, end: End) -> None:
        found = [report for recognise in INSIDE if (report := recognise(head))]
        for disk in found[:1]:
            inside = disk.kind.words
            if not disk.findings:
                disk.judge_end(end)
            for finding in disk.findings:
                self.report.broke(finding.rule, f"in {inside} inside it, {finding.reason}", finding.hint)
            taken = len(found) == 1 and disk.kind.key in TAKEN
            self.report.require(taken, "ova-member", f"a member is {inside}, which no OVA may hold", REPACK)
            self.disk_bytes += disk.virtual_bytes or 0

    def _conclude(self) -> None:
        self.papers.conclude(self.names)
        self.report.virtual_bytes = max(self.papers.references.capacity_bytes, self.disk_bytes)

    def close(self, _: End) -> None:
        """Check that the end of the archive was met: nobody reads on where a window comes back short."""
        self.report.require(self.has_end, "ova-end", "it ends without the mark of its end", CUT_SHORT)
