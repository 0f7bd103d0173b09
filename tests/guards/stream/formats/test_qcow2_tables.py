"""QCOW2's tables: what they refer to is inside the file, as far as they can be read while streaming."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.guards.stream.formats.disks.qcow2_tables import MAX_MARKED
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


FIRST_DATA, DATA_CLUSTERS = 6, 100


def of_two_tables(*tables: list[int]) -> bytes:
    """Make an image whose L2 tables name these clusters, and which has a hundred clusters of data."""
    image = bytearray(qcow2(bits=9, size=65_536)[: 4 * CLUSTER])
    for number, clusters in enumerate(tables):
        struct.pack_into(">Q", image, 3 * CLUSTER + 8 * number, (4 + number) * CLUSTER | 1 << 63)
        image += b"".join(struct.pack(">Q", at * CLUSTER | 1 << 63) for at in clusters).ljust(CLUSTER, b"\0")
    return bytes(image) + bytes(DATA_CLUSTERS * CLUSTER)


PLACES = st.lists(st.integers(FIRST_DATA, FIRST_DATA + DATA_CLUSTERS - 1), max_size=64, unique=True)
RUNS = st.builds(
    lambda start, count: list(range(start, start + count)), st.integers(6, 41), st.integers(0, 64)
)


@given(first=PLACES | RUNS, second=PLACES | RUNS)
def test_two_tables_name_no_cluster_both(first: list[int], second: list[int]) -> None:
    """However their clusters are strewn, one that two tables name is found, and no other."""
    expected = set() if set(first).isdisjoint(second) else {"qcow2-overlap"}
    assert broken_rules(of_two_tables(first, second)) == expected


@pytest.mark.parametrize("apart", [[], [FIRST_DATA]])
def test_so_many_clusters_are_remembered(apart: list[int]) -> None:
    """Memory is bounded: behind the last that is remembered, two tables may name one cluster."""
    for cluster, expected in (
        (MAX_MARKED - 1, {"qcow2-overlap"}),
        (MAX_MARKED, {"beyond-end"}),
    ):
        assert broken_rules(of_two_tables([*apart, cluster], [cluster])) == expected
