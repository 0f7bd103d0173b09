"""What is inside a packed image: looked at far enough to judge it, and no farther."""

import bz2
import gzip
import lzma
import zlib

import lz4.block
import lz4.frame
import pytest
from backports import zstd

from fetcher.guards.stream.formats.report import HEAD_BYTES
from tests.guards.stream.formats.build import mbr, qcow2
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.hostile_packed import HIDDEN, NOISE, pack_zip

PACKERS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "zip": pack_zip}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("size", [1_024, 65_535, 65_536, 65_537, 1 << 20])
def test_inside_is_found(packer: str, size: int) -> None:
    """Whatever packed it, and however long it is, what is inside is found."""
    found = inspected(PACKERS[packer](mbr(size=size))).report()
    assert found.inside is not None
    assert (found.format, found.inside.format) == (packer, "mbr")
    assert found.facts["inside"] == "raw disk image, MBR"


@pytest.mark.parametrize("packer", PACKERS)
def test_noise_inside_is_read_whole(packer: str) -> None:
    """What does not get smaller by packing takes more than the head, and is still looked at."""
    found = inspected(PACKERS[packer](NOISE)).report()
    assert found.inside is not None
    assert found.inside.format == "unknown"


def test_virtual_size_is_that_of_the_inside() -> None:
    """A packed QCOW2 describes the disk that the QCOW2 does."""
    assert inspected(gzip.compress(qcow2())).report().virtual_bytes == 4 << 20
    assert inspected(lzma.compress(qcow2())).report().virtual_bytes == 4 << 20


def test_members_count_as_one() -> None:
    """An image packed in pieces is one image."""
    pieces = b"".join(gzip.compress(mbr()[at : at + 100_000]) for at in range(0, 1 << 20, 100_000))
    found = inspected(pieces).report()
    assert found.inside is not None
    assert found.inside.format == "mbr"


def test_endless_packing_is_refused() -> None:
    """A megabyte that unpacks to next to nothing is not worth more."""
    packer = zlib.compressobj(wbits=31)
    stream = packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH)
    stream += packer.flush(zlib.Z_FULL_FLUSH) + b"\0\0\0\xff\xff" * 300_000
    assert broken_rules(stream) == {"packed-damaged"}


def test_cut_inside_the_head_is_refused() -> None:
    """A stream that ends before its image's first 64 KiB do is cut short."""
    assert broken_rules(gzip.compress(NOISE)[:50_000]) == {"packed-damaged"}


@pytest.mark.parametrize("length", [12, 5_000, 70_000, 200_000])
@pytest.mark.parametrize("key", ["zstd", "lz4"])
def test_a_frame_without_data_hides_nothing(key: str, length: int) -> None:
    """Both formats may begin with one, as long as it likes; what is behind it tells which format it is."""
    frame = (0x184D2A53).to_bytes(4, "little") + length.to_bytes(4, "little") + bytes(length)
    pack = {"zstd": zstd.compress, "lz4": lz4.frame.compress}[key]
    found = inspected(frame + frame + pack(qcow2()) + frame).report()
    if length < HEAD_BYTES // 2 or key == "zstd":
        assert found.inside is not None
        assert (found.format, found.inside.format) == (key, "qcow2")
    else:
        assert not found.is_safe  # Nothing tells in time that it is LZ4.


@pytest.mark.parametrize("size", [1_024, 40_000, 200_000])
def test_legacy_lz4_goes_on_in_further_frames(size: int) -> None:
    """Frames of `lz4 -l`, one after another, also followed by those of the other format."""

    def legacy(content: bytes) -> bytes:
        block = lz4.block.compress(content, store_size=False)
        return b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block

    content = mbr(size=size)
    half = size // 2
    for packed in (
        legacy(content[:half]) + legacy(content[half:]),
        legacy(content[:half]) + b"\x50\x2a\x4d\x18\1\0\0\0x" + lz4.frame.compress(content[half:]),
        lz4.frame.compress(content[:half]) + legacy(content[half:]),
    ):
        found = inspected(packed).report()
        assert (found.is_safe, found.findings) == (True, ())
        assert found.inside is not None
        assert found.inside.format == "mbr"
        hidden = inspected(legacy(b"") + legacy(HIDDEN)).report()
        assert not hidden.is_safe
