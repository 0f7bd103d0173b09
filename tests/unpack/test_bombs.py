"""Bombs: every one stops within a mebibyte of the cap, in bounded memory."""

import bz2
import functools
import gzip
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable

import lz4.frame
import pytest
from backports import zstd

from fetcher.errors import TooManyBytes
from fetcher.unpack import MAX_PIECE_BYTES, Unpacker, UnpackLimits, packed
from tests.unpack.making import MIB, make_tar, make_zip, refusal, rule, unpack
from tests.unpack.test_packed import CODECS
from tests.unpack.test_tar import old_sparse

BOMB_BYTES = 64 * MIB
WINDOW_BYTES = 256 * MIB  # More than the window that is asked for.
CAP = 16 * MIB


def in_tar(pack: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    """Pack a tar of an ordinary disk, behind which zeros go on and on."""
    return lambda: pack(make_tar([("disk.raw", b"\xfa" * 100_000)]) + bytes(BOMB_BYTES))


@functools.cache
def made(name: str) -> bytes:
    """Make a bomb, once."""
    return BOMBS[name]()


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(bytes(BOMB_BYTES), 6),
    "gzip members": lambda: gzip.compress(bytes(MIB), 9) * 64,
    "xz": lambda: lzma.compress(bytes(BOMB_BYTES), preset=1),
    "zstd": lambda: zstd.compress(bytes(BOMB_BYTES)),
    "zstd window": lambda: zstd.compress(
        bytes(WINDOW_BYTES),
        options={
            zstd.CompressionParameter.window_log: 27,
            zstd.CompressionParameter.enable_long_distance_matching: 1,
        },
    ),
    "bzip2": lambda: bz2.compress(bytes(BOMB_BYTES), 9),
    "lz4": lambda: lz4.frame.compress(
        bytes(BOMB_BYTES), block_size=lz4.frame.BLOCKSIZE_MAX4MB, store_size=False
    ),
    "zip": lambda: make_zip([("disk.raw", bytes(BOMB_BYTES))]),
    "zip beside": lambda: make_zip(
        [("a.txt", bytes(MIB)), ("b.raw", bytes(BOMB_BYTES))], zipfile.ZIP_DEFLATED
    ),
    "gzip of xz": lambda: gzip.compress(lzma.compress(bytes(BOMB_BYTES), preset=1)),
    "sparse tar": lambda: old_sparse([(0, 512)], BOMB_BYTES, b"\xfa" * 512),
    "gzip of a tar's end": in_tar(lambda tar: gzip.compress(tar, 6)),
    "zstd of a tar's end": in_tar(zstd.compress),
    "zip of xz": lambda: make_zip([("disk.raw.xz", lzma.compress(bytes(BOMB_BYTES), preset=1))]),
}


def blow(name: str, unpacker: Unpacker) -> tuple[int, bool]:
    """Unpack a bomb; return how many bytes came out, and whether the cap stopped it."""
    out, packed = 0, made(name)
    try:
        for at in range(0, len(packed), 262_144):
            for piece in unpacker.feed(packed[at : at + 262_144]):
                out += len(piece)
                assert len(piece) <= MAX_PIECE_BYTES
        for piece in unpacker.finish():
            out += len(piece)
    except TooManyBytes:
        return out, True
    return out, False


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_stop_at_the_cap(name: str) -> None:
    """Nothing past the cap comes out, and what is held meanwhile is a few pieces."""
    assert len(made(name)) < 8 * MIB
    limits = UnpackLimits(max_output_bytes=CAP, max_layer_bytes=CAP)
    unpacker = Unpacker(limits=limits, tells_zeros=True)
    tracemalloc.start()
    try:
        out, is_stopped = blow(name, unpacker)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert is_stopped
    assert out <= CAP
    made_bytes = max((layer.bytes_out for layer in unpacker.plan.layers), default=0)
    assert made_bytes <= CAP + MAX_PIECE_BYTES
    assert peak < 12 * MIB


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd", "bzip2", "lz4"])
def test_the_cap_is_not_early(name: str) -> None:
    """What fits comes out to the last byte before the refusal: the cap counts output, not guesses."""
    out, is_stopped = blow(name, Unpacker(limits=UnpackLimits(max_output_bytes=CAP)))
    assert is_stopped
    assert CAP - MAX_PIECE_BYTES <= out <= CAP


@pytest.mark.parametrize("content", [b"", b"x"])
@pytest.mark.parametrize("codec", CODECS)
def test_streams_of_nothing(codec: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder for a few bytes costs as much as kilobytes: there are so many of them, and no more."""
    monkeypatch.setattr(packed, "MAX_SHORT_STREAMS", 20)
    short, full = CODECS[codec](content), CODECS[codec](bytes(512))
    assert rule(short * 21 + full) == "streams"
    assert len(unpack(short * 20 + full * 40)[0]) == 20 * len(content) + 40 * 512


def test_streams_of_nothing_are_in_proportion_to_what_comes_out() -> None:
    """A few hundred of them are odd and taken; thousands pass behind megabytes alone."""
    nothing = b"\x50\x2a\x4d\x18\0\0\0\0"  # A frame without data (RFC 8878 section 3.1.2).
    full = CODECS["zstd"](bytes(packed.BYTES_FOR_ANOTHER * 1000))
    assert rule(nothing * (packed.MAX_SHORT_STREAMS + 1) + full) == "streams"
    assert rule(full + nothing * (packed.MAX_SHORT_STREAMS + 1001)) == "streams"
    assert len(unpack(full + nothing * (packed.MAX_SHORT_STREAMS + 1000))[0]) == len(bytes(4_096_000))


HEADER = b"6 a=b\n" * (65_536 // 6)
MAP = b"6000\n" + b"".join(b"%d\n0\n" % at for at in range(6_000))
SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "131072"}


def tar_header(name: str, size: int, kind: bytes) -> bytes:
    """Make a header by itself."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)


def padded(content: bytes) -> bytes:
    """Fill the last block."""
    return content + bytes(-len(content) % 512)


def test_what_is_parsed_of_a_tar_is_bounded_in_all() -> None:
    """Long headers and maps before each of a thousand members are no way to keep a thread busy."""
    limits = UnpackLimits(max_header_bytes=65_536)
    long = tar_header("x", len(HEADER), b"x") + padded(HEADER)
    members = [long + tar_header(f"{at}.txt", 0, b"0") for at in range(5)]
    assert "too long" in str(refusal(b"".join(members), limits=limits))
    records = b"".join(
        b"%d %s=%s\n" % (len(f"{k}={v}") + 4, k.encode(), v.encode()) for k, v in SPARSE.items()
    )
    sparse = tar_header("x", len(records), b"x") + padded(records)
    members = [sparse + tar_header(f"{at}.txt", len(padded(MAP)), b"0") + padded(MAP) for at in range(16)]
    assert "too long" in str(refusal(b"".join(members), limits=limits))
    for_all = b"".join(b"16 k%06d=vvvv\n" % at for at in range(5_000))
    assert "too long" in str(refusal(tar_header("g", len(for_all), b"g") + padded(for_all)))


def test_manifests_are_not_gathered() -> None:
    """A thousand manifests take the memory of two, and are two too many."""
    members = [(f"{at}.mf", b"x" * 60_000) for at in range(200)]
    tracemalloc.start()
    assert rule(make_tar(members)) == "disk-unclear"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * MIB
