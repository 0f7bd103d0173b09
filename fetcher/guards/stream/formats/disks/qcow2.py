"""QCOW2, versions 2 and 3.

Specification: QEMU, docs/interop/qcow2.txt.
Reads: the header and its extensions (at most 64 KiB); then the L1 table and the L2 tables that lie
    behind it, to learn the farthest cluster.
Structure: version, header length, cluster size and refcount width in range; tables aligned, not over
    the header, large enough for the disk, and inside the file; compression type known.
Safety: no backing file, no external data file, no encryption, not marked corrupt, no feature that
    is not understood.
"""

from collections.abc import Callable
from functools import partial
from struct import Struct

from fetcher.guards.stream.formats.disks.qcow2_tables import Geometry, follow
from fetcher.guards.stream.formats.report import CUT_SHORT, HEAD_BYTES, NO_DISK, Kind, Report, Role, Steps

QCOW2 = Kind(key="qcow2", words="a QCOW2 disk image", role=Role.DISK, disk_format="qcow2", qemu="qcow2")

MAGIC = b"QFI\xfb"
HEADER = Struct(">4sIQIIQIIQQIIQ")  # Version 2 ends here, at byte 72.
HEADER_3 = Struct(">QQQII")
EXTENSION = Struct(">II")
EXTENSION_END, DATA_FILE, CRYPTO_HEADER = 0, 0x44415441, 0x0537BE77
DIRTY, CORRUPT, EXTERNAL, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))
RAW_EXTERNAL = 2  # Of the features that old writers clear: only an image with a data file may have it.
UNDERSTOOD = DIRTY | COMPRESSION | EXTENDED_L2
MAX_L1_BYTES = 32 << 20  # As in qemu.
MAX_REFTABLE_BYTES = 8 << 20  # As in qemu.
MAX_SNAPSHOTS = 65_536  # As in qemu.
SNAPSHOT_BYTES = 40  # The least that one entry takes.
REMAKE = "Make a copy without it: `qemu-img convert -O qcow2 SOURCE TARGET`."
DECRYPT = (
    "Make a copy without it, with the passphrase in a file: `qemu-img convert "
    "--object secret,id=key,file=PASSPHRASE "
    "--image-opts driver=qcow2,encrypt.key-secret=key,file.filename=SOURCE -O qcow2 TARGET`."
)


def recognise(head: bytes) -> Report | None:
    """Find QCOW2 by its magic and a version that qemu does not take for QCOW1."""
    if head[:4] != MAGIC or head[4:8] == b"\0\0\0\1":
        return None
    report = Report(kind=QCOW2, name="QCOW2 disk image")
    if len(head) < HEADER.size:
        report.broke("qcow2-header", "its header is cut short", CUT_SHORT)
        return report
    image = _Image(head, report)
    report.virtual_bytes = image.size
    report.name = f"QCOW2 v{image.version} disk image"
    report.facts |= {"version": image.version, "cluster_bytes": 1 << min(image.cluster_bits, 64)}
    if image.version not in (2, 3):
        report.broke("qcow2-version", f"its version {image.version} is neither 2 nor 3")
        return report
    image.check_references()
    image.check_header()
    report.data_at = image.cluster if 9 <= image.cluster_bits <= 21 else None
    if not report.findings:
        image.check_tables()
        image.check_extensions()
    if not report.findings:
        report.follow = image.follower()
    return report


