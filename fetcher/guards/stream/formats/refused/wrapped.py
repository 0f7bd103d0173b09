"""Packings, encryptions, backups and recordings of disks that nothing here reads: named and refused.

Specification: the magic number of each tool's format; cpio(5) for the binary form; RFC 1950 for zlib;
    RFC 9580 for OpenPGP's packets.
Reads: the first 4 KiB.
Structure: a magic number; where it is short, lengths and kinds in range, or a beginning that unpacks.
Safety: claimed or not, they are no raw disk, unless they also show themselves to be one (a partition table, a
    file system): an instance would see the packing, never the disk inside.
"""

import zlib
from typing import Literal

from fetcher.guards.stream.formats.report import Kind, Role

UNPACK = "Unpack it and submit the disk image inside."
DECRYPT = "Decrypt it and submit the disk image inside."
RESTORE = "Restore it to a disk, and submit that disk."
STATE = "It is the memory of a machine: submit the machine's disk."
CONVERT = "Convert it with the tool that made it, and submit the disk."


def _kind(key: str, words: str, hint: str = UNPACK) -> Kind:
    return Kind(key=key, words=words, role=Role.DOCUMENT, hint=hint)


ZLIB = _kind("zlib", "a file packed by zlib")
CPIO = _kind(
    "old-cpio",
    "a cpio archive of the old form",
    "Linux unpacks only the new form as a ramdisk: make it with `cpio -H newc`.",
)
LHA, ARJ, ACE = (_kind(name.lower(), f"an {name} archive") for name in ("LHA", "ARJ", "ACE"))
OPENPGP = _kind("openpgp", "a file encrypted by OpenPGP", DECRYPT)
ENCRYPTED = _kind("encrypted", "an encrypted file", DECRYPT)
BACKUP = _kind("backup", "a backup of file systems", RESTORE)
COPY = _kind("partition-copy", "a copy of a partition by its tool", RESTORE)
FORENSIC = _kind("forensic", "a forensic image", "Export it as a raw disk, as `ewfexport -f raw` does.")
RBD = _kind(
    "rbd", "an export of Ceph RBD with headers of its own", "Export it without them: `rbd export IMAGE FILE`."
)
SZDD = _kind("szdd", "a file packed by COMPRESS.EXE")
PACKED_DISC = _kind("packed-disc", "a packed disc", CONVERT)
MEMORY = _kind("machine-state", "the saved state of a machine", STATE)
SCRIPT = _kind(
    "self-extracting",
    "a script with data behind it",
    "Run it on a machine of yours where it unpacks itself, and submit the disk image that comes out.",
)

