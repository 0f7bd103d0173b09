"""Makes packed files with real tools, and drives an unpacker over them."""

import io
import random
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from fetcher.errors import Failure
from fetcher.unpack import MAX_PIECE_BYTES, Unpacker, UnpackLimits, plain

MIB = 1 << 20
LIMITS = UnpackLimits(max_output_bytes=64 * MIB, max_layer_bytes=96 * MIB)


def make_disk(size: int = 3 * MIB + 1_536, seed: int = 7) -> bytes:
    """Make a disk: a boot sector, text, holes, noise, and a last sector that is not zero."""
    source = random.Random(seed)
    body = bytearray(size)
    body[:4] = b"\xfa\x31\xc0\x8e"
    body[510:512] = b"\x55\xaa"
    for number in range(0, size // 4, 32):
        body[1024 + number : 1024 + number + 16] = b"entry %010d" % (number % 1000)
    body[size // 2 : size // 2 + size // 8] = source.randbytes(size // 8)
    body[-12:] = b"last sector."
    return bytes(body)


DISK = make_disk()


def unpack(
    packed: bytes,
    *,
    cut: int | Iterable[int] = 65_536,
    limits: UnpackLimits = LIMITS,
    disk: str | None = None,
    tells_zeros: bool = False,
) -> tuple[bytes, Unpacker]:
    """Unpack bytes in cuts of one size, or of the given sizes and then the rest."""
    unpacker = Unpacker(limits=limits, disk=disk, tells_zeros=tells_zeros)
    out = bytearray()
    for chunk in chunks(packed, cut):
        for piece in unpacker.feed(chunk):
            assert 0 < len(piece) <= MAX_PIECE_BYTES
            out += plain(piece)
    for piece in unpacker.finish():
        assert 0 < len(piece) <= MAX_PIECE_BYTES
        out += plain(piece)
    return bytes(out), unpacker


def chunks(packed: bytes, cut: int | Iterable[int]) -> Iterable[bytes]:
    """Cut bytes."""
    at = 0
    sizes = iter(()) if isinstance(cut, int) else iter(cut)
    while at < len(packed):
        size = cut if isinstance(cut, int) else next(sizes, len(packed))
        yield packed[at : at + size]
        at += size


def refusal(packed: bytes, **more: object) -> Failure:
    """Return how an unpacking ends that has to fail."""
    with pytest.raises(Failure) as caught:
        unpack(packed, **more)  # type: ignore[arg-type] # handed on as they came
    return caught.value


def outcome(packed: bytes) -> bytes | Failure:
    """Return what comes out, or how it ends; anything but a typed failure fails the test."""
    try:
        return unpack(packed)[0]
    except Failure as failure:
        return failure


def rule(packed: bytes, **more: object) -> str:
    """Return the rule that it breaks, or the code of the failure."""
    failure = refusal(packed, **more)
    return str(getattr(failure, "rule", failure.code))


def run(*command: str, stdin: bytes | None = None, cwd: Path | None = None) -> bytes:
    """Run a real tool; the test is left out where it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, input=stdin, cwd=cwd, capture_output=True, check=True).stdout


PACKERS: dict[str, tuple[str, ...]] = {
    "gzip": ("gzip", "-c"),
    "gzip-named": ("gzip", "-9", "-c", "-N"),
    "pigz": ("pigz", "-c"),
    "xz": ("xz", "-c", "-1"),
    "xz-9": ("xz", "-c", "-9"),
    "xz-threads": ("xz", "-c", "-1", "-T2", "--block-size=262144"),
    "xz-crc32": ("xz", "-c", "-1", "--check=crc32"),
    "xz-none": ("xz", "-c", "-1", "--check=none"),
    "zstd": ("zstd", "-c", "-q"),
    "zstd-long": ("zstd", "-c", "-q", "--long=27"),
    "zstd-no-size": ("zstd", "-c", "-q", "--no-content-size", "--no-check"),
    "bzip2": ("bzip2", "-c"),
    "lz4": ("lz4", "-c", "-q"),
    "lz4-9": ("lz4", "-c", "-q", "-9", "-B4", "-BD", "--content-size"),
}


def pack(packer: str, content: bytes) -> bytes:
    """Pack bytes with a real tool."""
    return run(*PACKERS[packer], stdin=content)


def make_tar(
    members: Iterable[tuple[str, bytes]],
    change: Callable[[tarfile.TarInfo], None] | None = None,
    **more: object,
) -> bytes:
    """Make a tar by Python's tarfile."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", **more) as archive:  # type: ignore[call-overload] # handed on as they came
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def make_zip(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Make a zip by Python's zipfile."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()
