"""Streams that make the most work for their size: for each recogniser the worst that is known."""

import random
import struct
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from random import Random

from tests.guards.stream.formats.build import (
    MIB,
    parallels,
    patch,
    put,
    qcow2,
    udf,
    vdi,
    vhd,
    vhd_footer,
    vhdx,
    vmdk,
    vmdk_stream,
)
from tests.guards.stream.formats.build import iso as disc
from tests.guards.stream.formats.hostile_ova import ova
from tests.guards.stream.formats.hostile_packed import NOISE, pack_zip
from tests.guards.stream.formats.hostile_tar import archive, head, long_name, pax

ZSTD_START = b"\x28\xb5\x2f\xfd\x00\x48"
LZ4_START = b"\x04\x22\x4d\x18\x60\x40\x82"


def zstd_block(kind: int, size: int, content: bytes = b"\0") -> bytes:
    """Make a block of Zstandard that is not the last."""
    return (kind << 1 | size << 3).to_bytes(3, "little") + content


def zstd_runs(sizes: Iterator[int], count: int) -> bytes:
    """Make a frame of so many runs of one byte, four bytes each."""
    return ZSTD_START + b"".join(zstd_block(1, size) for size in islice(sizes, count))


def zstd_cuts(size: int, count: int) -> bytes:
    """Make a frame of blocks that are kept as they are, of so many bytes each."""
    return ZSTD_START + zstd_block(0, size, bytes(size)) * count


def lz4_cuts(sizes: Iterator[int], count: int) -> bytes:
    """Make a frame of blocks that are kept as they are."""
    blocks = (struct.pack("<I", size | 1 << 31) + bytes(size) for size in islice(sizes, count))
    return LZ4_START + b"".join(blocks)


def skippable(lengths: Iterator[int], count: int) -> bytes:
    """Make skippable frames."""
    frames = (struct.pack("<II", 0x184D2A50, size) + bytes(size) for size in islice(lengths, count))
    return b"".join(frames)