BEGINNINGS = {
    b"7kSt\xa01\x83\xd3": _kind("zpaq", "a zpaq archive"),
    b"zPQ\1": _kind("zpaq", "a zpaq archive"),
    b"zPQ\2": _kind("zpaq", "a zpaq archive"),
    b"RZIP\2": _kind("rzip", "a file packed by rzip"),
    b"\xff\x06\0\0sNaPpY": _kind("snappy", "a file packed by Snappy"),
    **dict.fromkeys((b"bvx1", b"bvx2", b"bvxn", b"bvx-"), _kind("lzfse", "a file packed by LZFSE")),
    **dict.fromkeys((b"AA01", b"pbze", b"pbzx"), _kind("apple-archive", "an Apple archive")),
    **dict.fromkeys((b"SZDD\x88\xf0\x27\x33", b"KWAJ\x88\xf0\x27\xd1"), SZDD),
    b"WARC/": _kind("warc", "a web archive"),
    b"\0\0\0\x7b": _kind("dar", "a backup by dar", RESTORE),
    b"xFSdump0": BACKUP,
    b"btrfs-stream\0": BACKUP,
    b"FsArCh_": BACKUP,
    **dict.fromkeys((b"partclone-image", b"PaRtImAgE-VoLuMe", b"\0ntfsclone-image"), COPY),
    **dict.fromkeys((b"rbd diff v", b"rbd image v"), RBD),
    **dict.fromkeys((b"EVF\t\r\n\xff\0", b"EVF2\r\n\x81\0", b"AFF10\r\n\0"), FORENSIC),
    **dict.fromkeys((b"QEVM", b"LibvirtQemudSave", b"LibvirtQemudPart", b"LinuxGuestRecord"), MEMORY),
    b"Salted__": ENCRYPTED,
    b"age-encryption.org/v1\n": ENCRYPTED,
    b"\x8c\x0d\4": OPENPGP,
    **dict.fromkeys((b"\x85\1\x0c\3", b"\x85\2\x0c\3", b"\x84\x5e\3"), OPENPGP),
    **dict.fromkeys((b"sprs", b"shdw"), _kind("apple-sparse", "an Apple sparse disk image", CONVERT)),
    b"\xbe\xba\xfe\xca\0\0\0\0": _kind(
        "sesparse",
        "one extent of a VMDK (seSparse)",
        "Convert the whole disk on its host: `vmkfstools -i DESCRIPTOR.vmdk -d thin TARGET.vmdk`.",
    ),
    **dict.fromkeys((b"CISO", b"ZISO", b"IsZ!", b"DAA\0", b"MComprHD"), PACKED_DISC),
    b"MEDIA DESCRIPTOR": _kind("mds", "the descriptor of a disc", "Submit the disc itself, as .iso."),
    b"ANDROID!": _kind("android-boot", "a boot image of Android", "Submit the disk that it boots."),
    b"CrAU": _kind("android-payload", "an update of Android or ChromeOS", UNPACK),
}  # fmt: skip
PLACED = (
    (7, b"**ACE**", ACE),
    (24, b"\x6c\xea\0\0", BACKUP),  # dump, of an ext file system.
    (8, b"\xac\xcb\xba\xf5\2\0\0\0", BACKUP),  # zfs send.
    (4, b"SignedImage ", _kind("ffu", "a full flash update of Windows", CONVERT)),
)
"""Magic numbers behind the beginning."""
SHORT_STARTS = (
    b"\xc7\x71",
    b"\x71\xc7",
    b"\x60\xea",
    b"\x78\1",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
    b"#!",
)
LHA_AT, LHA_STARTS = 2, (b"-lh", b"-lz", b"-pm")
SIGNS = (
    (0, (*BEGINNINGS, *SHORT_STARTS)),
    (LHA_AT, LHA_STARTS),
    *((at, (magic,)) for at, magic, _kind_of in PLACED),
)
"""Bytes of which some have to be there."""

TRIED_BYTES = 4_096
LEAST_UNPACKED = 512
CPIO_HEADER = 26
CPIO_TYPES = (1, 2, 4, 6, 8, 10, 12)  # The upper four bits of a mode.
ARJ_HEADER = range(30, 2_601)


def recognise(head: bytes) -> Kind | None:
    """Find what a disk was packed in, or saved as; None where it is nothing of the kind."""
    for beginning, kind in BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    for at, magic, kind in PLACED:
        if head.startswith(magic, at):
            return kind
    if head.startswith(SHORT_STARTS):
        return _recognise_short(head)
    return LHA if head.startswith(LHA_STARTS, LHA_AT) and head[6:7] == b"-" else None


def _recognise_short(head: bytes) -> Kind | None:
    """Find what its magic number alone, of two bytes, would say of many a disk."""
    if head.startswith(b"#!"):
        line, is_ended, _rest = head[:256].partition(b"\n")
        return SCRIPT if is_ended and line.isascii() and line.decode().isprintable() else None
    if head[:1] == b"\x78":
        return ZLIB if _unpacks(head) else None
    if head[:2] == b"\x60\xea":
        return ARJ if int.from_bytes(head[2:4], "little") in ARJ_HEADER and head[10:11] == b"\2" else None
    return CPIO if _is_cpio(head, "little" if head[:1] == b"\xc7" else "big") else None


def _unpacks(head: bytes) -> bool:
    """Answer whether the beginning of a stream of zlib unpacks to a sector or more."""
    try:
        return len(zlib.decompressobj().decompress(head[:TRIED_BYTES], LEAST_UNPACKED)) == LEAST_UNPACKED
    except zlib.error:
        return False


def _is_cpio(head: bytes, order: Literal["little", "big"]) -> bool:
    mode, name_bytes = (int.from_bytes(head[at : at + 2], order) for at in (6, 20))
    end = CPIO_HEADER + name_bytes
    return mode >> 12 in CPIO_TYPES and 1 < name_bytes <= TRIED_BYTES and head[end - 1 : end] == b"\0"
