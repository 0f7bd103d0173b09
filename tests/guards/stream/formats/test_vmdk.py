"""VMDK: valid headers pass, and any one field out of its range is refused by its rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.build import patch, vmdk, vmdk_descriptor, vmdk_stream
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.spoil import Field, ids, outside, spoil

IMAGE, STREAM = vmdk(), vmdk_stream()
GRAINS = tuple(1 << bit for bit in range(1, 9))
FIELDS = (
    Field("version", 4, "<I", outside(32, 1, 2, 3), "vmdk-version"),
    Field("capacity", 12, "<Q", st.just(0) | st.integers((1 << 41) + 1, (1 << 64) - 1), "vmdk-capacity"),
    Field("grainSize", 20, "<Q", outside(64, *GRAINS), "vmdk-grain"),
    Field("descriptorOffset", 28, "<Q", outside(64, 1), "vmdk-descriptor-place"),
    Field("descriptorSize", 36, "<Q", outside(64, *range(1, 21)), "vmdk-descriptor-place"),
    Field("numGTEsPerGT", 44, "<I", outside(32, 512), "vmdk-grain"),
    Field("gdOffset", 56, "<Q", st.integers(0, 20), "vmdk-table-place"),
    Field("gdOffset far", 56, "<Q", st.integers(1_000, (1 << 64) - 2), "beyond-end"),
    Field("overHead", 64, "<Q", st.integers(1_000, (1 << 64) - 1), "beyond-end"),
    Field("compressAlgorithm", 77, "<H", outside(16, 0, 1), "vmdk-compression"),
)


@pytest.mark.parametrize("field", FIELDS, ids=ids)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_spoilt_field_is_refused(field: Field, data: st.DataObject) -> None:
    """One field out of range is enough."""
    assert field.rule in broken_rules(spoil(IMAGE, field, data.draw(field.bad)))


@settings(max_examples=15, deadline=None)
@given(capacity=st.integers(1, 65_536), is_stream=st.booleans())
def test_valid_images_pass(capacity: int, is_stream: bool) -> None:
    """Whatever the size, a valid image of either type breaks no rule."""
    found = inspected(vmdk_stream(capacity=capacity) if is_stream else vmdk(capacity=capacity)).report()
    assert found.is_safe
    assert found.virtual_bytes == capacity * 512
    assert found.facts["type"] == ("streamOptimized" if is_stream else "monolithicSparse")


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(1_024, len(STREAM) - 1))
def test_cut_streams_are_refused(cut: int) -> None:
    """A stream without its footer is cut short, wherever that is."""
    assert broken_rules(STREAM[:cut])


def test_tables_before_the_directory_are_left_out() -> None:
    """A grain table that passed already cannot be read any more; the image passes without the note."""
    found = inspected(patch(IMAGE, 21 * 512, "<I", 20)).report()
    assert found.is_safe
    assert "tables_read" not in found.facts


def test_many_tables_are_left_out() -> None:
    """Memory is bounded: with more grain tables than are worth it, only the directory is read."""
    tables = 40_000
    image = patch(vmdk(capacity=tables * 1_024), 20, "<Q", 2)
    body = b"".join((400 + number * 4).to_bytes(4, "little") for number in range(tables))
    found = inspected((image[: 21 * 512] + body).ljust((400 + tables * 4) * 512, b"\0")).report()
    assert found.is_safe
    assert "tables_read" not in found.facts


def test_type_of_the_message_is_a_known_word() -> None:
    """What somebody wrote as the type never comes back; a type that is known does."""
    text = vmdk_descriptor("secretWord9")
    found = inspected(vmdk(descriptor=text)).report()
    assert "secretWord9" not in str(found)
    assert inspected(vmdk(descriptor=vmdk_descriptor("vmfs"))).report().facts["type"] == "vmfs"


@pytest.mark.parametrize(
    ("flags", "place", "is_refused"), [(3, 1 << 40, True), (3, 21, False), (1, 1 << 40, False)]
)
def test_the_second_directory_lies_inside(flags: int, place: int, is_refused: bool) -> None:
    """Where a header has a second grain directory, readers read it; without its flag the place is unused."""
    image = patch(patch(IMAGE, 8, "<I", flags), 48, "<Q", place)
    assert (not inspected(image).report().is_safe) is is_refused