def ovf_of(element: bytes, size: int = 262_000) -> bytes:
    """Make an appliance whose descriptor is full of one element."""
    return ova(("a.ovf", b"<Envelope>" + element * ((size - 21) // len(element)) + b"</Envelope>"))


EMPTY_OVF = b"<Envelope/>"


def parallels_table() -> bytes:
    """Make a Parallels image of a gigabyte whose table is full, of different clusters in no order."""
    image = bytearray(parallels(sectors=8 * 250_000, cluster=8))
    places = list(range(245, 245 + 250_000))
    random.Random(7).shuffle(places)
    struct.pack_into("<250000I", image, 64, *places)
    return bytes(image)


def qcow2_tables() -> bytes:
    """Make a QCOW2 image of 4 GiB whose tables are full, and of different clusters."""
    image = bytearray(qcow2(size=4 << 30))
    table = struct.pack(">8192Q", *((6 + number) << 16 | 1 << 63 for number in range(8_192)))
    image[4 << 16 : 5 << 16] = table
    return bytes(image)


def vdi_map() -> bytes:
    """Make a VDI of 64 GiB all of whose blocks are mapped, and none there."""
    blocks = 65_536
    image = patch(vdi(size=blocks * MIB), 0x158, "<I", 512 + blocks * 4)
    return put(patch(image, 0x184, "<I", blocks), 512, struct.pack(f"<{blocks}I", *range(blocks)))


def vhd_table() -> bytes:
    """Make a VHD of 1 TiB all of whose blocks are mapped, and one there."""
    image = vhd(size=1 << 40)
    entries = (1 << 40) // (2 * MIB)
    first, step = (1_536 + 4 * entries + 511) // 512, 2 * MIB // 512 + 1
    return put(
        image, 1_536, struct.pack(f">{entries}I", *(first + step * number for number in range(entries)))
    )


WORST: dict[str, Callable[[], bytes]] = {
    "zstd, runs of two lengths": lambda: zstd_runs(cycle([1, 2]), 262_144),
    "zstd, runs of long lengths": lambda: zstd_runs(cycle([1 << 17, (1 << 17) - 1]), 262_144),
    "zstd, one run again and again": lambda: zstd_runs(cycle([1]), 262_144),
    "zstd, empty blocks": lambda: zstd_cuts(0, 349_525),
    "zstd, blocks of 61 bytes": lambda: zstd_cuts(61, 65_536),
    "zstd, blocks of 1,100 bytes": lambda: zstd_cuts(1_100, 4_096),
    "zstd, skippable frames": lambda: skippable(cycle([0]), 131_072),
    "zstd, skippable frames of all lengths": lambda: skippable(cycle(range(40)), 40_000),
    "zstd, empty frames": lambda: (
        (b"\x28\xb5\x2f\xfd\x20\0\1\0\0" + b"\x28\xb5\x2f\xfd\0\x48\1\0\0") * 58_000
    ),
    "lz4, blocks of two lengths": lambda: lz4_cuts(cycle([1, 2]), 190_000),
    "lz4, blocks of 60 bytes": lambda: lz4_cuts(cycle([60]), 65_536),
    "lz4, empty frames": lambda: (LZ4_START + bytes(4)) * 95_000,
    "lz4, legacy": lambda: (
        b"\x02\x21\x4c\x18" + (struct.pack("<I", 1) + b"\0" + struct.pack("<I", 2) + b"\0\0") * 95_000
    ),
    "ova, many elements": lambda: ovf_of(b"<a/>"),
    "ova, many attributes": lambda: ovf_of(b"<a b='' c='' d='' e='' f='' g=''/>"),
    "ova, many files": lambda: ovf_of(b"<File href='a'/>"),
    "ova, deep": lambda: ova(("a.ovf", b"<a>" * 87_000)),
    "ova, long attribute": lambda: ova(("a.ovf", b"<a b='" + b"&lt;" * 65_000 + b"'/>")),
    "ova, long descriptor": lambda: ova(("a.ovf", b"<E b='" + b"&lt;" * 262_000 + b"'/>")),
    "ova, many references": lambda: ova(
        (
            "a.ovf",
            b"<Envelope>"
            + b"".join(
                b"<File id='%d' href='%d'/><Disk capacity='1' fileRef='%d'/>" % (number, number, number)
                for number in range(2_700)
            )
            + b"</Envelope>",
        )
    ),
    "ova, long manifest": lambda: ova(
        ("a.ovf", EMPTY_OVF),
        ("a.mf", b"".join(b"SHA1(m%d)=%040d\n" % (number, number) for number in range(1_250))),
        *((f"m{number}", b"x") for number in range(1_000)),
    ),
    "ova, digests of a member": lambda: ova(("a.ovf", EMPTY_OVF), ("x", NOISE * 4)),
    "ova, many members": lambda: ova(
        ("a.ovf", EMPTY_OVF), *((f"m{number}", b"x") for number in range(1_000))
    ),
    "ova, many records": lambda: archive(
        *(pax(b"5 a=\n" * 13_000) + head(name=f"m{number}") for number in range(8)), descriptor=EMPTY_OVF
    ),
    "ova, first of many records": lambda: (
        pax(b"7 path=\n" * 8_000) + archive(descriptor=EMPTY_OVF) + bytes(65_536)
    ),
    "ova, many headers": lambda: archive(
        *(long_name("x", b"K") + head(name=f"m{number}") for number in range(1_000)),
        descriptor=EMPTY_OVF,
    ),
    "ova, zeros behind its end": lambda: archive(descriptor=EMPTY_OVF) + bytes(4 << 20),
    "qcow2, full tables": qcow2_tables,
    "vmdk, full descriptor": lambda: vmdk(descriptor=b'createType="' * 853),
    "vmdk, stream": vmdk_stream,
    "vmdk, text": lambda: b"#\n" * 255 + b" " + b"createTyp\n" * 6_000,
    "vdi, full map": vdi_map,
    "vhd, full table": vhd_table,
    "vhdx, tables": vhdx,
    "vhdx, table of noise": lambda: b"vhdxfile".ljust(65_536, b"\0") + NOISE,
    "parallels, full table": parallels_table,
    "iso, descriptors": disc,
    "udf": udf,
    "xz, long index": lambda: b"\xfd7zXZ\0" + NOISE[:100_000],
    "zip, end records": lambda: pack_zip(NOISE) + b"PK\5\6" * 16_000,
    "raw, end records": lambda: bytes(512) + b"PK\5\6" * 16_384,
    "raw, footer": lambda: NOISE + vhd_footer(size=MIB, kind=2, header_at=(1 << 64) - 1),
    "text": lambda: b"text, and more text\n" * 60_000,
    "noise": lambda: Random(5).randbytes(MIB),
}
"""By what it is, how to make it; a few hundred kilobytes to five megabytes each."""
