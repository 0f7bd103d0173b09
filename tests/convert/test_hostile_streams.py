"""Images that lie while they are converted: bounded in output and memory, refused, never misread."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest

from fetcher.convert.streaming import HEAD_BYTES, NotStreamable, mapped, plan
from fetcher.convert.streaming.vmdk_tables import (
    MAX_EMPTY,
    MAX_GRAINS,
    MAX_TABLES,
    NO_GRAIN,
    TablesBehind,
)
from fetcher.errors import FormatUnsafe
from tests.convert.one_pass import convert_bytes, planned
from tests.guards.stream.formats.hostile_disks import QCOW2 as HOSTILE_QCOW2

CLUSTER = 65_536
MAX_PENDING = 1 << 16
HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")


def qcow2(
    l1: list[int], l2: list[int], data: bytes = b"", *, size: int = 1 << 20, features: int = 0, zstd: int = 0
) -> bytes:
    """An image whose L1 table is its cluster 1 and whose L2 table is its cluster 2; data follow."""
    head = HEADER.pack(
        b"QFI\xfb", 3, 0, 0, 16, size, 0, len(l1), CLUSTER, 5 * CLUSTER, 1, 0, 0, features, 0, 0, 4, 112
    )
    head += bytes([zstd]) + bytes(15)
    tables = b"".join(struct.pack(f">{len(table)}Q", *table).ljust(CLUSTER, b"\0") for table in (l1, l2))
    return head.ljust(CLUSTER, b"\0") + tables + data


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    return packer.compress(data) + packer.flush()


def compressed(host: int, sectors: int) -> int:
    return 1 << 62 | (sectors - 1) << 54 | host


A, B = b"a" * CLUSTER, b"b" * CLUSTER
L2_AT, DATA_AT = 2 * CLUSTER, 3 * CLUSTER
PACKED = deflated(A)


def test_a_plain_image_is_read_as_meant() -> None:
    """The hand-made image is honest where nothing is changed."""
    disk = convert_bytes(qcow2([L2_AT], [DATA_AT + CLUSTER, 0, DATA_AT], A + B))
    assert disk[: 3 * CLUSTER] == B + bytes(CLUSTER) + A
    assert not any(disk[3 * CLUSTER :])


def test_flags_of_clusters_are_heeded() -> None:
    """A cluster of zeros reads as zeros, also where it has bytes of its own."""
    disk = convert_bytes(qcow2([L2_AT | 1 << 63], [DATA_AT | 1, 1, (DATA_AT + CLUSTER) | 1 << 63], A + B))
    assert disk[: 3 * CLUSTER] == bytes(2 * CLUSTER) + B


HOSTILE = {
    "two clusters on one": qcow2([L2_AT], [DATA_AT, DATA_AT], A),
    "a cluster on the L1 table": qcow2([L2_AT], [CLUSTER], A),
    "a cluster on the L2 table": qcow2([L2_AT], [L2_AT], A),
    "an L2 table on the L1 table": qcow2([CLUSTER], [], A),
    "one L2 table twice": qcow2([L2_AT, L2_AT], [DATA_AT], A, size=1 << 30),
    "an L1 entry with reserved bits": qcow2([L2_AT | 2], [DATA_AT], A),
    "an L1 entry that is not aligned": qcow2([L2_AT | 512], [DATA_AT], A),
    "an L2 entry with reserved bits": qcow2([L2_AT], [DATA_AT | 4], A),
    "an L2 entry with reserved bits and no cluster": qcow2([L2_AT], [2, DATA_AT], A),
    "an L2 entry that is not aligned": qcow2([L2_AT], [DATA_AT | 512], A),
    "a cluster behind the end": qcow2([L2_AT], [DATA_AT + (1 << 40)], A),
    "an L2 table behind the end": qcow2([1 << 40], [DATA_AT], A),
    "a compressed cluster behind the end": qcow2([L2_AT], [compressed(1 << 40, 1)], A),
    "compressed clusters on one place": qcow2(
        [L2_AT], [compressed(DATA_AT, 1), compressed(DATA_AT, 1)], PACKED.ljust(512, b"\0")
    ),
    "a compressed cluster inside a plain one": qcow2([L2_AT], [DATA_AT, compressed(DATA_AT + 99, 1)], A),
    "a damaged deflate stream": qcow2([L2_AT], [compressed(DATA_AT, 1)], b"\xff" * 512),
    "a deflate stream that is too short": qcow2(
        [L2_AT], [compressed(DATA_AT, 1)], deflated(b"short").ljust(512, b"\0")
    ),
    "a damaged zstd frame": qcow2([L2_AT], [compressed(DATA_AT, 1)], b"\xff" * 512, features=8, zstd=1),
}


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("chunk", [1 << 20, 777])
@pytest.mark.parametrize("name", HOSTILE)
def test_an_image_that_lies_is_refused(name: str, chunk: int, keeps: bool) -> None:
    """No byte is used twice, no table is misread, whatever the chunks."""
    with pytest.raises(FormatUnsafe):
        convert_bytes(HOSTILE[name], chunk=chunk, keeps=keeps)


REFERENCES = ["qcow2-backing-passwd", "qcow2-backing-json", "qcow2-data-file-bit", "qcow2-crypt-aes"]


@pytest.mark.parametrize("name", [*REFERENCES, "qcow2-crypt-luks", "qcow2-corrupt-bit", "qcow2-feature-63"])
def test_an_image_that_needs_something_else_is_refused_by_its_head(name: str) -> None:
    """The format guard refuses these before; a converter does not rely on that."""
    with pytest.raises(FormatUnsafe):
        plan(HOSTILE_QCOW2[name]()[:HEAD_BYTES])


@pytest.mark.parametrize("name", HOSTILE_QCOW2)
def test_no_hostile_header_makes_more_than_its_disk_or_breaks_us(name: str) -> None:
    """Each of the format guard's hostile images is converted within its disk or refused, by name."""
    image, most, disk = HOSTILE_QCOW2[name](), 0, b""
    with suppress(FormatUnsafe, NotStreamable):
        found = plan(image[:HEAD_BYTES])
        if hasattr(found, "start") and found.virtual_bytes <= 1 << 30:
            most = found.virtual_bytes
            disk = convert_bytes(image, keeps=True)
    assert len(disk) <= most


