"""Checksums, tables of numbers, and which of several matches it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.guards.stream.formats.disks.crc32c import crc32c
from fetcher.guards.stream.formats.disks.tables import integers, is_power_of_two, round_up
from fetcher.guards.stream.formats.report import Kind, Report, Role
from fetcher.guards.stream.formats.settlement import settle, settle_end

REFLECTED = 0x82F6_3B78


def slowly(block: bytes) -> int:
    """Compute CRC-32C bit by bit, as RFC 3720 defines it."""
    state = 0xFFFF_FFFF
    for byte in block:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (REFLECTED if state & 1 else 0)
    return state ^ 0xFFFF_FFFF


def test_checksum_of_the_standard() -> None:
    """The check values of RFC 3720 come out."""
    assert crc32c(b"123456789") == 0xE306_9283
    assert crc32c(bytes(32)) == 0x8A91_36AA
    assert crc32c(b"\xff" * 32) == 0x62A8_AB43


@settings(deadline=None)
@given(filled=st.binary(max_size=60), zeros=st.integers(0, 300))
def test_zeros_are_no_shortcut(filled: bytes, zeros: int) -> None:
    """The quick way over zeros leads to the same checksum."""
    assert crc32c(filled + bytes(zeros)) == slowly(filled + bytes(zeros))


@settings(deadline=None)
@given(table=st.binary(max_size=70), width=st.sampled_from([4, 8]), order=st.sampled_from(["big", "little"]))
def test_tables_are_read_in_their_order(table: bytes, width, order) -> None:
    """Numbers are those of the table's byte order, and an incomplete one is left out."""
    whole = [table[at : at + width] for at in range(0, len(table) - width + 1, width)]
    assert list(integers(table, width, order)) == [int.from_bytes(piece, order) for piece in whole]


@settings(deadline=None)
@given(number=st.integers(0, 1 << 70), step=st.integers(1, 1 << 20))
def test_rounding_up(number: int, step: int) -> None:
    """The next multiple is less than a step away."""
    assert 0 <= round_up(number, step) - number < step
    assert round_up(number, step) % step == 0


@settings(deadline=None)
@given(number=st.integers(-5, 1 << 40))
def test_powers_of_two(number: int) -> None:
    """One bit is set in a power of two."""
    assert is_power_of_two(number) == (number > 0 and number.bit_count() == 1)


def report(key: str, role: Role = Role.DISK) -> Report:
    """Make a report of some kind."""
    return Report(kind=Kind(key=key, words=f"a {key}", role=role), name=key, facts={key: True})


@pytest.mark.parametrize("order", [1, -1])
def test_stated_pairs_are_one(order: int) -> None:
    """A disc with partitions is a disc, whichever was found first, and knows of both."""
    found = [report("iso"), report("mbr", Role.TRACE), report("gpt", Role.TRACE)][::order]
    main, rivals = settle(found)
    assert main is not None
    assert (main.kind.key, rivals) == ("iso", [])
    assert set(main.facts) == {"iso", "mbr", "gpt"}


def test_unstated_pairs_are_several() -> None:
    """Two disk formats at once are never one of them."""
    main, rivals = settle([report("qcow2"), report("vdi"), report("html", Role.DOCUMENT)])
    assert main is not None
    assert [rival.kind.key for rival in rivals] == ["qcow2", "vdi"]


def test_raw_disk_is_named_after_its_best_sign() -> None:
    """A partition table says more than a boot sector, and both more than that it reads like a text."""
    traces = [report("boot", Role.TRACE), report("mbr", Role.TRACE), report("text", Role.DOCUMENT)]
    main, _ = settle(traces)
    assert main is not None
    assert main.kind.key == "mbr"


def test_two_ends_are_several() -> None:
    """A file with two trailers is two things."""
    head, rivals = settle_end(None, [], [report("vhd"), report("zip", Role.PACKED)])
    assert head is None
    assert len(rivals) == 2
