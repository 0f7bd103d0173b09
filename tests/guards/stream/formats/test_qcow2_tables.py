"""QCOW2's tables: what they refer to is inside the file, as far as they can be read while streaming."""

import pytest

from tests.guards.stream.formats.build import patch, qcow2
from tests.guards.stream.formats.corpus import broken_rules, inspected

CLUSTER = 512
IMAGE = qcow2(bits=9, size=65_536)  # Two L1 entries at 3 * CLUSTER, one L2 table behind, one cluster of data.


def test_compressed_clusters_are_followed() -> None:
    """Compressed data beside plain data is inside the file."""
    image = patch(IMAGE, 4 * CLUSTER + 8, ">Q", 1 << 62 | 5 * CLUSTER + 17)
    assert not broken_rules(image)
    assert "beyond-end" in broken_rules(patch(image, 4 * CLUSTER + 8, ">Q", 1 << 62 | 9 * CLUSTER))


def test_tables_that_passed_already_are_left_out() -> None:
    """An L2 table before the L1 table cannot be read any more; the image passes without the note."""
    image = patch(IMAGE, 40, ">Q", 4 * CLUSTER)  # The two change places.
    image = patch(image, 3 * CLUSTER, ">Q", 0)
    image = patch(image, 4 * CLUSTER, ">Q", 3 * CLUSTER | 1 << 63)
    found = inspected(image).report()
    assert found.is_safe
    assert "tables_read" not in found.facts


def test_many_tables_are_left_out() -> None:
    """Memory is bounded: with more L2 tables than are worth it, only the L1 table is read."""
    entries = 40_000
    image = qcow2(bits=9, size=entries * 32_768)
    at = 3 * CLUSTER
    first = at + entries * 8
    body = b"".join((first + number * CLUSTER | 1 << 63).to_bytes(8, "big") for number in range(entries))
    found = inspected(image[:at] + body + bytes(entries * CLUSTER)).report()
    assert found.is_safe
    assert "tables_read" not in found.facts


def test_subclusters_are_read_in_pairs() -> None:
    """The bitmap beside an extended entry is no offset."""
    assert inspected(qcow2(extended=True)).report().facts["tables_read"] is True


L2_AT, ALLOCATED, ZEROES, PACKED = 4 << 16, 1, 1 << 32, 1 << 62


@pytest.mark.parametrize(
    ("entry", "bitmap", "rule"),
    [
        (0, 0, None),
        (0, ZEROES, None),
        (0, 0xFFFF_FFFF << 32, None),
        (0, ALLOCATED, "qcow2-subclusters"),
        (0, ZEROES | ALLOCATED << 1, "qcow2-subclusters"),
        (5 << 16, ALLOCATED, None),
        (5 << 16, ZEROES << 31 | ALLOCATED, None),
        (5 << 16, ZEROES, None),
        (5 << 16, ZEROES | ALLOCATED, "qcow2-subclusters"),
        (5 << 16, 1 << 63 | 1 << 31, "qcow2-subclusters"),
        (PACKED | 5 << 16, 0, None),
        (PACKED | 5 << 16, ALLOCATED, "qcow2-reserved"),
        (PACKED | 5 << 16, 1 << 63, "qcow2-reserved"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 4_095])
def test_bitmaps_of_subclusters(entry: int, bitmap: int, rule: str | None, place: int) -> None:
    """A part is allocated, reads as zeros or neither; where there is no cluster, none of it is allocated."""
    image = patch(qcow2(extended=True), L2_AT, ">QQ", 0, 0)
    image = patch(image, L2_AT + 16 * place, ">QQ", entry, bitmap)
    assert broken_rules(image) == ({rule} if rule else set())


def test_a_pair_that_is_cut_is_no_fault_of_ours() -> None:
    """A file may end between an entry and its bitmap."""
    assert broken_rules(qcow2(extended=True)[: L2_AT + 24]) == {"beyond-end"}
