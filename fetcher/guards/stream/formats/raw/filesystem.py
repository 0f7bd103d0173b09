"""File systems and volumes that show a raw disk to be one, and that Image API's ami stands for.

Specification: ext: Linux, Documentation/filesystems/ext4/super.rst; XFS: On Disk Structures; SquashFS
    4.0; cramfs, romfs, ReiserFS, UFS, OCFS2, APFS, bcachefs, BFS, ReFS: their magic numbers; ZFS: the label's
    packed list; NILFS2 and MINIX: their superblocks; FAT: Microsoft's
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
    (0, b"\x28\xcd\x3d\x45", "cramfs"),  # Big endian.
    (0, b"\xce\xfa\xad\x1b", "bfs"),
    (3, b"ReFS\0\0\0\0", "refs"),
    *((16_384, bytes([1, order]) + bytes(9) + b"\1", "zfs") for order in (0, 1)),
    (0, b"-rom1fs-", "romfs"),
    (32, b"NXSB", "apfs"),
    (8_244, b"ReIsErFs", "reiserfs"),
    (9_564, b"\x19\x01\x54\x19", "ufs"),
    (9_564, b"\x19\x54\x01\x19", "ufs"),
    *((size * 2, b"OCFSV2", "ocfs2") for size in (512, 1_024, 2_048, 4_096)),
    (4_120, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", "bcachefs"),
)
PAGES = (4_096, 8_192, 16_384, 65_536)
VOLUMES = (
    *((sector * 512 + 24, b"LVM2 001", "lvm2") for sector in range(4)),
    (0, b"\xfc\x4e\x2b\xa9\1\0\0\0", "mdraid"),
    (4_120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache"),
    (4_096, b"\xfc\x4e\x2b\xa9", "mdraid"),
    *((page - 10, word, "swap") for page in PAGES for word in (b"SWAPSPACE2", b"SWAP-SPACE")),
)
BOOT_SECTORS = {b"NTFS    ": "ntfs", b"EXFAT   ": "exfat"}
BOOT_AT, BOOT_MAGIC = 510, b"\x55\xaa"
XFS, SQUASHFS = b"XFSB", b"hsqs"
NILFS_AT, NILFS, NILFS_REVISION = 1_030, b"\x34\x34", b"\2\0\0\0"
MINIX_AT, MINIX = 1_040, (b"\x7f\x13", b"\x8f\x13", b"\x68\x24", b"\x78\x24")
MINIX_3_AT, MINIX_3 = 1_048, b"\x5a\x4d"
SIGNS = (
    (0, (XFS, SQUASHFS)),
    (EXT_AT + 56, (EXT_MAGIC,)),
    (BOOT_AT, (BOOT_MAGIC,)),
    *((at, (magic,)) for at, magic, _name in SUPERBLOCKS),
    *((NILFS_AT, (NILFS,)), (MINIX_AT, MINIX), (MINIX_3_AT, (MINIX_3,))),
)
"""Bytes of which some have to be there for a file system in the head."""


def recognise(head: bytes) -> Report | None:
    """Find a file system in the first 64 KiB."""
    name = _starting(head) or _ext(head) or _boot_sector(head) or _old(head)
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


def _old(head: bytes) -> str:
    """Find what has a magic number of two bytes, by the numbers beside it."""
    if head.startswith(NILFS, NILFS_AT) and head.startswith(NILFS_REVISION, 1_024):
        return "nilfs2"
    is_old = head.startswith(MINIX, MINIX_AT)
    maps_at, zone_at = (1_028, 1_034) if is_old else (1_030, 1_036)
    has_maps = all(int.from_bytes(head[at : at + 2], "little") for at in (maps_at, maps_at + 2))
    is_plain = has_maps and head[zone_at : zone_at + 2] == bytes(2)  # Zones of one block, as mkfs makes them.
    if is_old or head.startswith(MINIX_3, MINIX_3_AT):
        return "minix" if is_plain else ""
    return ""


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
