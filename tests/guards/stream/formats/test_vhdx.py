"""VHDX: headers and region tables; what readers could differ on is refused."""

import struct
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import FormatUnsafe, VirtualSizeExceeded
from tests.guards.stream.formats.build import (
    KIB,
    MIB,
    VHDX_BLOCKS,
    VHDX_METADATA,
    patch,
    put,
    seal_vhdx,
    vhdx,
    vhdx_header,
)
from tests.guards.stream.formats.corpus import broken_rules, inspected, new_guard
from tests.guards.stream.formats.hostile_disks import VHDX

IMAGE = vhdx()


@pytest.mark.parametrize("blocks_first", [True, False])
def test_valid_images_pass(blocks_first: bool) -> None:
    """Whichever of its regions comes first, a valid image breaks no rule and its tables are read."""
    found = inspected(vhdx(blocks_first=blocks_first)).report()
    assert found.is_safe
    assert found.virtual_bytes == 4 * MIB
    assert found.facts == {"block_bytes": MIB, "tables_read": True}


def test_one_valid_header_is_enough() -> None:
    """A header that was being written when the power went is what the other one is for."""
    assert not broken_rules(put(IMAGE, 128 * KIB, bytes(4096)))


def test_the_higher_sequence_counts() -> None:
    """A log that an older header names was replayed since."""
    older = vhdx_header(sequence=1, log=UUID(int=1))
    assert not broken_rules(put(IMAGE, 64 * KIB, older))
    newer = vhdx_header(sequence=3, log=UUID(int=1))
    assert broken_rules(put(IMAGE, 64 * KIB, newer)) == {"vhdx-log"}


def test_version_has_to_be_known() -> None:
    """Another version is another format."""
    assert broken_rules(put(IMAGE, 128 * KIB, vhdx_header(sequence=2, version=2))) == {"vhdx-version"}


@settings(max_examples=10, deadline=None)
@given(at=st.integers(0, 20_000), flip=st.integers(1, 255))
def test_every_byte_of_a_region_table_counts(at: int, flip: int) -> None:
    """A changed byte in one table makes the two differ."""
    changed = bytearray(IMAGE)
    changed[192 * KIB + at] ^= flip
    assert broken_rules(bytes(changed)) == {"vhdx-regions"}


@settings(max_examples=10, deadline=None)
@given(count=st.integers(2_048, (1 << 32) - 1))
def test_entries_are_counted(count: int) -> None:
    """A table cannot have more entries than fit in it."""
    table = seal_vhdx(patch(IMAGE[192 * KIB : 256 * KIB], 8, "<I", count))
    assert "vhdx-regions" in broken_rules(put(put(IMAGE, 192 * KIB, table), 256 * KIB, table))


@pytest.mark.parametrize(
    ("name", "error"), [("vhdx-has-parent", FormatUnsafe), ("vhdx-virtual-2-tib", VirtualSizeExceeded)]
)
def test_verdict_comes_with_the_metadata(name: str, error: type[Exception]) -> None:
    """A parent or a disk that is too large is refused within the first 4 MiB, before the tables."""
    guard = new_guard()
    with pytest.raises(error):
        guard.feed(VHDX[name]()[: 2 * MIB + 128 * KIB])


@pytest.mark.parametrize(
    ("length", "offset"), [(0, MIB), (512, MIB), (MIB, 0), (MIB, MIB + 512), (MIB, 1 << 50)]
)
def test_the_log_has_a_place(length: int, offset: int) -> None:
    """An empty log lies somewhere as well; a reader that checks it opens nothing else."""
    header = seal_vhdx(patch(vhdx_header(sequence=2), 68, "<IQ", length, offset))
    assert broken_rules(put(IMAGE, 128 * KIB, header)) in ({"vhdx-header"}, {"beyond-end"})


@pytest.mark.parametrize("mebibytes", [62, 63, 64, 200])
def test_a_log_may_be_long(mebibytes: int) -> None:
    """`qemu-img create -o log_size=64M` puts it before the metadata; no block may lie in it."""
    log = mebibytes * MIB
    regions = [(VHDX_BLOCKS, 2 * MIB + log, MIB, 1), (VHDX_METADATA, MIB + log, MIB, 1)]
    made = vhdx(regions=regions, blocks=())
    header = seal_vhdx(patch(vhdx_header(sequence=2), 68, "<IQ", log, MIB))
    metadata, table = made[2 * MIB : 3 * MIB], struct.pack("<Q", (3 * MIB + log) | 6)
    image = put(made[:MIB], 128 * KIB, header) + bytes(log) + metadata + table.ljust(2 * MIB, b"\0")
    found = inspected(image).report()
    assert (found.is_safe, found.virtual_bytes) == (True, 4 * MIB), found.findings
    assert broken_rules(patch(image, 2 * MIB + log, "<Q", 2 * MIB | 6)) == {"vhdx-overlap"}


def test_two_headers_with_one_number_are_the_same() -> None:
    """Readers differ in which one they take."""
    same = vhdx_header(sequence=2)
    assert not broken_rules(put(IMAGE, 64 * KIB, same))
    other = seal_vhdx(patch(same, 16, "<Q", 7))
    assert broken_rules(put(IMAGE, 64 * KIB, other)) == {"vhdx-header"}
