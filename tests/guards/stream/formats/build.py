"""Disk images built byte by byte from their specifications: valid ones, to be spoilt one field at a time."""

import struct
import zlib
from uuid import UUID, uuid5

from fetcher.guards.stream.formats.disks.crc32c import crc32c

KIB, MIB = 1 << 10, 1 << 20
NAMESPACE = UUID(int=0)


def patch(image: bytes, offset: int, layout: str, *values: object) -> bytes:
    """Return the image with other values at an offset."""
    changed = bytearray(image)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


def put(image: bytes, offset: int, piece: bytes) -> bytes:
    """Return the image with other bytes at an offset."""
    return image[:offset] + piece + image[offset + len(piece) :]


def qcow2(*, size: int = 4 * MIB, bits: int = 16, version: int = 3, extended: bool = False) -> bytes:
    """Make a QCOW2 image with one cluster of data: header, refcounts, L1, L2, data."""
    cluster = 1 << bits
    entry = 16 if extended else 8
    l1_entries = -(-size // (cluster // entry * cluster))
    l1_clusters = -(-l1_entries * 8 // cluster)
    l2_at = 3 + l1_clusters
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", version, 0, 0, bits, size, 0, l1_entries, 3 * cluster, cluster, 1, 0, 0),
    )
    if version == 3:
        header += struct.pack(">QQQII", 16 if extended else 0, 0, 0, 4, 112) + bytes(8)
    image = bytearray(cluster * (l2_at + 2))
    image[: len(header)] = header
    struct.pack_into(">Q", image, cluster, 2 * cluster)
    for number in range(l2_at + 2):
        struct.pack_into(">H", image, 2 * cluster + 2 * number, 1)
    struct.pack_into(">Q", image, 3 * cluster, l2_at * cluster | 1 << 63)
    struct.pack_into(">Q", image, l2_at * cluster, (l2_at + 1) * cluster | 1 << 63)
    if extended:
        struct.pack_into(">Q", image, l2_at * cluster + 8, (1 << 32) - 1)
    image[-cluster:] = b"\xa5" * cluster
    return bytes(image)


DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=7d0a6f7e
parentCID=ffffffff
createType="{kind}"

# Extent description
RW {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.adapterType = "ide"
"""


def vmdk_descriptor(kind: str = "monolithicSparse", sectors: int = 8192, name: str = "disk.vmdk") -> bytes:
    """Make the descriptor inside a sparse VMDK."""
    return DESCRIPTOR.format(kind=kind, sectors=sectors, name=name).encode()


def vmdk_header(*, capacity: int, flags: int, directory: int, overhead: int, version: int = 1) -> bytes:
    """Make the header of a sparse VMDK with grains of 64 KiB."""
    compression = 1 if flags & 1 << 16 else 0
    header = struct.pack(
        "<4sIIQQQQIQQQ", *(b"KDMV", version, flags, capacity, 128, 1, 20, 512, 0, directory, overhead)
    )
    return (header + b"\0\n \r\n" + struct.pack("<H", compression)).ljust(512, b"\0")


def vmdk(*, capacity: int = 8192, descriptor: bytes | None = None) -> bytes:
    """Make a monolithicSparse VMDK with one grain of data: header, descriptor, directory, table, grain."""
    text = (vmdk_descriptor(sectors=capacity) if descriptor is None else descriptor).ljust(20 * 512, b"\0")
    image = vmdk_header(capacity=capacity, flags=3, directory=21, overhead=128) + text
    image += struct.pack("<I", 22).ljust(512, b"\0") + struct.pack("<I", 128).ljust(2048, b"\0")
    return image.ljust(128 * 512, b"\0") + b"\xa5" * 65536


def vmdk_stream(*, capacity: int = 8192, descriptor: bytes | None = None) -> bytes:
    """Make a streamOptimized VMDK as VMware does: the directory behind the grains, a footer at the end."""
    kind = vmdk_descriptor("streamOptimized", capacity) if descriptor is None else descriptor
    settings = {"capacity": capacity, "flags": 0x30001, "overhead": 128, "version": 3}
    image = (vmdk_header(directory=(1 << 64) - 1, **settings) + kind.ljust(20 * 512, b"\0")).ljust(
        65536, b"\0"
    )
    packed = zlib.compress(b"\xa5" * 65536)
    grain = (struct.pack("<QI", 0, len(packed)) + packed).ljust(512, b"\0")
    table_at = 128 + len(grain) // 512
    image += grain + struct.pack("<QII", 4, 0, 1).ljust(512, b"\0")
    image += struct.pack("<I", 128).ljust(2048, b"\0") + struct.pack("<QII", 1, 0, 2).ljust(512, b"\0")
    directory = table_at + 6
    image += struct.pack("<I", table_at + 1).ljust(512, b"\0") + struct.pack("<QII", 1, 0, 3).ljust(
        512, b"\0"
    )
    return image + vmdk_header(directory=directory, **settings) + bytes(512)


def vdi(*, size: int = 4 * MIB, kind: int = 1) -> bytes:
    """Make a VDI with its first block in use."""
    blocks = -(-size // MIB)
    header = struct.pack(
        "<64s4sIIII256sIIIIIIIQIIII16s16s16s16s",
        *(b"<<< Oracle VM VirtualBox Disk Image >>>\n", b"\x7f\x10\xda\xbe", 0x10001, 0x180, kind, 0, b""),
        *(512, 1024, 0, 0, 0, 512, 0, size, MIB, 0, blocks, 1),
        *(uuid5(NAMESPACE, "a").bytes, uuid5(NAMESPACE, "b").bytes, bytes(16), bytes(16)),
    )
    table = struct.pack("<I", 0) + b"\xff" * 4 * (blocks - 1)
    return header.ljust(512, b"\0") + table.ljust(512, b"\0") + b"\xa5" * MIB


def vhd_footer(*, size: int, kind: int, header_at: int) -> bytes:
    """Make the footer of a VHD, with its checksum."""
    footer = struct.pack(
        ">8sIIQI4sI4sQQHBBII16sB",
        *(b"conectix", 2, 0x10000, header_at, 0, b"win ", 0xA0000, b"Wi2k", size, size, 60, 16, 63),
        *(kind, 0, uuid5(NAMESPACE, "c").bytes, 0),
    ).ljust(512, b"\0")
    return seal_vhd(footer, 64)


def seal_vhd(block: bytes, at: int) -> bytes:
    """Return a footer or header of a VHD with its checksum made right."""
    block = patch(block, at, ">I", 0)
    return patch(block, at, ">I", ~sum(block) & 0xFFFF_FFFF)


def vhd(*, size: int = 4 * MIB, block: int = 2 * MIB) -> bytes:
    """Make a dynamic VHD with its first block in use."""
    footer = vhd_footer(size=size, kind=3, header_at=512)
    entries = -(-size // block)
    header = struct.pack(">8sQQIIII", b"cxsparse", (1 << 64) - 1, 1536, 0x10000, entries, block, 0)
    image = footer + seal_vhd(header.ljust(1024, b"\0"), 36)
    table = struct.pack(">I", 4) + b"\xff" * 4 * (entries - 1)
    return image + table.ljust(512, b"\xff") + b"\xff" * 512 + b"\xa5" * block + footer


def vhd_fixed(disk: bytes) -> bytes:
    """Put the footer of a fixed VHD behind a raw disk."""
    return disk + vhd_footer(size=len(disk), kind=2, header_at=(1 << 64) - 1)


def seal_vhdx(block: bytes) -> bytes:
    """Return a block of a VHDX with its checksum made right."""
    return patch(block, 4, "<I", crc32c(put(block, 4, bytes(4))))


VHDX_ITEMS = {
    "parameters": ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", MIB, 0), 4),
    "size": ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", 4 * MIB), 6),
    "page83": ("beca12ab-b2e6-4523-93ef-c309e000c746", bytes(16), 6),
    "logical": ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", 512), 6),
    "physical": ("cda348c7-445d-4471-9cc9-e9885251c556", struct.pack("<I", 4096), 6),
}
VHDX_BLOCKS, VHDX_METADATA = "2dc27766-f623-4200-9d64-115e9bfd4a08", "8b7ca206-4790-4b9a-b8fe-575f050f886e"


def vhdx_header(*, sequence: int, log: UUID = NAMESPACE, version: int = 1) -> bytes:
    """Make one header of a VHDX."""
    header = struct.pack(
        "<4sIQ16s16s16sHHIQ",
        *(b"head", 0, sequence, uuid5(NAMESPACE, "d").bytes, uuid5(NAMESPACE, "e").bytes, log.bytes_le),
        *(0, version, MIB, MIB),
    )
    return seal_vhdx(header.ljust(4096, b"\0"))


def vhdx_regions(entries: list[tuple[str, int, int, int]]) -> bytes:
    """Make a region table of (identifier, offset, length, flags)."""
    table = struct.pack("<4sIII", b"regi", 0, len(entries), 0)
    for name, offset, length, flags in entries:
        table += struct.pack("<16sQII", UUID(name).bytes_le, offset, length, flags)
    return seal_vhdx(table.ljust(64 * KIB, b"\0"))


def vhdx_metadata(items: dict[str, tuple[str, bytes, int]]) -> bytes:
    """Make a metadata region of 1 MiB."""
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    values = b""
    for name, value, flags in items.values():
        table += struct.pack("<16sIII4x", UUID(name).bytes_le, 64 * KIB + len(values), len(value), flags)
        values += value
    return (table.ljust(64 * KIB, b"\0") + values).ljust(MIB, b"\0")


def vhdx(
    *,
    items: dict[str, tuple[str, bytes, int]] | None = None,
    regions: list[tuple[str, int, int, int]] | None = None,
    blocks: tuple[int, ...] = (4 << 20 | 6, 0, 0, 0),
    log: UUID = NAMESPACE,
    blocks_first: bool = False,
) -> bytes:
    """Make a VHDX with its first block in use: headers, log, metadata, block table, data."""
    metadata_at, table_at = (3 * MIB, 2 * MIB) if blocks_first else (2 * MIB, 3 * MIB)
    image = bytearray(5 * MIB)
    image[:8] = b"vhdxfile"
    image[64 * KIB : 68 * KIB] = vhdx_header(sequence=1)
    image[128 * KIB : 132 * KIB] = vhdx_header(sequence=2, log=log)
    entries = regions or [(VHDX_BLOCKS, table_at, MIB, 1), (VHDX_METADATA, metadata_at, MIB, 1)]
    for at in (192 * KIB, 256 * KIB):
        image[at : at + 64 * KIB] = vhdx_regions(entries)
    image[metadata_at : metadata_at + MIB] = vhdx_metadata(items or VHDX_ITEMS)
    struct.pack_into(f"<{len(blocks)}Q", image, table_at, *blocks)
    return bytes(image)


def parallels(*, sectors: int = 8192, cluster: int = 2048, magic: bytes = b"WithouFreSpacExt") -> bytes:
    """Make a Parallels image with its first cluster in use."""
    entries = -(-sectors // cluster)
    place = -(-(64 + 4 * entries) // (cluster * 512))  # In clusters: the first one behind the table.
    data = place * cluster
    header = struct.pack("<16sIIIIIQIIIQ", *(magic, 2, 16, 1, cluster, entries, sectors, 0, data, 0, 0))
    first = place if magic == b"WithouFreSpacExt" else data
    image = header + struct.pack("<I", first) + bytes(4 * (entries - 1))
    return image.ljust(data * 512, b"\0") + b"\xa5" * cluster * 512


def mbr(*, size: int = MIB, kind: int = 0x83, flag: int = 0x80) -> bytes:
    """Make a raw disk with a master boot record and one partition."""
    entry = struct.pack("<B3xB3xII", flag, kind, 1, size // 512 - 1)
    return (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + b"\xa5" * (size - 512)


def gpt(*, size: int = MIB, sector: int = 512, said: int | None = None) -> bytes:
    """Make a raw disk with a GUID partition table that says to be as large as `said`."""
    last = (said or size) // sector - 1
    fields = (b"EFI PART", 0x10000, 92, 0, 0, 1, last, 34, last - 34)
    identifier = uuid5(NAMESPACE, "f").bytes_le
    header = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", *fields, identifier, 2, 128, 128, 0))
    struct.pack_into("<I", header, 16, zlib.crc32(header))
    protective = mbr(size=sector, kind=0xEE, flag=0)[:sector]
    return (protective.ljust(sector, b"\0") + header).ljust(size, b"\0")


def both(number: int, letter: str) -> bytes:
    """Write a number in both byte orders, as ISO 9660 does."""
    return struct.pack("<" + letter, number) + struct.pack(">" + letter, number)


def iso(*, blocks: int = 32, root: int = 20, block: int = 2048) -> bytes:
    """Make an ISO 9660 image: primary descriptor, terminator, nothing in the root directory."""
    primary = bytearray(2048)
    primary[:7] = b"\1CD001\1"
    primary[80:88] = both(blocks, "I")
    primary[128:132] = both(block, "H")
    primary[156:190] = bytes([34, 0]) + both(root, "I") + both(2048, "I") + bytes(16)
    image = bytes(32768) + bytes(primary) + b"\xffCD001\1".ljust(2048, b"\0")
    return image.ljust(max(blocks * block, 65536), b"\0")


def udf() -> bytes:
    """Make the recognition sequence of a UDF image without ISO 9660."""
    names = (b"BEA01", b"NSR02", b"TEA01")
    return bytes(32768) + b"".join(b"\0" + name + b"\1".ljust(2042, b"\0") for name in names)


def ext(*, size: int = MIB) -> bytes:
    """Make the superblock of an ext file system."""
    block = struct.pack("<II", 64, size // 1024).ljust(24, b"\0") + struct.pack("<I", 0)
    block = block.ljust(56, b"\0") + b"\x53\xef"
    return (bytes(1024) + block).ljust(size, b"\0")


def btrfs() -> bytes:
    """Make what Btrfs is known by, behind the first 64 KiB."""
    return (bytes(65600) + b"_BHRfS_M").ljust(MIB, b"\0")


def fat() -> bytes:
    """Make the boot sector of a FAT file system, without partitions."""
    sector = b"\xeb\x3c\x90mkfs.fat" + struct.pack("<HBHB", 512, 4, 1, 2)
    return (sector.ljust(510, b"\0") + b"\x55\xaa").ljust(MIB, b"\0")


def kernel() -> bytes:
    """Make what a bzImage begins with."""
    return (bytes(510) + b"\x55\xaa\xeb\x66HdrS\x0f\x02").ljust(128 * KIB, b"\x90")


def cpio() -> bytes:
    """Make a cpio archive with nothing but its trailer."""
    numbers = "".join(f"{number:08x}" for number in (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0))
    return (b"070701" + numbers.encode() + b"TRAILER!!!\0").ljust(512, b"\0")
