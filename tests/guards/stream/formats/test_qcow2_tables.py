"""QCOW2's tables: what they refer to is inside the file, as far as they can be read while streaming."""

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
