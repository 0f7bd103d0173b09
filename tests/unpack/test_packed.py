"""Compressed files: what real tools make comes out whole, and what is wrong with one is said."""

import bz2
import gzip
import lzma
import zlib

import lz4.block
import lz4.frame
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import UnpackFailed
from fetcher.unpack import UnpackLimits, decoders, recognise
from tests.unpack.making import (
    DISK,
    LIMITS,
    MIB,
    PACKERS,
    make_disk,
    make_zip,
    outcome,
    pack,
    refusal,
    rule,
    run,
    unpack,
)

SMALL = make_disk(20_000)
CODECS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "lz4": lz4.frame.compress,
}
EVERY = pytest.mark.parametrize("codec", CODECS)


@pytest.mark.parametrize("packer", PACKERS)
def test_what_real_tools_pack_comes_out(packer: str) -> None:
    """Every tool's files come out byte for byte, with the counts of both sides."""
    packed = pack(packer, DISK)
    out, unpacker = unpack(packed)
    assert out == DISK
    (layer,) = unpacker.plan.layers
    expected = packer.split("-", maxsplit=1)[0].replace("pigz", "gzip")
    assert (str(unpacker.plan), layer.bytes_in, layer.bytes_out) == (expected, len(packed), len(DISK))
    assert layer.streams == 1
    assert recognise(packed[:512]) == expected


@EVERY
@given(cuts=st.lists(st.integers(1, 700), max_size=60))
@settings(max_examples=25, deadline=None)
def test_cuts_change_nothing(codec: str, cuts: list[int]) -> None:
    """Where chunks end is the source's choice; what comes out is the same."""
    packed = CODECS[codec](SMALL[:9_000]) + CODECS[codec](SMALL[9_000:])
    out, unpacker = unpack(packed, cut=cuts)
    assert out == SMALL
    assert unpacker.plan.layers[0].streams == 2


@EVERY
def test_byte_by_byte(codec: str) -> None:
    """Even the shortest chunks come out whole."""
    assert unpack(CODECS[codec](SMALL), cut=1)[0] == SMALL


@EVERY
def test_a_file_that_is_cut_is_refused_wherever(codec: str) -> None:
    """No prefix passes: not one that ends in a header, in the data, or just before a check sum."""
    packed = CODECS[codec](SMALL)
    for end in {*range(12, 40), *range(40, len(packed) - 30, 997), *range(len(packed) - 30, len(packed))}:
        assert rule(packed[:end]) in {"cut-short", "damaged"}, end


