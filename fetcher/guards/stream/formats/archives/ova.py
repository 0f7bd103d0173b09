"""OVA, an appliance in one file: a tar archive whose first member is an OVF descriptor.

Specification: DMTF DSP0243 2.1 (OVF), sections 5 to 9; for tar see tar.
Reads: every member's header; the descriptor (see ovf); the first and last 64 KiB of the others.
Structure: regular files only, at most 1,024, each inside the archive; zeros behind the last.
Safety: no path, no link, no device in a member's name or type; one descriptor, that names only members;
    every member that is a disk image passes the checks of its format; a packed one is refused,
    because it cannot be judged.
"""

import re

from fetcher.guards.stream.formats.archives import pkzip, sevenzip, tar
from fetcher.guards.stream.formats.archives.ovf import (
    MOST_DESCRIPTOR_BYTES,
    NOT_PLAIN,
    Descriptor,
    read_descriptor,
)
from fetcher.guards.stream.formats.archives.tar import BLOCK, PAX, REGULAR, Member, read_member
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

OVA = Kind(key="ova", words="an OVA appliance", role=Role.BUNDLE, disk_format="vmdk")

MOST_MEMBERS = 1_024
MOST_PAX_BYTES = 65_536
INSIDE = (
    qcow2.recognise, qcow1.recognise, qed.recognise, vmdk.recognise, vmdk_descriptor.recognise, vdi.recognise,
    vhd.recognise, vhdx.recognise, parallels.recognise, iso9660.recognise, luks.recognise, gzip.recognise,
    xz.recognise, zstandard.recognise, bzip2.recognise, pkzip.recognise, sevenzip.recognise, lz4.recognise,
    tar.recognise,
)  # fmt: skip
TAKEN = ("vmdk", "iso", "qcow2", "vdi", "vhd")
REPACK = "Unpack it and submit the disk image inside, or export the appliance anew."


def recognise(head: bytes) -> Report | None:
    """Find OVA by its first member."""
    member = read_member(head[:BLOCK])
    if member is None or not member.name.lower().endswith(b".ovf"):
        return None
    report = Report(kind=OVA, name="OVA appliance")
    walk = _Walk(report)
    report.follow = walk.steps
    report.close = walk.close
    return report


class _Walk:
    """Goes from member to member."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.names: set[str] = set()
        self.descriptor = Descriptor()
        self.disk_bytes = 0
        self.pax_size: int | None = None
        self.end = 0

    def steps(self) -> Steps:
        """Read headers and members until the block of zeros that ends an archive."""
        at = 0
        while not self.report.findings:
            block = yield Window(at, BLOCK)
            if not any(block):
                whole = len(block) == BLOCK
                self.report.require(whole, "ova-end", "it ends without the mark of its end", CUT_SHORT)
                self.end = at
                self._conclude()
                return
            member = read_member(block)
            if member is None or member.size is None:
                self.report.broke("ova-header", "the header of a member is damaged", CUT_SHORT)
                return
            size = member.size if self.pax_size is None or member.kind == PAX else self.pax_size
            at += BLOCK
            yield from self._member(member, at, size)
            at += round_up(size, BLOCK)
            self.report.reaches(at, "members")

    def _member(self, member: Member, at: int, size: int) -> Steps:
        """Judge one member by its type, its name and its content."""
        if member.kind == PAX:
            yield from self._pax(at, size)
            return
        self.pax_size = None
        self._check_name(member)
        if self.report.findings:
            return
        if member.name.lower().endswith(b".ovf"):
            yield from self._descriptor(at, size)
        elif size:
            yield from self._content(at, size)

    def _check_name(self, member: Member) -> None:
        require = self.report.require
        require(member.kind in REGULAR, "ova-member-type", "a member is no regular file", REPACK)
        name = member.name.removeprefix(b"./").decode("utf-8", "replace")
        plain = NOT_PLAIN.search(name) is None and name.isprintable()
        require(plain, "ova-member-name", "a member's name is a path", REPACK)
        require(name not in self.names, "ova-member-name", "two members have the same name", REPACK)
        self.names.add(name)
        require(len(self.names) <= MOST_MEMBERS, "ova-members", "it has too many members", REPACK)

    def _pax(self, at: int, size: int) -> Steps:
        """Take a size from an extended header, and refuse one that changes a name or makes holes."""
        self.report.require(size <= MOST_PAX_BYTES, "ova-header", "an extended header is too long", REPACK)
        if self.report.findings or not size:
            return
        text = yield Window(at, size)
        changes = re.search(rb"(?:path|GNU\.sparse[^=\n]*|hdrcharset)=", text)
        self.report.require(changes is None, "ova-header", "an extended header changes a name", REPACK)
        sizes = re.findall(rb"(?:^|\n)\d+ size=(\d{1,18})(?=\n)", text)
        self.pax_size = int(sizes[-1]) if sizes else None

    def _descriptor(self, at: int, size: int) -> Steps:
        is_first = len(self.names) == 1
        self.report.require(is_first, "ova-descriptor", "it has two descriptors", REPACK)
        fits = 0 < size <= MOST_DESCRIPTOR_BYTES
        self.report.require(fits, "ova-descriptor", "its descriptor is empty or too long", REPACK)
        if self.report.findings:
            return
        text = b""
        for window in windows(at, size):
            text += yield window
        if len(text) == size:
            self.descriptor = read_descriptor(text, self.report)
            self.report.virtual_bytes = self.descriptor.disk_bytes
            self.report.announce()

    def _content(self, at: int, size: int) -> Steps:
        """Judge a member that may be a disk, by its beginning and its end."""
        head = yield Window(at, min(size, HEAD_BYTES))
        tail = head
        last = min(size - len(head), HEAD_BYTES)
        if last and len(head) == HEAD_BYTES:
            tail += yield Window(at + size - last, last)
        if len(tail) == len(head) + last:
            self._judge(head, End(size, tail[-HEAD_BYTES:]))

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
        missing = self.descriptor.files - self.names
        self.report.require(
            not missing, "ova-reference", "its descriptor names a file that it does not have", REPACK
        )
        self.report.virtual_bytes = max(self.descriptor.disk_bytes, self.disk_bytes)
        self.report.facts |= {"members": len(self.names), "disks": self.descriptor.disks}

    def close(self, end: End) -> None:
        """Check that nothing but zeros follows the end of the archive."""
        behind = end.total - self.end
        zeros = self.end > 0 and behind <= len(end.tail) and not any(end.tail[-behind:])
        self.report.require(zeros, "ova-end", "something follows the end of the archive", REPACK)
