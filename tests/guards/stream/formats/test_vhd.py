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


def with_geometry(image: bytes, creator: bytes, cylinders: int, heads: int = 16, sectors: int = 63) -> bytes:
    """Return an image whose footers have another creator and geometry."""
    for at in {0, len(image) - 512} if image.startswith(b"conectix") else {len(image) - 512}:
        footer = patch(image[at : at + 512], 28, ">4s", creator)
        footer = seal_vhd(patch(footer, 56, ">HBB", cylinders, heads, sectors), 64)
        image = put(image, at, footer)
    return image


@pytest.mark.parametrize("image", [vhd(), vhd_fixed(mbr(size=4 << 20))])
@pytest.mark.parametrize(
    ("creator", "cylinders", "is_refused"),
    [
        (b"vbox", 8, False),
        (b"vbox", 9, False),
        (b"vbox", 10, True),
        (b"qemu", 65_535, True),
        (b"vpc ", 60, True),
        (b"win ", 60, False),
        (b"qem2", 65_535, False),
    ],
)
def test_geometry_hides_no_larger_disk(
    image: bytes, creator: bytes, cylinders: int, is_refused: bool
) -> None:
    """Readers go by the geometry of a disk, but for some creators'; then it is no larger than the size."""
    found = broken_rules(with_geometry(image, creator, cylinders))
    assert found == ({"vhd-geometry"} if is_refused else set())


def test_the_largest_geometry_says_nothing() -> None:
    """A disk that is larger than a geometry can say has the largest, whoever made it."""
    assert not broken_rules(with_geometry(vhd(), b"vpc ", 65_535, 16, 255))
