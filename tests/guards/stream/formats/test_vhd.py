"""VHD: valid footers and headers pass, and any one field out of its range is refused by its rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.build import mbr, patch, put, seal_vhd, vhd, vhd_fixed
from tests.guards.stream.formats.corpus import broken_rules, cut, inspected, new_guard, verdict_of
from tests.guards.stream.formats.spoil import Field, ids, outside

IMAGE = vhd(size=8192, block=4096)
BLOCKS = tuple(1 << bit for bit in range(9, 29))
FOOTER = (
    Field("current size", 48, ">Q", st.just(0) | st.integers((2040 << 30) + 1, (1 << 64) - 1), "vhd-size"),
    Field("data offset", 16, ">Q", st.integers(0, 511) | st.just(513), "vhd-header"),
    Field("disk type", 60, ">I", outside(32, 3, 4), "vhd-type"),
    Field("disk type, differencing", 60, ">I", st.just(4), "vhd-parent"),
)
HEADER = (
    Field("table offset", 16, ">Q", st.integers(0, 1535), "vhd-table-place"),
    Field("table offset far", 16, ">Q", st.integers(100_000, (1 << 64) - 1), "beyond-end"),
    Field("header version", 24, ">I", outside(32, 0x10000), "vhd-version"),
    Field("max table entries", 28, ">I", st.just(1) | st.integers((1 << 25) + 1, (1 << 32) - 1), "vhd-size"),
    Field("block size", 32, ">I", outside(32, *BLOCKS), "vhd-block"),
    Field("parent unique id", 40, ">Q", outside(64, 0), "vhd-parent"),
    Field("parent name", 64, ">Q", outside(64, 0), "vhd-parent"),
    Field("parent locator", 576, ">I", outside(32, 0), "vhd-parent"),
    Field("last parent locator", 760, ">Q", outside(64, 0), "vhd-parent"),
)


@pytest.mark.parametrize("field", FOOTER, ids=ids)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_spoilt_footer_is_refused(field: Field, data: st.DataObject) -> None:
    """One field out of range is enough, though both copies agree and both checksums are right."""
    footer = seal_vhd(patch(IMAGE[:512], field.offset, field.layout, data.draw(field.bad)), 64)
    assert field.rule in broken_rules(footer + IMAGE[512:-512] + footer)


@pytest.mark.parametrize("field", HEADER, ids=ids)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_spoilt_header_is_refused(field: Field, data: st.DataObject) -> None:
    """One field out of range is enough, though the checksum is right."""
    header = seal_vhd(patch(IMAGE[512:1536], field.offset, field.layout, data.draw(field.bad)), 36)
    assert field.rule in broken_rules(put(IMAGE, 512, header))


@settings(max_examples=30, deadline=None)
@given(at=st.integers(0, 511), flip=st.integers(1, 255))
def test_every_byte_of_the_footer_counts(at: int, flip: int) -> None:
    """A changed byte anywhere in the footer at the end is seen: it is no copy any more."""
    changed = bytearray(IMAGE)
    changed[len(IMAGE) - 512 + at] ^= flip
    assert "vhd-footer" in broken_rules(bytes(changed))


def test_fixed_disks_show_at_their_end() -> None:
    """A fixed VHD is told from the raw disk that it begins as by its footer, and its size is that disk's."""
    found = inspected(vhd_fixed(mbr(size=8192))).report()
    assert (found.format, found.virtual_bytes, found.facts["type"]) == ("vhd", 8192, "fixed")


def test_raw_disk_is_no_vhd() -> None:
    """A raw disk that is said to be a VHD is refused at its end."""
    assert verdict_of(new_guard("vhd"), cut(mbr()))[0] == "format-mismatch"
