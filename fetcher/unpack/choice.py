"""Tells the disk in an archive from what lies beside it, by its name, its size and its first bytes."""

import re
from enum import Enum

from fetcher.unpack.packings import recognise

DISKS = frozenset(
    """
    raw img qcow qcow2 qcow3 qed vmdk vdi vhd vhdx vpc iso hdd hds dsk disk bin ami root rootfs ext4 wic
    dd squashfs
    """.split()  # noqa: SIM905 - read as a list of words
)
PACKED = frozenset(["gz", "xz", "zst", "zstd", "bz2", "lz4", "zip"])
ARCHIVES = frozenset(["tar", "ova", "box", "tgz", "txz", "tzst", "tbz", "tbz2", "zip"])
SIDE = frozenset(
    """
    txt md rst html htm pdf json xml yaml yml toml ini conf cfg csv log sh ps1 bat cmd py rb pl ovf mf
    cert nvram vmx vmxf vmsd vbox vmtx sha sha1 sha256 sha384 sha512 sha224 md5 asc sig gpg pem crt sums
    manifest packages license lic png jpg jpeg gif svg ico torrent url changelog zsync pkr tf
    """.split()  # noqa: SIM905 - read as a list of words
)
SIDE_NAMES = re.compile(
    r"_?(?:readme|licen[cs]e|copying|notice|change(?:s|log)|authors|install|version|news|vagrantfile|makefile"
    r"|(?:sha|md5|b2|blake2)\d*-?(?:checksums?|sums?)|checksums?|manifest)(?:$|[.\-_])"
)
KERNELS = re.compile(r"(?:^|[-_.])(?:vmlinu[xz]|bzimage|initrd|initramfs|loader)(?:$|[-_.\d])")
"""Files beside a disk to boot it without its own boot loader, of whatever size."""
STATE = frozenset("log lck fd nvram vmem vmss vmsn vmcx vmrs vmgs vsv".split())  # noqa: SIM905 - a list of words
STATE_NAMES = re.compile(r"nvram\.bin$|(?:^|[-_.])floppy$")
"""Firmware, logs and the saved state of a machine, likewise of whatever size."""
DISK_MAGICS = (
    b"QFI\xfb",
    b"QED\0",
    b"KDMV",
    b"COWD",
    b"conectix",
    b"vhdxfile",
    b"<<< ",
    b"# Disk Descriptor",
)


class Guess(Enum):
    """The kind of a member, by its name, its size and its first bytes."""

    DISK = "disk"
    LIKELY = "likely"  # It begins like a disk, and its name says nothing.
    UNKNOWN = "unknown"  # Small, and nothing says what it is.
    SIDE = "side"


def guess(name: str, size: int | None, head: bytes, *, max_side_bytes: int) -> Guess:
    """Tell a disk image, or what must be taken for one because nothing else says what it is, from side files.

    Args:
        name: With its folders.
        size: Of its content; None where only its end shows it.
        head: Its first 512 bytes.
        max_side_bytes: A file that is not known by its name and is larger is a disk.
    """
    base = name.rpartition("/")[2].lower()
    words = base.split(".")
    extension = words[-1] if len(words) > 1 else ""
    if KERNELS.search(base) or extension in STATE or STATE_NAMES.search(base):
        return Guess.SIDE
    if extension in PACKED and len(words) > 2:
        extension = words[-2]
    if extension in DISKS or extension in ARCHIVES:
        return Guess.DISK
    if (size or 0) <= max_side_bytes and (extension in SIDE or SIDE_NAMES.match(base)):
        return Guess.SIDE
    if size is None or size > max_side_bytes:
        return Guess.DISK
    is_likely = head.startswith(DISK_MAGICS) or head[510:512] == b"\x55\xaa" or _is_packed(head)
    return Guess.LIKELY if is_likely else Guess.UNKNOWN


def is_archive(name: str, head: bytes) -> bool:
    """Return whether a member is itself an archive, in which the disk lies."""
    lower = name.lower()
    is_named = lower.endswith((".ova", ".box", ".tgz", ".txz", ".tzst")) or ".tar." in lower
    return recognise(head) in {"zip", "tar", "ova"} or is_named


def _is_packed(head: bytes) -> bool:
    return recognise(head) is not None
