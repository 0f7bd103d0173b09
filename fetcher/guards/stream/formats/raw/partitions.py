"""Raw disks by their partition tables: MBR, GPT, Apple's, and the labels of BSD, Sun, SGI, AIX and Amiga.

Specification: UEFI 2.10 chapter 5 (GPT, and the MBR in 5.2); Apple, Inside Macintosh: Devices, chapter 3.
Reads: the first 8 KiB: the MBR at 0, GPT headers at 512 and 4096, labels in the first 16 sectors.
Structure: an MBR has its signature, flags of 0 or 80h only, and one partition at least; a GPT header
    has its signature and a right checksum. A GPT whose second copy would lie behind the end of the
    file shows that the file is cut short.
Safety: none; a raw disk refers to nothing.
"""

from struct import Struct
from zlib import crc32

from fetcher.guards.stream.formats.report import Kind, Report, Role

MBR = Kind(key="mbr", words="a raw disk with a partition table (MBR)", role=Role.TRACE, disk_format="raw")
GPT = Kind(key="gpt", words="a raw disk with a partition table (GPT)", role=Role.TRACE, disk_format="raw")
APPLE = Kind(key="apm", words="a raw disk with a partition table (Apple)", role=Role.TRACE, disk_format="raw")
LABEL = Kind(key="label", words="a raw disk with a disk label", role=Role.TRACE, disk_format="raw")
BOOT = Kind(key="boot", words="a raw disk with a boot sector", role=Role.TRACE, disk_format="raw")

SECTOR = 512
ENTRY = Struct("<B3xB3xII")
ENTRIES_AT, ENTRY_COUNT = 446, 4
GPT_HEADER = Struct("<8sIII4xQQQQ")
GPT_SECTORS = (512, 4096)
LABELS = (
    *((at, b"\x57\x45\x56\x82", "bsd") for at in (512, 64)),  # The second sector; Alpha's first.
    (508, b"\xda\xbe", "sun"),
    (0, b"\x0b\xe5\xa9\x41", "sgi"),
    (0, b"\xc9\xc2\xd4\xc1", "aix"),
    *((sector * 512, b"RDSK", "amiga") for sector in range(16)),
)


def recognise_mbr(head: bytes) -> Report | None:
    """Find a master boot record, or a boot sector without partitions."""
    if head[510:512] != b"\x55\xaa":
        return None
    entries = [ENTRY.unpack_from(head, ENTRIES_AT + ENTRY.size * number) for number in range(ENTRY_COUNT)]
    used = [entry for entry in entries if entry[1] and entry[3]]
    if not used or any(entry[0] not in (0, 0x80) for entry in entries):
        return Report(kind=BOOT, name="raw disk image, boot sector")
    return Report(kind=MBR, name="raw disk image, MBR", facts={"partition_table": "mbr"})


def recognise_gpt(head: bytes) -> Report | None:
    """Find a GUID partition table, for sectors of 512 or 4096 bytes."""
    for sector in GPT_SECTORS:
        if head[sector : sector + 8] != b"EFI PART" or len(head) < sector + SECTOR:
            continue
        _, _, length, checksum, _, other, _, _ = GPT_HEADER.unpack_from(head, sector)
        report = Report(kind=GPT, name="raw disk image, GPT", facts={"partition_table": "gpt"})
        if 92 <= length <= SECTOR:
            header = bytearray(head[sector : sector + length])
            header[16:20] = bytes(4)
            if crc32(header) == checksum:
                report.reaches((other + 1) * sector, "second partition table")
        return report
    return None


def recognise_label(head: bytes) -> Report | None:
    """Find the labels that BSD, Sun, SGI, AIX and Amiga put on disks."""
    for at, magic, name in LABELS:
        if head.startswith(magic, at):
            return Report(kind=LABEL, name=f"raw disk image, {name} label", facts={"partition_table": name})
    return None


def recognise_apple(head: bytes) -> Report | None:
    """Find an Apple partition map behind a driver descriptor."""
    if head[:2] == b"ER" and head[SECTOR : SECTOR + 4] == b"PM\0\0":
        return Report(
            kind=APPLE, name="raw disk image, Apple partition map", facts={"partition_table": "apm"}
        )
    return None