@EVERY
def test_a_flipped_bit_is_noticed(codec: str) -> None:
    """Formats with a check sum never give out other bytes as if they were whole."""
    packed = bytearray(CODECS[codec](SMALL))
    for at in range(len(packed) // 2, len(packed) - 1, len(packed) // 19):
        packed[at] ^= 0x10
        result = outcome(bytes(packed))
        if isinstance(result, bytes):
            assert codec in {"zstd", "lz4"} or result == SMALL, at  # Their check sums are optional.
        else:
            assert result.code == "unpack-failed", result
        packed[at] ^= 0x10


@EVERY
@pytest.mark.parametrize("tail", [b"x", b"garbage", b"\0\0\0\0garbage", b"\x1f", b"\0" * 600 + b"\1"])
def test_trailing_bytes_are_refused(codec: str, tail: bytes) -> None:
    """What follows the end is neither dropped nor taken in silence."""
    assert rule(CODECS[codec](SMALL) + tail) in {"trailing-bytes", "cut-short"}


@EVERY
@pytest.mark.parametrize("length", [4, 512, 10_240, 2 * MIB])
def test_zeros_behind_the_end_are_stepped_over(codec: str, length: int) -> None:
    """Tapes and tools pad with zeros."""
    out, unpacker = unpack(CODECS[codec](SMALL) + bytes(length))
    assert out == SMALL
    assert unpacker.plan.layers[0].padding_bytes == length


def test_padding_of_xz_follows_its_specification() -> None:
    """It comes in fours, and another stream may follow it; elsewhere padding ends the file."""
    stream = lzma.compress(SMALL)
    assert unpack(stream + bytes(8) + stream + bytes(4))[0] == SMALL * 2
    assert rule(stream + bytes(3)) == "padding"
    assert rule(stream + bytes(6) + stream) == "trailing-bytes"
    assert rule(gzip.compress(SMALL) + bytes(8) + gzip.compress(SMALL)) == "trailing-bytes"


def test_skippable_frames_hold_nothing() -> None:
    """Pzstd writes one before each frame, seekable zstd one at the end."""
    frame = (0x184D2A5E).to_bytes(4, "little") + (12).to_bytes(4, "little") + b"x" * 12
    for codec in ("zstd", "lz4"):
        packed = CODECS[codec](SMALL)
        both = packed + frame + packed + frame
        assert unpack(both)[0] == SMALL * 2
        assert unpack(both, cut=1)[0] == SMALL * 2
        assert rule(packed + frame[:-1]) == "cut-short"
        assert rule(packed + frame[:6]) == "cut-short"
    assert unpack(frame + CODECS["zstd"](SMALL))[0] == SMALL


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("length", [1_000, 70_000])
def test_a_long_frame_without_data_may_come_first(codec: str, length: int) -> None:
    """Both formats have such frames, so that only the frame behind it tells which one it is."""
    frame = (0x184D2A51).to_bytes(4, "little") + length.to_bytes(4, "little") + bytes(length)
    out, unpacker = unpack(frame + CODECS[codec](SMALL) + frame)
    assert (out, str(unpacker.plan)) == (SMALL, codec)
    assert rule(frame) == "empty"
    assert rule(frame + b"\1" * 600) == "trailing-bytes"
    both = CODECS["zstd"](SMALL) + frame + CODECS["lz4"](SMALL)
    assert rule(both) == "trailing-bytes"


def test_filters_that_are_not_known_are_no_damage() -> None:
    """A filter of a later xz is not undone by fetching the file again."""
    packed = bytearray(lzma.compress(SMALL))
    packed[14] = 0x3F
    length = (packed[12] + 1) * 4
    packed[12 + length - 4 : 12 + length] = zlib.crc32(packed[12 : 12 + length - 4]).to_bytes(4, "little")
    failure = refusal(bytes(packed))
    assert isinstance(failure, UnpackFailed)
    assert failure.rule == "options"
    assert "Pack it anew" in failure.hint


def test_what_follows_is_not_cured_by_another_download() -> None:
    """Padding of a wrong length is in the file as it was published."""
    failure = refusal(lzma.compress(SMALL) + bytes(3))
    assert isinstance(failure, UnpackFailed)
    assert "Remove" in failure.hint


def test_other_formats_do_not_follow() -> None:
    """A stream of another format behind the end is something behind the end."""
    assert rule(gzip.compress(SMALL) + lzma.compress(SMALL)) == "trailing-bytes"


@EVERY
def test_streams_have_a_cap(codec: str) -> None:
    """At the limit passes, one past it is refused."""
    limits = UnpackLimits(max_streams=5)
    stream = CODECS[codec](b"x" * 100)
    assert unpack(stream * 5, limits=limits)[0] == b"x" * 500
    assert rule(stream * 6, limits=limits) == "streams"


def test_many_tiny_streams_cost_no_copies() -> None:
    """A chunk with ten thousand streams is not copied ten thousand times."""
    first = bytes(63 * MIB)  # So many are taken behind so much alone.
    packed = gzip.compress(first) + gzip.compress(b"") * 16_000 + gzip.compress(SMALL)
    out, unpacker = unpack(packed, cut=MIB)
    assert out == first + SMALL
    assert unpacker.plan.layers[0].streams == 16_002


@EVERY
def test_cap_of_output(codec: str) -> None:
    """Exactly the limit passes, and one byte less stops before anything past it comes out."""
    packed = CODECS[codec](DISK)
    assert unpack(packed, limits=UnpackLimits(max_output_bytes=len(DISK)))[0] == DISK
    assert refusal(packed, limits=UnpackLimits(max_output_bytes=len(DISK) - 1)).code == "too-many-bytes"


def test_memory_that_a_file_asks_for_is_bounded() -> None:
    """A window past the limit is refused by its own name, before it is allocated."""
    limits = UnpackLimits(max_window_bytes=8 * MIB)
    big = run("xz", "-c", "-9", stdin=b"x")
    assert unpack(big)[0] == b"x"
    assert rule(big, limits=limits) == "memory"
    wide = run("zstd", "-c", "-q", "--ultra", "--long=30", "--no-content-size", stdin=b"x" * 1000)
    assert rule(wide) == "memory"


@EVERY
def test_packed_twice_is_refused(codec: str) -> None:
    """Each format may come once; .gz.gz is a mistake or a trick."""
    assert rule(CODECS[codec](CODECS[codec](SMALL))) == "nested"


def test_formats_nest_up_to_the_limit() -> None:
    """Three different ones are taken where the limit is three, four are not."""
    packed = bz2.compress(lz4.frame.compress(lzma.compress(SMALL)))
    out, unpacker = unpack(packed)
    assert (out, str(unpacker.plan)) == (SMALL, "bzip2 > lz4 > xz")
    assert rule(gzip.compress(packed)) == "nested"
    assert rule(packed, limits=UnpackLimits(max_layers=2)) == "nested"


@pytest.mark.parametrize("content", [b"", b"x", DISK, b"\x1f", b"BZh9 is how this text begins", bytes(5000)])
def test_what_is_not_packed_comes_out_as_it_is(content: bytes) -> None:
    """A plain disk passes, whatever its first bytes look like."""
    out, unpacker = unpack(content)
    assert (out, str(unpacker.plan), unpacker.weight) == (content, "as received", 0)


@EVERY
def test_empty_streams(codec: str) -> None:
    """A packed nothing is no image, and that it is packed is said: bytes were sent."""
    assert rule(CODECS[codec](b"")) == "empty"


@pytest.mark.parametrize(
    "packed",
    [
        b"\x1f\x8b\x08\x00" + bytes(20),
        b"\xfd7zXZ\0" + bytes(60),
        b"\x28\xb5\x2f\xfd" + b"\xff" * 60,
        b"\x04\x22\x4d\x18" + b"\xff" * 60,
        b"BZh91AY&SY" + b"\xff" * 60,
    ],
)
def test_junk_behind_a_magic_is_damaged(packed: bytes) -> None:
    """The decoders' own complaints become one typed failure."""
    assert rule(packed) in {"damaged", "cut-short"}


def test_weights_tell_the_dear_formats() -> None:
    """A scheduler sees that xz and bzip2 cost ten times and more."""
    assert unpack(lzma.compress(SMALL))[1].weight >= 8
    assert unpack(bz2.compress(gzip.compress(SMALL)))[1].weight >= 17
    assert unpack(gzip.compress(SMALL))[1].weight == 1


def test_nothing_comes_after_a_failure() -> None:
    """Whoever goes on after a refusal gets the refusal again, also at the end."""
    _, unpacker = unpack(b"")
    unpacker = type(unpacker)(limits=LIMITS)
    bad = gzip.compress(SMALL)[:-8] + bytes(8)
    with pytest.raises(Exception, match="damaged"):
        list(unpacker.feed(bad + bytes(10_000)))
    with pytest.raises(Exception, match="damaged"):
        list(unpacker.feed(b"x"))
    with pytest.raises(Exception, match="damaged"):
        list(unpacker.finish())


def test_dropped_iterator_is_not_gone_on_from() -> None:
    """An iterator that was dropped halfway has lost bytes; going on would make another file."""
    _, unpacker = unpack(b"")
    unpacker = type(unpacker)(limits=LIMITS)
    pieces = unpacker.feed(gzip.compress(DISK))
    next(pieces)
    with pytest.raises(RuntimeError, match="run to its end"):
        unpacker.feed(b"x")


def test_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where isal is not to be had, the standard library gives the same bytes and the same refusals."""
    monkeypatch.setattr(decoders, "ISAL", None)
    packed = gzip.compress(DISK) + gzip.compress(b"") + gzip.compress(SMALL)
    for cut in (65_536, 3_001):
        assert unpack(packed, cut=cut)[0] == DISK + SMALL
    assert rule(packed[:-3]) == "cut-short"
    assert rule(packed[:-8] + bytes(8)) == "damaged"
    zipped = make_zip([("a.txt", b"1"), ("disk.raw", DISK)])
    assert unpack(zipped, cut=5_003)[0] == DISK
    bomb = gzip.compress(bytes(64 * MIB))
    assert refusal(bomb, limits=UnpackLimits(max_output_bytes=MIB)).code == "too-many-bytes"


GZIP_HEADERS = {
    "check sum of the header": (2, b""),
    "a name": (8, b"disk.raw\0"),
    "everything": (31, b"\4\0ABCD" + b"n" * 900 + b"\0" + b"c" * 5_000 + b"\0"),
}


@pytest.mark.parametrize("case", GZIP_HEADERS)
def test_every_field_of_a_gzip_header(case: str) -> None:
    """Whatever stands in the header, the disk comes out; a wrong check sum of the header is noticed."""
    flags, fields = GZIP_HEADERS[case]
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + fields
    if flags & 2:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    body = gzip.compress(SMALL)[10:]
    assert unpack(header + body)[0] == SMALL
    assert unpack((header + body) * 2, cut=700)[0] == SMALL * 2
    if flags & 2:
        assert rule(header[:-1] + bytes([header[-1] ^ 1]) + body) == "damaged"


def lz4_legacy(content: bytes, block: int = 8 * MIB) -> bytes:
    """Pack bytes as `lz4 -l` does."""
    packed = b"\x02\x21\x4c\x18"
    for at in range(0, len(content), block):
        piece = lz4.block.compress(content[at : at + block], store_size=False)
        packed += len(piece).to_bytes(4, "little") + piece
    return packed


def test_legacy_lz4() -> None:
    """It has neither an end mark nor check sums, so only its blocks tell whether it is whole."""
    content = DISK * 4
    packed = lz4_legacy(content)
    assert recognise(packed[:512]) == "lz4"
    for whole in (packed, packed + bytes(512), packed + lz4_legacy(SMALL)):
        out, unpacker = unpack(whole)
        assert (out[: len(content)], str(unpacker.plan)) == (content, "lz4")
    assert unpack(lz4_legacy(SMALL) + lz4.frame.compress(SMALL), cut=9)[0] == SMALL * 2
    assert {rule(packed[:end]) for end in (4, 6, 9, len(packed) - 1)} == {"empty", "cut-short"}
    assert rule(packed + b"garb") == "trailing-bytes"
    assert rule(packed[:8] + b"\xff" * (len(packed) - 8)) == "damaged"


def test_a_dictionary_is_another_file() -> None:
    """What cannot be unpacked without one is not called damaged."""
    dictionary = zstd.train_dict([SMALL[at : at + 500] for at in range(0, len(SMALL), 100)], 1_000)
    assert rule(zstd.compress(SMALL, zstd_dict=dictionary)) == "dictionary"