def test_a_small_image_cannot_make_a_large_disk_full() -> None:
    """The output of compressed clusters is bounded by the disk: each is used once and is one cluster."""
    place, entries, data = DATA_AT, [], b""
    for _ in range(16):
        entries.append(compressed(place, 1))
        data += PACKED.ljust(512, b"\0")
        place += 512
    disk = convert_bytes(qcow2([L2_AT], entries, data))
    assert disk == A * 16


def test_the_last_cluster_may_be_cut() -> None:
    """Writers leave out the end of the last cluster, and count sectors that are not there."""
    assert convert_bytes(qcow2([L2_AT], [DATA_AT], b"tail"))[:8] == b"tail\0\0\0\0"
    assert convert_bytes(qcow2([L2_AT], [compressed(DATA_AT, 9)], PACKED))[:CLUSTER] == A


def test_data_before_its_table_need_a_place_to_be_kept() -> None:
    """Far behind the window they are read back from there, or the caller is told to stage."""
    far = 3 * CLUSTER + (4 << 20)
    gap = A + bytes((4 << 20) - CLUSTER)
    table = struct.pack(">Q", DATA_AT).ljust(CLUSTER, b"\0")
    image = qcow2([far], [], gap + table)
    with pytest.raises(NotStreamable):
        convert_bytes(image)
    assert convert_bytes(image, keeps=True)[:CLUSTER] == A


