"""Labels and superblocks that no tool here makes: written field by field from their published layouts."""

import struct
from collections.abc import Callable

import pytest

from tests.guards.stream.formats.build import MIB, put
from tests.guards.stream.formats.corpus import cut, inspected, new_guard, verdict_of


def zfs(order: int) -> bytes:
    """Make the first label of a vdev (ZFS On-Disk Specification, Sun 2006, sections 1.2 and 1.3).

    8 KiB of nothing, 8 KiB of a boot header, then the list of pairs: encoding (1: XDR) and byte order of the
    writer, the version and flags of the list (1: unique names), and pairs, of which this has one.
    """
    name, number = b"version", 5_000
    pair = struct.pack(">I7sxiiQ", len(name), name, 8, 1, number)  # Type 8: a number of 64 bits; one of them.
    listed = struct.pack(">BBxxiI", 1, order, 0, 1) + struct.pack(">II", 8 + len(pair), 48) + pair + bytes(8)
    return put(bytes(MIB), 16_384, listed)


def refs() -> bytes:
    """Make the header of a volume (libyal, libfsrefs/fsrefs_volume_header.h)."""
    layout = struct.Struct("<3s8s5s4sHHQIIBB")
    fields = (bytes(3), b"ReFS\0\0\0\0", bytes(5), b"FSRS", 512, 0, MIB // 512, 512, 128, 3, 4)
    return put(bytes(MIB), 0, layout.pack(*fields))


def aix() -> bytes:
    """Make a boot record with the volume's descriptor (xfsprogs, libdisk/pttype.h; Linux, partitions/aix.c).

    "IBMA" in EBCDIC at the beginning; `_LVM` in sector 7.
    """
    return put(put(bytes(MIB), 0, "IBMA".encode("cp037")), 7 * 512, b"_LVM")


def bsd_on_alpha() -> bytes:
    """Make a disk label where Alpha has it (util-linux, libblkid/src/partitions/bsd.c; BSD, sys/disklabel.h).

    Sector 0, byte 64; the magic number again at 132 of the label, then a checksum: all words xored are zero.
    """
    magic = 0x8256_4557
    label = struct.pack("<IHH16s16s", magic, 4, 0, b"disk", b"default")
    label += struct.pack("<IIIIII", 512, 63, 16, 2, 1_008, MIB // 512)
    label = label.ljust(132, b"\0") + struct.pack("<IHH", magic, 0, 1)
    label += struct.pack("<II", 8_192, 8_192) + struct.pack("<IIIBBH", MIB // 512, 0, 1_024, 7, 8, 16)
    checksum = 0
    for (word,) in struct.iter_unpack("<H", label):
        checksum ^= word
    return put(bytes(MIB), 64, put(label, 136, struct.pack("<H", checksum)))


MADE: dict[str, tuple[Callable[[], bytes], dict[str, str]]] = {
    "zfs, big-endian": (lambda: zfs(0), {"file_system": "zfs"}),
    "zfs, little-endian": (lambda: zfs(1), {"file_system": "zfs"}),
    "refs": (refs, {"file_system": "refs"}),
    "aix": (aix, {"partition_table": "aix"}),
    "bsd on alpha": (bsd_on_alpha, {"partition_table": "bsd"}),
}


@pytest.mark.parametrize("name", MADE)
def test_a_label_by_its_layout_shows_a_raw_disk(name: str) -> None:
    """It is a raw disk without a claim, named by the label, and nothing once the label is one byte off."""
    make, facts = MADE[name]
    image = make()
    assert verdict_of(new_guard(), cut(image, MIB)) == ("raw/bare", "-")
    assert inspected(image).report().facts.items() >= facts.items()
    assert inspected(b"\0" + image).report().format == "unknown"
