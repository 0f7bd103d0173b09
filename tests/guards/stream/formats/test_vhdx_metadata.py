"""VHDX's metadata: valid values pass, and any other is refused by its rule."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats import peers
from tests.guards.stream.formats.build import MIB, VHDX_ITEMS, patch, vhdx
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.spoil import outside

BLOCKS = tuple(1 << bit for bit in range(20, 29))


def with_item(name: str, layout: str, *values: int) -> bytes:
    """Make a VHDX with other values in one item."""
    known, _, flags = VHDX_ITEMS[name]
    return vhdx(items=VHDX_ITEMS | {name: (known, struct.pack(layout, *values), flags)})


@settings(max_examples=6, deadline=None)
@given(block=outside(32, *BLOCKS))
def test_block_size_is_checked(block: int) -> None:
    """Blocks are powers of two from 1 to 256 MiB."""
    assert broken_rules(with_item("parameters", "<II", block, 0)) == {"vhdx-block"}


@settings(max_examples=6, deadline=None)
@given(sector=outside(32, 512, 4096))
def test_sector_size_is_checked(sector: int) -> None:
    """Sectors are 512 or 4096 bytes."""
    assert broken_rules(with_item("logical", "<I", sector)) == {"vhdx-sector"}


@settings(max_examples=6, deadline=None)
@given(size=st.just(0) | st.integers((64 << 40) + 1, (1 << 64) - 1) | st.integers(1, 511))
def test_disk_size_is_checked(size: int) -> None:
    """Disks are whole sectors, up to 64 TiB."""
    assert "vhdx-size" in broken_rules(with_item("size", "<Q", size))


@pytest.mark.parametrize("flags", [2, 3])
def test_parents_are_refused(flags: int) -> None:
    """An image that needs its parent is refused, whatever its other flag says."""
    assert broken_rules(with_item("parameters", "<II", MIB, flags)) == {"vhdx-parent"}


def test_four_kilobyte_sectors_pass() -> None:
    """Disks with sectors of 4096 bytes are usual."""
    assert inspected(with_item("logical", "<I", 4096)).report().is_safe


@settings(max_examples=8, deadline=None)
@given(offset=st.integers(0, 64 * 1024 - 1) | st.integers(MIB - 7, (1 << 32) - 1))
def test_items_lie_inside_their_region(offset: int) -> None:
    """An item before the table's end or behind its region is refused."""
    entry = 2 * MIB + 32 + 32 + 16
    assert broken_rules(patch(vhdx(), entry, "<I", offset)) == {"vhdx-metadata"}


def test_items_may_not_overlap() -> None:
    """Two items at one place would be read as each other."""
    entry = 2 * MIB + 32 + 32 + 16
    assert broken_rules(patch(vhdx(), entry, "<I", 64 * 1024 + 4)) == {"vhdx-metadata"}


def test_items_come_in_any_order() -> None:
    """The order of the items in the region is the writer's."""
    names = list(VHDX_ITEMS)
    shuffled = {name: VHDX_ITEMS[name] for name in [*names[2:], *names[:2]]}
    assert inspected(vhdx(items=shuffled)).report().virtual_bytes == 4 * MIB


@pytest.mark.parametrize("blocks_first", [False, True])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_blocks_lie_in_no_region(place: int, blocks_first: bool) -> None:
    """A guest that wrote into the log, the metadata or the block table would make another disk of it."""
    image = vhdx(blocks=(place << 20 | 6, 0, 0, 0), blocks_first=blocks_first)
    assert broken_rules(image) == {"vhdx-overlap"}


def test_blocks_reach_into_no_region() -> None:
    """A block of two mebibytes that begins before a region reaches into it."""
    items = VHDX_ITEMS | {"parameters": (VHDX_ITEMS["parameters"][0], struct.pack("<II", 2 * MIB, 0), 4)}
    table = ("2dc27766-f623-4200-9d64-115e9bfd4a08", 6 * MIB, MIB, 1)
    regions = [("8b7ca206-4790-4b9a-b8fe-575f050f886e", 2 * MIB, MIB, 1), table]
    image = bytearray(vhdx(items=items, regions=regions).ljust(9 * MIB, b"\0"))
    for place, expected in ((4, set()), (5, {"vhdx-overlap"}), (7, set()), (3, set())):
        struct.pack_into("<QQ", image, 6 * MIB, place << 20 | 6, 0)
        assert broken_rules(bytes(image)) == expected, place


def with_blocks(size: int, blocks: tuple[int, ...], total: int) -> bytes:
    """Make a VHDX with blocks of 8 MiB at mebibytes (0: none), and so many mebibytes in all."""
    items = VHDX_ITEMS | {
        "parameters": (VHDX_ITEMS["parameters"][0], struct.pack("<II", 8 * MIB, 0), 4),
        "size": (VHDX_ITEMS["size"][0], struct.pack("<Q", size * MIB), 6),
    }
    entries = tuple(place << 20 | 6 if place else 0 for place in blocks)
    return vhdx(items=items, blocks=entries).ljust(total * MIB, b"\0")


@pytest.mark.parametrize(
    ("size", "blocks", "total", "is_whole"),
    [
        (9, (8, 16), 17, True),  # Whoever writes a fixed one leaves out what is behind the disk.
        (9, (8, 16), 16, False),
        (9, (16, 8), 24, True),
        (9, (16, 8), 23, False),
        (17, (4, 12, 0), 20, True),
        (17, (4, 12, 0), 19, False),
        (17, (8, 16, 24), 25, True),
        (16, (8, 16), 24, True),
        (16, (8, 16), 23, False),
        (25, (8, 0, 0, 16), 17, True),
    ],
)
def test_every_block_lies_inside_the_file(
    size: int, blocks: tuple[int, ...], total: int, is_whole: bool, tmp_path: Path
) -> None:
    """Blocks are whole, but for the disk's last one, which ends with the disk; qemu-img agrees."""
    image = with_blocks(size, blocks, total)
    assert broken_rules(image) == (set() if is_whole else {"beyond-end"})
    if peers.has_qemu_img():
        (tmp_path / "disk.vhdx").write_bytes(image)
        assert peers.qemu_img(tmp_path / "disk.vhdx", "vhdx").is_accepted is is_whole


@pytest.mark.parametrize(
    ("size", "blocks", "total"),
    [
        (
            9,
            (8, 9),
            10,
        ),  # The farthest block is the short one, and the whole one before it ends behind it.
        (9, (9, 8), 16),
        (17, (4, 5, 0), 13),  # The last block is not mapped, so no block is short.
        (17, (5, 4, 0), 13),
        (17, (8, 15, 16), 17),
    ],
)
def test_blocks_do_not_lie_over_one_another(size: int, blocks: tuple[int, ...], total: int) -> None:
    """Blocks that overlap near the end of the file are found, wherever the short last one lies."""
    assert broken_rules(with_blocks(size, blocks, total)) & {"beyond-end", "vhdx-overlap"}
