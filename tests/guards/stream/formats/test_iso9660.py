"""ISO 9660: valid descriptors pass, and any one number out of its range is refused by its rule."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.build import both, iso, put
from tests.guards.stream.formats.corpus import broken_rules, inspected

PRIMARY = 32_768


@settings(max_examples=20, deadline=None)
@given(blocks=st.integers(21, 200), block=st.sampled_from([512, 1024, 2048]))
def test_valid_images_pass(blocks: int, block: int) -> None:
    """Whatever the size of volume and blocks, a valid image breaks no rule."""
    found = inspected(iso(blocks=blocks, block=block)).report()
    assert found.is_safe
    assert found.facts["volume_bytes"] == blocks * block


@pytest.mark.parametrize(
    ("at", "layout"), [(80, "<I"), (84, ">I"), (128, "<H"), (130, ">H"), (158, "<I"), (162, ">I")]
)
@settings(max_examples=6, deadline=None)
@given(number=st.integers(3_000, 65_535))
def test_both_byte_orders_agree(at: int, layout: str, number: int) -> None:
    """A number that is another one to readers of the other byte order is a lie to one of them."""
    assert broken_rules(put(iso(), PRIMARY + at, struct.pack(layout, number))) == {"iso-numbers"}


@settings(max_examples=10, deadline=None)
@given(block=st.integers(0, 65_535).filter(lambda n: n not in (512, 1024, 2048)))
def test_block_size_is_checked(block: int) -> None:
    """Blocks are 512, 1024 or 2048 bytes."""
    assert "iso-block" in broken_rules(put(iso(), PRIMARY + 128, both(block, "H")))


@settings(max_examples=10, deadline=None)
@given(root=st.just(0) | st.integers(32, (1 << 32) - 1))
def test_root_lies_in_the_volume(root: int) -> None:
    """The root directory is inside the volume, and not its first block."""
    assert "iso-root" in broken_rules(iso(root=root))


def test_boot_record_is_told() -> None:
    """A disc that can be booted from says so."""
    boot = b"\0CD001\1EL TORITO SPECIFICATION".ljust(2048, b"\0")
    image = put(put(iso(), PRIMARY + 2048, boot), PRIMARY + 4096, b"\xffCD001\1")
    assert inspected(image).report().facts["bootable"] is True
