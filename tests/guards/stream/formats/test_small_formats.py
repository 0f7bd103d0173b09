"""Formats that are told by a few bytes: each is found by them, and not without them."""

import struct
from zlib import crc32

import pytest

from fetcher.guards.stream.formats.archives import pkzip, sevenzip, tar
from fetcher.guards.stream.formats.disks import parallels
from fetcher.guards.stream.formats.packed import bzip2, gzip, lz4, xz, zstandard
from fetcher.guards.stream.formats.raw import kernel, partitions, ramdisk, udf
from fetcher.guards.stream.formats.refused import bochs, cloop, luks, qcow1, qed
from fetcher.guards.stream.formats.registry import END_RECOGNISERS, RECOGNISERS
from fetcher.guards.stream.formats.report import End, Report
from tests.guards.stream.formats.build import parallels as build_parallels
from tests.guards.stream.formats.build import patch
from tests.guards.stream.formats.corpus import BUILT, broken_rules, inspected

FOUND = {
    "bochs": bochs,
    "bz2-raw": bzip2,
    "cloop": cloop,
    "gz-raw": gzip,
    "kernel-x86": kernel,
    "luks1": luks,
    "lz4-good": lz4,
    "good-parallels": parallels,
    "zip-raw": pkzip,
    "qcow1": qcow1,
    "qed": qed,
    "cpio": ramdisk,
    "7z-good": sevenzip,
    "tar": tar,
    "udf": udf,
    "xz-raw": xz,
    "zst-good": zstandard,
}


@pytest.mark.parametrize("name", FOUND)
def test_format_is_found_by_its_own_recogniser(name: str) -> None:
    """A recogniser knows its format, and its format's name."""
    report = FOUND[name].recognise(BUILT[name]()[:65_536])
    assert report is not None
    assert report.kind.words in repr(report.kind)


@pytest.mark.parametrize(
    "recognise", RECOGNISERS, ids=lambda recognise: f"{recognise.__module__}.{recognise.__name__}"
)
def test_zeros_and_noise_are_nothing(recognise) -> None:
    """No recogniser finds its format in zeros, in noise, or in nothing."""
    assert recognise(bytes(65_536)) is None
    assert recognise(BUILT["noise"]()[:65_536]) is None
    assert recognise(b"") is None


@pytest.mark.parametrize(
    "recognise", RECOGNISERS, ids=lambda recognise: f"{recognise.__module__}.{recognise.__name__}"
)
def test_a_head_may_end_anywhere(recognise) -> None:
    """However short a stream is, looking at its head is no fault: it ends in a report or in none."""
    for name in FOUND:
        head = BUILT[name]()[:65_536]
        for length in (1, 3, 7, 11, 63, 71, 257, 511, 513, 1_023):
            found = recognise(head[:length])
            assert found is None or isinstance(found, Report), (name, length)


@pytest.mark.parametrize("recognise", END_RECOGNISERS, ids=lambda recognise: recognise.__module__)
def test_an_end_may_be_short(recognise) -> None:
    """A stream shorter than a footer has none."""
    for length in (0, 1, 22, 511):
        assert recognise(End(length, bytes(length))) is None


@pytest.mark.parametrize("sector", [512, 4096])
def test_gpt_is_found_for_both_sectors(sector: int) -> None:
    """Disks with sectors of 4096 bytes have their table elsewhere."""
    name = "raw-gpt" if sector == 512 else "raw-gpt-4096"
    report = partitions.recognise_gpt(BUILT[name]())
    assert report is not None
    assert report.reach == len(BUILT[name]())


def test_gpt_of_a_wrong_length_promises_nothing() -> None:
    """Where the table's header is longer than a sector, what it says does not count."""
    report = partitions.recognise_gpt(patch(BUILT["raw-gpt"](), 512 + 12, "<I", 513))
    assert report is not None
    assert report.reach == 0


def test_parallels_may_have_empty_tables() -> None:
    """A table of many entries may have none in use."""
    found = inspected(build_parallels(sectors=8 * 40_000, cluster=8)).report()
    assert found.is_safe
    assert found.facts == {"tables_read": True}


def test_long_xz_index_is_left_out() -> None:
    """An index that does not fit in the tail is not added up, but has to fit in the file."""
    for size, expected in ((1 << 20, set()), (4096, {"xz-index"})):
        image = BUILT["xz-raw"]()[:-12].ljust(size, b"x")
        footer = struct.pack("<I", 100_000 // 4) + image[6:8]
        assert broken_rules(image + struct.pack("<I", crc32(footer)) + footer + b"YZ") == expected


@pytest.mark.parametrize("records", [b"", b"\5", b"\xff" * 20, b"\x80" * 40_000], ids=len)
def test_xz_index_has_the_records_that_it_counts(records: bytes) -> None:
    """An index that promises more than it holds, or numbers without end, is damaged."""
    index = (b"\0\5" + records).ljust(-(-(len(records) + 2) // 4) * 4, b"\0")
    index += struct.pack("<I", crc32(index))
    image = BUILT["xz-raw"]()
    footer = struct.pack("<I", len(index) // 4 - 1) + image[6:8]
    footer = struct.pack("<I", crc32(footer)) + footer + b"YZ"
    assert broken_rules(image[:-12].ljust(2 * len(index), b"x") + index + footer) == {"xz-index"}


def test_gpt_with_a_wrong_checksum_promises_nothing() -> None:
    """Where the table's checksum is wrong, what it says of the disk's size does not count."""
    image = bytearray(BUILT["raw-gpt"]())
    image[512 + 16] ^= 1
    report = partitions.recognise_gpt(bytes(image))
    assert report is not None
    assert report.reach == 0
