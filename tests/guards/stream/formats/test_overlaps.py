"""Tables that map more than a file has, or themselves: refused, however they are made."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.guards.stream.formats.disks import qcow2_tables
from tests.guards.stream.formats.build import (
    MIB,
    parallels,
    patch,
    put,
    qcow2,
    vdi,
    vhd,
    vhdx,
    vmdk,
    vmdk_stream,
)
from tests.guards.stream.formats.corpus import broken_rules, cut, inspected, new_guard, verdict_of

CLUSTER = 65_536
L1, L2, DATA = 3 * CLUSTER, 4 * CLUSTER, 5 * CLUSTER
STREAM = vmdk_stream()
GRAIN_AT = 128 * 512


def bomb(entries: int, tables: int = 1, *, step: int = 0) -> bytes:
    """Make a QCOW2 image that maps many clusters to few: one again and again, or a few in turn."""
    size = tables * 8_192 * CLUSTER
    image = qcow2(size=size)
    table = struct.pack(
        ">8192Q", *(DATA + number % (step + 1) * CLUSTER | 1 << 63 for number in range(8_192))
    )
    body = image[:L1] + struct.pack(
        f">{tables}Q", *((4 + number) * CLUSTER | 1 << 63 for number in range(tables))
    )
    return put(body.ljust(L2, b"\0") + table * tables, L2, table[: entries * 8].ljust(CLUSTER, b"\0"))


@pytest.mark.parametrize("entries", [2, 100, 8_192])
@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_cluster_is_mapped_once(entries: int, step: int) -> None:
    """Half a mebibyte does not become half a terabyte by naming one cluster eight million times."""
    if entries > step + 1:
        assert "qcow2-overlap" in broken_rules(bomb(entries, step=step) + bytes(4 * CLUSTER))


@pytest.mark.parametrize("tables", [2, 8])
def test_tables_do_not_share_clusters(tables: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each table names a cluster once, but all the same, it is found, or counted in a large file."""
    image = qcow2(size=tables * 8_192 * CLUSTER)
    first = (4 + tables) * CLUSTER
    table = struct.pack(">16Q", *(first + number * CLUSTER | 1 << 63 for number in range(16))).ljust(
        CLUSTER, b"\0"
    )
    directory = struct.pack(f">{tables}Q", *((4 + number) * CLUSTER | 1 << 63 for number in range(tables)))
    stream = image[:L1] + directory.ljust(CLUSTER, b"\0") + table * tables + bytes(16 * CLUSTER)
    assert broken_rules(stream) == {"qcow2-overlap"}
    monkeypatch.setattr(qcow2_tables, "MAX_MARKED", 0)
    is_bounded = tables * 16 + 1 > len(stream) // CLUSTER
    assert ("beyond-end" in broken_rules(stream)) is is_bounded


@given(bit=st.sampled_from([*range(9), *range(56, 63)]))
def test_reserved_bits_of_l1_are_clear(bit: int) -> None:
    """A bit without a meaning today may have one in another reader."""
    assert broken_rules(patch(qcow2(), L1, ">Q", L2 | 1 << 63 | 1 << bit)) & {"qcow2-reserved"}


@given(bit=st.sampled_from([*range(1, 9), *range(56, 62)]), version=st.sampled_from([2, 3]))
def test_reserved_bits_of_l2_are_clear(bit: int, version: int) -> None:
    """Likewise in the tables of clusters; the bit for zeros is reserved in version 2 alone."""
    assert broken_rules(patch(qcow2(version=version), L2, ">Q", DATA | 1 << bit)) & {"qcow2-reserved"}
    zero = broken_rules(patch(qcow2(version=version), L2, ">Q", DATA | 1))
    assert zero == ({"qcow2-reserved"} if version == 2 else set())


@pytest.mark.parametrize("place", [1, 2, 3, 4])
@pytest.mark.parametrize("entry", ["data", "compressed", "table"])
def test_metadata_is_no_data(place: int, entry: str) -> None:
    """Refcounts, the L1 table and an L2 table are neither data nor further tables."""
    at, value = {
        "data": (L2, place * CLUSTER | 1 << 63),
        "compressed": (L2, 1 << 62 | place * 64),
        "table": (L1, place * CLUSTER | 1 << 63),
    }[entry]
    if entry == "table" and place == 4:
        return  # That is where it lies.
    assert "qcow2-overlap" in broken_rules(patch(qcow2(), at, ">Q", value))


@pytest.mark.parametrize("image", [qcow2(size=1 << 40), qcow2(bits=9, size=65_536), qcow2(extended=True)])
def test_honest_tables_pass(image: bytes) -> None:
    """Images whose clusters are there once are as safe as before."""
    assert not broken_rules(image)


DISKS = {
    "vdi, twice": patch(vdi(), 512, "<II", 0, 0),
    "vdi, twice behind a table's window": put(
        vdi(size=40_000 * MIB)[:512] + b"\xff" * 160_256 + bytes(MIB), 512 + 150_000, bytes(4)
    ),
    "vhd, over its table": patch(vhd(), 1536, ">I", 3),
    "vhd, over its header": patch(vhd(), 1536, ">I", 1),
    "vhd, over its footer": patch(vhd(), 1536, ">I", 0),
    "vhd, half over another": patch(vhd(), 1536, ">II", 4, 100),
    "vhd, twice": patch(vhd(), 1536, ">II", 4, 4),
    "vhdx, in its headers": vhdx(blocks=(6,)),
    "vhdx, twice": vhdx(blocks=(4 << 20 | 6,) * 4),
    "vmdk, grain twice": patch(vmdk(), 22 * 512, "<II", 128, 128),
    "vmdk, grain is a table": patch(vmdk(), 22 * 512, "<I", 22),
    "vmdk, grain is the directory": patch(vmdk(), 22 * 512, "<I", 21),
    "vmdk, grain in the header": patch(vmdk(), 22 * 512, "<I", 0x1_0000_0000 - 1),
    "vmdk, table twice": patch(vmdk(capacity=2 * 65_536), 21 * 512, "<II", 22, 22),
}


@pytest.mark.parametrize("name", DISKS)
@pytest.mark.parametrize("size", [511, 1 << 20])
def test_blocks_lie_apart(name: str, size: int) -> None:
    """A block of a disk is neither another block nor a table."""
    code, _ = verdict_of(new_guard(), cut(DISKS[name], size))
    assert code == "format-unsafe"


@given(
    field=st.sampled_from([(0, "<Q"), (8, "<I")]),
    value=st.integers(0, (1 << 32) - 1),
)
def test_a_false_marker_is_found(field: tuple[int, str], value: int) -> None:
    """The markers of a stream lead to its end, through places where grains may be, or it is refused."""
    at, layout = field
    changed = patch(STREAM, GRAIN_AT + at, layout, value)
    number, size = struct.unpack_from("<QI", changed, GRAIN_AT)
    honest = number % 128 == 0 and number < 8_192 and (size + 12 + 511) // 512 == 1 and size
    assert bool(broken_rules(changed)) is not bool(honest)


@given(sector=st.sampled_from([129, 134, 136]), kind=st.integers(0, 6))
def test_an_early_end_is_no_end(sector: int, kind: int) -> None:
    """A marker that another is put over does not hide what is behind it."""
    changed = put(STREAM, sector * 512, struct.pack("<QII", 1, 0, kind).ljust(512, b"\0"))
    if changed != STREAM:
        assert broken_rules(changed)


def test_parallels_is_read_as_before() -> None:
    """Clusters of Parallels may lie anywhere behind the table."""
    assert inspected(parallels()).report().is_safe
