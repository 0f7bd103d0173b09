"""File systems and volumes that show a raw disk to be one, and that Image API's ami stands for.

Specification: ext: Linux, Documentation/filesystems/ext4/super.rst; XFS: On Disk Structures; SquashFS
    4.0; cramfs, romfs, ReiserFS, UFS, OCFS2, APFS, bcachefs: their magic numbers; FAT: Microsoft's
    specification 1.03; NTFS, exFAT: their boot sectors; HFS+: Apple TN1150; LVM2: its label header; Btrfs:
    its on-disk format; swap: mkswap.
Reads: the first 64 KiB; Btrfs and ReiserFS, just behind, where nothing else was found.
Structure: magic, and where it is short, block sizes and versions in range.
Safety: none; a file system refers to nothing outside itself.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

FILE_SYSTEM = Kind(
    key="filesystem", words="a raw disk with a file system", role=Role.TRACE, disk_format="raw"
)
VOLUME = Kind(key="volume", words="a raw disk with a volume", role=Role.TRACE, disk_format="raw")
HFS = Kind(key="hfs", words="a raw disk with a file system (HFS)", role=Role.TRACE, disk_format="raw")

EXT_AT, EXT_MAGIC = 1_024, b"\x53\xef"
BEHIND = ((65_600, b"_BHRfS_M", "btrfs"), (65_588, b"ReIsEr", "reiserfs"))
SUPERBLOCKS = (
    (1_024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (1_024, b"\x10\x20\xf5\xf2", "f2fs"),
    (32_768, b"JFS1", "jfs"),
    (0, b"\x45\x3d\xcd\x28", "cramfs"),
    (512, b"\x45\x3d\xcd\x28", "cramfs"),
    (0, b"-rom1fs-", "romfs"),
    (32, b"NXSB", "apfs"),
    (8_244, b"ReIsErFs", "reiserfs"),
    (9_564, b"\x19\x01\x54\x19", "ufs"),
    (9_564, b"\x19\x54\x01\x19", "ufs"),
    *((size * 2, b"OCFSV2", "ocfs2") for size in (512, 1_024, 2_048, 4_096)),
    (4_120, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", "bcachefs"),
)
VOLUMES = (
    *((sector * 512 + 24, b"LVM2 001", "lvm2") for sector in range(4)),
    (0, b"\xfc\x4e\x2b\xa9\1\0\0\0", "mdraid"),
    (4_120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache"),
    (4_096, b"\xfc\x4e\x2b\xa9", "mdraid"),
    (4_086, b"SWAPSPACE2", "swap"),
)
BOOT_SECTORS = {b"NTFS    ": "ntfs", b"EXFAT   ": "exfat"}
BOOT_AT, BOOT_MAGIC = 510, b"\x55\xaa"
XFS, SQUASHFS = b"XFSB", b"hsqs"
SIGNS = (
    (0, (XFS, SQUASHFS)),
    (EXT_AT + 56, (EXT_MAGIC,)),
    (BOOT_AT, (BOOT_MAGIC,)),
    *((at, (magic,)) for at, magic, _name in SUPERBLOCKS),
)
"""Bytes of which some have to be there for a file system in the head."""


def recognise(head: bytes) -> Report | None:
    """Find a file system in the first two kilobytes."""
    name = _starting(head) or _ext(head) or _boot_sector(head)
    return report_of(name) if name else None


def report_of(name: str) -> Report:
    """Return the report on a file system of this name."""
    return Report(kind=FILE_SYSTEM, name=f"raw disk image, {name}", facts={"file_system": name})


def recognise_volume(head: bytes) -> Report | None:
    """Find what is no file system, but is put on disks without partitions: LVM, RAID, swap."""
    for at, magic, name in VOLUMES:
        if head.startswith(magic, at):
            return Report(kind=VOLUME, name=f"raw disk image, {name}", facts={"volume": name})
    return None


def recognise_hfs(head: bytes) -> Report | None:
    """Find HFS or HFS+, which discs for Apple's computers carry beside ISO 9660."""
    if head[1024:1026] in (b"H+", b"HX") and head[1026:1028] in (b"\0\4", b"\0\5"):
        return Report(kind=HFS, name="raw disk image, hfs+", facts={"file_system": "hfs+"})
    if head[1024:1026] == b"BD" and len(head) > 1060 and 0 < head[1060] <= 27:
        return Report(kind=HFS, name="raw disk image, hfs", facts={"file_system": "hfs"})
    return None


def _starting(head: bytes) -> str:
    if head[:4] == XFS and head[4:8] != bytes(4):
        return "xfs"
    if head[:4] == SQUASHFS and head[28:32] == b"\4\0\0\0":
        return "squashfs"
    return next((name for at, magic, name in SUPERBLOCKS if head.startswith(magic, at)), "")


def _ext(head: bytes) -> str:
    block = head[EXT_AT : EXT_AT + 256]
    if len(block) < 256 or block[56:58] != EXT_MAGIC:
        return ""
    inodes, blocks = (int.from_bytes(block[at : at + 4], "little") for at in (0, 4))
    log_block, state = int.from_bytes(block[24:28], "little"), int.from_bytes(block[76:80], "little")
    return "ext" if inodes and blocks and log_block <= 6 and state <= 1 else ""


def _boot_sector(head: bytes) -> str:
    if not head.startswith(BOOT_MAGIC, BOOT_AT):
        return ""
    if head[3:11] in BOOT_SECTORS:
        return BOOT_SECTORS[head[3:11]]
    sector, cluster, fats = int.from_bytes(head[11:13], "little"), head[13], head[16]
    plausible = (
        sector in (512, 1024, 2048, 4096) and cluster and not cluster & (cluster - 1) and fats in (1, 2)
    )
    return "fat" if plausible and head[0] in (0xEB, 0xE9) else ""


def recognise_behind(window: bytes, at: int) -> Report | None:
    """Find a file system whose magic lies just behind the first 64 KiB, in a window from byte `at`."""
    name = next((name for place, magic, name in BEHIND if window.startswith(magic, place - at)), "")
    return report_of(name) if name else None