class _Image:
    """The fields of one header, and the checks on them."""

    def __init__(self, head: bytes, report: Report) -> None:
        self.head = head
        self.report = report
        (
            _,
            self.version,
            self.backing_offset,
            self.backing_bytes,
            self.cluster_bits,
            self.size,
            self.crypt,
            self.l1_entries,
            self.l1_offset,
            self.reftable_offset,
            self.reftable_clusters,
            self.snapshots,
            self.snapshots_offset,
        ) = HEADER.unpack_from(head)
        self.autoclear, self.incompatible, self.refcount_order, self.header_bytes, self.compression = (
            0,
            0,
            4,
            HEADER.size,
            0,
        )
        if self.version >= 3 and len(head) >= HEADER.size + HEADER_3.size:
            self.incompatible, _, self.autoclear, self.refcount_order, self.header_bytes = (
                HEADER_3.unpack_from(head, 72)
            )
            if self.header_bytes > 104 and len(head) > 104:
                self.compression = head[104]

    @property
    def cluster(self) -> int:
        return int(1 << self.cluster_bits)

    def check_header(self) -> None:
        require = self.report.require
        if not 9 <= self.cluster_bits <= 21:
            self.report.broke("qcow2-cluster", "its cluster size is out of range")
            return
        least = 72 if self.version == 2 else 104
        require(
            least <= self.header_bytes <= min(self.cluster, len(self.head)) and self.header_bytes % 8 == 0,
            "qcow2-header",
            "its header length is out of range",
        )
        require(self.refcount_order <= 6, "qcow2-refcount", "its refcount width is out of range")
        extended = bool(self.incompatible & EXTENDED_L2)
        require(
            not extended or self.cluster_bits >= 14,
            "qcow2-cluster",
            "its clusters are too small to be divided",
        )
        has_type = bool(self.incompatible & COMPRESSION)
        require(
            self.compression in (0, 1) and has_type == (self.compression != 0),
            "qcow2-compression",
            "its compression type is unknown",
        )

    def check_references(self) -> None:
        require, incompatible = self.report.require, self.incompatible
        require(
            self.backing_offset == 0 and self.backing_bytes == 0,
            "qcow2-backing-file",
            "it names a backing file",
            REMAKE,
        )
        is_external = incompatible & EXTERNAL or self.autoclear & RAW_EXTERNAL
        require(not is_external, "qcow2-data-file", "it keeps its data in another file", REMAKE)
        require(
            not incompatible & CORRUPT,
            "qcow2-corrupt",
            "it is marked as corrupt",
            "Repair it with `qemu-img check -r all`.",
        )
        require(
            not incompatible & ~(UNDERSTOOD | EXTERNAL | CORRUPT),
            "qcow2-feature",
            "it needs a feature that is not known",
            REMAKE,
        )
        require(self.crypt == 0, "qcow2-encrypted", "it is encrypted, so nothing can boot from it", DECRYPT)
        if incompatible & DIRTY:
            self.report.facts["dirty"] = True

    def check_tables(self) -> None:
        report, require = self.report, self.report.require
        entry = 16 if self.incompatible & EXTENDED_L2 else 8
        covered = self.cluster // entry * self.cluster
        needed = -(-self.size // covered)
        require(
            needed <= self.l1_entries and self.l1_entries * 8 <= MAX_L1_BYTES,
            "qcow2-l1",
            "its L1 table does not fit its disk",
        )
        require(self.size > 0, "empty-disk", "it describes a disk of no bytes", NO_DISK)
        reftable_bytes = self.reftable_clusters * self.cluster
        require(
            0 < reftable_bytes <= MAX_REFTABLE_BYTES, "qcow2-refcount", "its refcount table is out of range"
        )
        self._place(self.l1_offset, self.l1_entries * 8, "L1 table")
        self._place(self.reftable_offset, reftable_bytes, "refcount table")
        require(self.snapshots <= MAX_SNAPSHOTS, "qcow2-snapshots", "it has too many snapshots")
        if self.snapshots:
            report.facts["snapshots"] = self.snapshots
            self._place(self.snapshots_offset, self.snapshots * SNAPSHOT_BYTES, "snapshot table")
        else:
            is_placed = self.snapshots_offset % self.cluster == 0 and self.snapshots_offset < 1 << 63
            require(is_placed, "qcow2-table-place", "its snapshot table is not where one may be")

    def _place(self, offset: int, length: int, what: str) -> None:
        aligned = offset % self.cluster == 0 and offset >= self.cluster
        self.report.require(aligned, "qcow2-table-place", f"its {what} is not where one may be")
        self.report.reaches(offset + length, what)

    def check_extensions(self) -> None:
        """Walk the header extensions: they end inside the first cluster, and name no data file."""
        at, limit = self.header_bytes, min(self.cluster, HEAD_BYTES)
        while at + EXTENSION.size <= min(limit, len(self.head)):
            kind, length = EXTENSION.unpack_from(self.head, at)
            if kind == EXTENSION_END:
                fits = length <= self.cluster - at - EXTENSION.size
                self.report.require(
                    fits, "qcow2-extension", "its header extensions do not end where they must"
                )
                return
            self.report.require(kind != DATA_FILE, "qcow2-data-file", "it names a data file", REMAKE)
            self.report.require(
                kind != CRYPTO_HEADER, "qcow2-encrypted", "it has an encryption header", DECRYPT
            )
            at += EXTENSION.size + (length + 7) // 8 * 8
        ends = at == limit == self.cluster
        self.report.require(ends, "qcow2-extension", "its header extensions do not end where they must")

    def follower(self) -> Callable[[], Steps]:
        """Return what reads the tables behind the header."""
        geometry = Geometry(
            version=self.version,
            reftable_offset=self.reftable_offset,
            reftable_bytes=self.reftable_clusters * self.cluster,
            l1_offset=self.l1_offset,
            l1_entries=self.l1_entries,
            cluster_bits=self.cluster_bits,
            has_subclusters=bool(self.incompatible & EXTENDED_L2),
        )
        return partial(follow, geometry, self.report)