def test_memory_is_bounded_however_much_is_named_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables full of clusters that never come end in a refusal to stream; each costs 16 bytes till then."""
    monkeypatch.setattr(mapped, "MAX_PENDING", MAX_PENDING)
    tables = 20
    l1 = [DATA_AT + number * CLUSTER for number in range(tables)]
    image = qcow2(l1, [], size=tables * (CLUSTER // 8) * CLUSTER)
    image_bytes = 4 << 20  # What the window may hold of it.
    converter = planned(image).start(None)
    tracemalloc.start()
    try:
        with pytest.raises(NotStreamable):  # noqa: PT012 # where it gives up does not matter
            list(converter.feed(image))
            host = 1 << 40
            for _ in range(tables):
                entries = [host + 2 * CLUSTER * number for number in range(8192)]
                host += 2 * CLUSTER * 8192
                list(converter.feed(struct.pack(">8192Q", *entries)))
        assert tracemalloc.get_traced_memory()[1] < image_bytes + 20 * MAX_PENDING + (8 << 20)
    finally:
        tracemalloc.stop()


def vdi(entries: list[int], data: bytes, *, used: int | None = None) -> bytes:
    """A dynamic VDI with its map at 512 and its blocks at 1 MiB."""
    head = bytearray(512)
    struct.pack_into(
        "<64s4sI", head, 0, b"<<< Oracle VM VirtualBox Disk Image >>>\n", b"\x7f\x10\xda\xbe", 0x10001
    )
    struct.pack_into("<II", head, 72, 400, 1)
    struct.pack_into("<II", head, 340, 512, 1 << 20)
    struct.pack_into("<I", head, 360, 512)
    count = len(entries) if used is None else used
    struct.pack_into("<QIIII", head, 368, len(entries) << 20, 1 << 20, 0, len(entries), count)
    table = struct.pack(f"<{len(entries)}I", *entries)
    return (bytes(head) + table).ljust(1 << 20, b"\0") + data


def test_vdi_blocks_may_come_in_any_order_but_each_once() -> None:
    """Its map is a permutation; two entries for one block are refused, and so is one behind the end."""
    block = 1 << 20
    first, second = b"1" * block, b"2" * block
    assert convert_bytes(vdi([1, 0xFFFF_FFFF, 0], first + second)) == second + bytes(block) + first
    for entries in ([0, 0], [0, 5], [0, 1, 2]):
        with pytest.raises(FormatUnsafe):
            convert_bytes(vdi(entries, first + second))


def checksummed(block: bytes, at: int) -> bytes:
    total = ~sum(block[:at] + bytes(4) + block[at + 4 :]) & 0xFFFF_FFFF
    return block[:at] + struct.pack(">I", total) + block[at + 4 :]


def vhd(entries: list[int], data: bytes, *, kind: int = 3, size: int | None = None) -> bytes:
    """A VHD with blocks of 2 MiB; dynamic with its table at 1,536, or a fixed one."""
    size = (len(entries) << 21) if size is None else size
    footer = struct.pack(
        ">8sIIQI4sI4sQQIII",
        b"conectix",
        2,
        0x10000,
        512 if kind == 3 else (1 << 64) - 1,
        0,
        b"test",
        0,
        b"x",
        size,
        size,
        0,
        kind,
        0,
    ).ljust(512, b"\0")
    footer = checksummed(footer, 64)
    if kind == 2:
        return data + footer
    header = struct.pack(">8sQQIIII", b"cxsparse", (1 << 64) - 1, 1536, 0x10000, len(entries), 1 << 21, 0)
    header = checksummed(header.ljust(1024, b"\0"), 36)
    table = struct.pack(f">{len(entries)}I", *entries).ljust(512, b"\xff")
    return footer + header + table + data + footer


def test_vhd_blocks_may_come_in_any_order_but_each_once() -> None:
    """Its table is a permutation; two blocks that overlap are refused, and so is one behind the end."""
    block = 1 << 21
    first, second = b"\xff" * 512 + b"1" * block, b"\xff" * 512 + b"2" * block
    assert convert_bytes(vhd([4 + 4097, 0xFFFF_FFFF, 4], first + second)) == (
        b"2" * block + bytes(block) + b"1" * block
    )
    for entries in ([4, 4], [4, 5], [4, 1 << 30], [4, 0]):
        with pytest.raises(FormatUnsafe):
            convert_bytes(vhd(entries, first + second), keeps=True)
    with pytest.raises(FormatUnsafe):
        planned(vhd([4], first, kind=4))


def test_a_fixed_vhd_is_its_disk_without_the_footer() -> None:
    """What the footer says is checked against what came."""
    data = b"disk" * 5000
    image = vhd([], data, kind=2, size=len(data))
    for chunk in (1 << 20, 300):
        found = planned(image, "vhd").start(None)
        out = b"".join(
            bytes(write.data)
            for at in range(0, len(image), chunk)
            for write in found.feed(image[at : at + chunk])
        )
        out += b"".join(bytes(write.data) for write in found.finish())
        assert out == data
    for wrong in (vhd([], data, kind=2, size=len(data) + 512), image[:-1] + b"x", data + bytes(512)):
        converter = planned(wrong, "vhd").start(None)
        with pytest.raises(FormatUnsafe):  # noqa: PT012 # whichever of the two
            list(converter.feed(wrong))
            list(converter.finish())


GRAIN = 65_536


BEHIND = (1 << 64) - 1
NO_MARKER = struct.pack("<QII", 0, 0, 0).ljust(512, b"\0")


def vmdk_head(size: int, directory: int, overhead: int) -> bytes:
    """The header and descriptor of a streamOptimized VMDK: the first 1,024 bytes."""
    head = struct.pack(
        "<4sIIQQQQIQQQ", b"KDMV", 3, 0x30001, size // 512, 128, 1, 1, 512, 0, directory, overhead
    )
    kind = b'createType="streamOptimized"\n'
    return (head + b"\0\n \r\n\1\0").ljust(512, b"\0") + kind.ljust(512, b"\0")


def marked(kind: int, data: bytes) -> bytes:
    """Metadata behind its marker."""
    data = data.ljust(-(-len(data) // 512) * 512, b"\0")
    return struct.pack("<QII", len(data) // 512, 0, kind).ljust(512, b"\0") + data


def grain_at(sector: int, packed: bytes) -> bytes:
    grain = struct.pack("<QI", sector, len(packed)) + packed
    return grain.ljust(-(-len(grain) // 512) * 512, b"\0")


def vmdk(
    grains: list[tuple[int, bytes]],
    *,
    end: bool = True,
    size: int = 16 * GRAIN,
    swapped: tuple[int, int] | None = None,
    footer: bool = True,
    trailing: bytes = b"",
) -> bytes:
    """A streamOptimized VMDK of these grains (sector and packed bytes), with its tables behind them.

    Args:
        swapped: Two grains of the first table, of which each has the other's entry.
    """
    image = vmdk_head(size, BEHIND, 4) + bytes(1024)
    tables: dict[int, list[int]] = {}
    for sector, packed in grains:
        number = sector // 128
        tables.setdefault(number // 512, [0] * 512)[number % 512] = len(image) // 512
        image += grain_at(sector, packed)
    if swapped:
        first, second = swapped
        table = tables[0]
        table[first], table[second] = table[second], table[first]
    directory = [0] * -(-size // (512 * GRAIN))
    for number, table in tables.items():
        if number < len(directory):
            directory[number] = len(image) // 512 + 1
        image += marked(1, struct.pack("<512I", *table))
    place = len(image) // 512 + 1
    image += marked(2, struct.pack(f"<{len(directory)}I", *directory))
    if footer:
        image += marked(3, vmdk_head(size, place, 4)[:512])
    return image + (NO_MARKER if end else b"") + trailing


def vmdk_in_front(grains: list[tuple[int, bytes]], *, size: int = 16 * GRAIN) -> bytearray:
    """The same with one table, before the grains, as qemu-img writes it: without any marker."""
    table, body = [0] * 512, b""
    for sector, packed in grains:
        table[sector // 128] = 7 + len(body) // 512
        body += grain_at(sector, packed)
    image = vmdk_head(size, 2, 7) + struct.pack("<I", 3).ljust(512, b"\0")
    return bytearray(image + struct.pack("<512I", *table) + body)


TWO = [(128, zlib.compress(A)), (256, zlib.compress(B))]


@pytest.mark.parametrize("chunk", [1 << 20, 100, 513])
def test_vmdk_grains_go_where_they_say(chunk: int) -> None:
    """Grains are put in place whatever the chunks, wherever the tables are that name them."""
    for image in (vmdk(TWO), bytes(vmdk_in_front(TWO)), vmdk(TWO, trailing=bytes(2000))):
        assert convert_bytes(image, chunk=chunk) == bytes(GRAIN) + A + B + bytes(13 * GRAIN)


def two_directories() -> bytes:
    """A second table and directory behind the first ones, and a footer that names them."""
    image = vmdk(TWO, end=False, footer=False)
    place = len(image) // 512 + 1
    image += marked(1, struct.pack("<512I", 0, 133, 4, *[0] * 509))
    image += marked(2, struct.pack("<I", place))
    return image + marked(3, vmdk_head(16 * GRAIN, place + 5, 4)[:512]) + NO_MARKER


def front_entry(entry: int, sector: int) -> bytes:
    """An image with its table in front, of which one entry is another."""
    image = vmdk_in_front(TWO)
    struct.pack_into("<I", image, 3 * 512 + 4 * entry, sector)
    return bytes(image)


TWO_DISKS = {
    "entries exchanged": vmdk(TWO, swapped=(1, 2)),
    "an entry elsewhere": vmdk(TWO, swapped=(1, 9)),
    "a second directory": two_directories(),
    "no footer": vmdk(TWO, footer=False),
    "a footer that is not the last": vmdk(TWO, end=False) + marked(1, bytes(2048)) + NO_MARKER,
    "a footer of another disk": vmdk(TWO, end=False, footer=False)
    + marked(3, vmdk_head(32 * GRAIN, 1, 4)[:512])
    + NO_MARKER,
    "a second file behind it": vmdk(TWO, trailing=vmdk(TWO, swapped=(1, 2))),
    "grains that no table names": vmdk(TWO)[:2048] + grain_at(*TWO[0]) + NO_MARKER,
    "in front, exchanged": front_entry(1, 8),
    "in front, one that is nowhere": front_entry(9, 8),
    "in front, cut at a grain": bytes(vmdk_in_front(TWO))[: -len(grain_at(*TWO[1]))],
    "in front, cut in a grain": bytes(vmdk_in_front(TWO))[:-100],
    "in front, one without an entry": front_entry(2, 0),
    "in front, a table among the grains": bytes(vmdk_in_front(TWO)[:1024])
    + struct.pack("<I", 5).ljust(512, b"\0")
    + bytes(vmdk_in_front(TWO)[1536:]),
}


@pytest.mark.parametrize("chunk", [1 << 20, 777])
@pytest.mark.parametrize("name", TWO_DISKS)
def test_a_vmdk_whose_tables_are_of_another_disk_is_refused(name: str, chunk: int) -> None:
    """Readers follow the tables, a stream the grains: both have to be one disk, all of it."""
    with pytest.raises(FormatUnsafe):
        convert_bytes(TWO_DISKS[name], chunk=chunk)


def grains_without_tables() -> None:
    tables = TablesBehind(MAX_TABLES, BEHIND, has_zeros=False)
    for number in range(MAX_GRAINS + 1):
        tables.grain(number, number + 128)


def tables_without_grains() -> None:
    tables = TablesBehind(1, BEHIND, has_zeros=False)
    for sector in range(MAX_EMPTY + 1):
        tables.table(sector, NO_GRAIN)


@pytest.mark.parametrize("too_many", [grains_without_tables, tables_without_grains])
def test_tables_that_come_late_take_no_more_memory(too_many: Callable[[], None]) -> None:
    """Grains that wait to be compared are bounded; such images are converted from a file."""
    with pytest.raises(NotStreamable):
        too_many()


HOSTILE_VMDK = {
    "cut": vmdk([(0, zlib.compress(A))], end=False),
    "twice": vmdk([(0, zlib.compress(A)), (0, zlib.compress(B))]),
    "behind the disk": vmdk([(1 << 40, zlib.compress(A))]),
    "not aligned": vmdk([(5, zlib.compress(A))]),
    "a bomb": vmdk([(0, zlib.compress(bytes(20 * GRAIN)))]),
    "too short": vmdk([(0, zlib.compress(b"short"))]),
    "damaged": vmdk([(0, b"\xff" * 100)]),
    "larger than it may be": vmdk([(0, bytes(3 * GRAIN))]),
    "an unknown marker": vmdk([], end=False) + marked(9, bytes(512)),
    "a table that is too long": vmdk([], end=False) + marked(1, bytes(4096)),
}


@pytest.mark.parametrize("chunk", [1 << 20, 777])
@pytest.mark.parametrize("name", HOSTILE_VMDK)
def test_a_vmdk_that_lies_is_refused(name: str, chunk: int) -> None:
    """Grains are bounded in size, place and number."""
    with pytest.raises(FormatUnsafe):
        convert_bytes(HOSTILE_VMDK[name], chunk=chunk)


def test_a_vmdk_out_of_order_has_to_be_staged() -> None:
    """Order is what keeps grains from being there twice, so what has none does not stream."""
    with pytest.raises(NotStreamable):
        convert_bytes(vmdk([(512, zlib.compress(A)), (0, zlib.compress(B))]))
