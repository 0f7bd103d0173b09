"""VDI: valid headers pass, and any one field out of its range is refused by its rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.build import MIB, patch, vdi
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.spoil import Field, ids, outside, spoil

IMAGE = vdi()
FIELDS = (
    Field("version", 0x44, "<I", outside(32, 0x10001), "vdi-version"),
    Field("type", 0x4C, "<I", outside(32, 1, 2), "vdi-type"),
    Field("blocks offset", 0x154, "<I", st.integers(1, 1 << 30).filter(lambda n: n % 512), "vdi-table-place"),
    Field("data offset", 0x158, "<I", st.integers(0, 527), "vdi-table-place"),
    Field("data offset far", 0x158, "<I", st.integers(3, 1 << 22).map(lambda n: n * 512), "beyond-end"),
    Field("sector size", 0x168, "<I", outside(32, 512), "vdi-block"),
    Field("disk size", 0x170, "<Q", st.integers(4 * MIB + 1, (1 << 64) - 1), "vdi-size"),
    Field("block size", 0x178, "<I", outside(32, MIB), "vdi-block"),
    Field("blocks", 0x180, "<I", st.integers(0, 3) | st.integers(1 << 30, (1 << 32) - 1), "vdi-size"),
    Field("blocks allocated", 0x184, "<I", st.integers(5, (1 << 32) - 1), "vdi-size"),
    Field("link UUID", 0x1A8, "<Q", outside(64, 0), "vdi-parent"),
    Field("parent UUID", 0x1C0, "<Q", outside(64, 0), "vdi-parent"),
    Field("map entry", 512, "<I", st.integers(1, 0xFFFF_FFFD), "vdi-map"),
)


@pytest.mark.parametrize("field", FIELDS, ids=ids)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_spoilt_field_is_refused(field: Field, data: st.DataObject) -> None:
    """One field out of range is enough."""
    assert field.rule in broken_rules(spoil(IMAGE, field, data.draw(field.bad)))


@pytest.mark.parametrize("size", [1, MIB, 3 * MIB + 512, 4 * MIB])
def test_valid_images_pass(size: int) -> None:
    """Whatever the disk's size, a valid image breaks no rule."""
    found = inspected(vdi(size=size)).report()
    assert found.is_safe
    assert found.virtual_bytes == size


@pytest.mark.parametrize("entry", [0xFFFF_FFFF, 0xFFFF_FFFE])
def test_blocks_may_be_missing(entry: int) -> None:
    """A block that was never written, or was discarded, is no lie."""
    assert not broken_rules(patch(IMAGE, 512, "<I", entry))


def test_bytes_beside_blocks_are_refused() -> None:
    """VirtualBox steps over what lies beside each block, and qemu does not: two disks in one file."""
    assert broken_rules(patch(IMAGE, 380, "<I", 512)) == {"vdi-block"}
