"""The layers of a containerDisk: which of them holds the disk that is seen when they lie on each other.

Only how each layer begins is read: the disk of a containerDisk is the first file of its layer, or nearly.

Source: OCI Image Layer Filesystem Changeset, "Whiteouts"; KubeVirt, "containerDisk".
"""

import io
import tarfile
import zlib
from collections.abc import Sequence

from backports import zstd

PEEK_BYTES = 262_144
MAX_NAMES = 256
MAX_PLAIN_BYTES = 4 << 20

_FOLDER = "disk/"
_WHITEOUT = ".wh."
_OPAQUE = f"{_FOLDER}.wh..wh..opq"
_MISTAKES = (
    *(tarfile.TarError, zlib.error, zstd.ZstdError),
    *(EOFError, OSError, ValueError, LookupError, OverflowError),
    RecursionError,  # Of headers that speak of the next one, which tarfile reads one inside the other.
)


def files_of(beginning: bytes) -> list[str]:
    """List the files that a layer begins with, as far as the beginning shows; whiteouts among them."""
    names: list[str] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(_unpacked(beginning)), mode="r:") as archive:
            while len(names) < MAX_NAMES and (member := archive.next()) is not None:
                if member.isfile():
                    names.append(member.name.removeprefix("./").lstrip("/"))
    except _MISTAKES:
        pass  # It is cut short behind its beginning, or is no archive at all: what is known stays known.
    return names


def visible_disks(layers: Sequence[Sequence[str]]) -> dict[str, int]:
    """Find the files of the folder of disks, and in which layer each is.

    Args:
        layers: The files of each, the lowest first.
    """
    found: dict[str, int] = {}
    covered: set[str] = set()
    for number in reversed(range(len(layers))):
        names = [name for name in layers[number] if name.startswith(_FOLDER)]
        marks = {name for name in layers[number] if name.rpartition("/")[2].startswith(_WHITEOUT)}
        for name in names:
            if name not in marks and name not in covered:
                found[name] = number
        covered |= {*names, *(_covered_by(mark) for mark in marks)}
        if _OPAQUE in marks or f"{_WHITEOUT}disk" in marks:
            break
    return found


def _covered_by(mark: str) -> str:
    folder, slash, name = mark.rpartition("/")
    return folder + slash + name.removeprefix(_WHITEOUT)


def _unpacked(beginning: bytes) -> bytes:
    if beginning.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(beginning, MAX_PLAIN_BYTES)
    if beginning.startswith(b"\x28\xb5\x2f\xfd"):
        unpacking = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27})
        return unpacking.decompress(beginning, MAX_PLAIN_BYTES)
    return beginning
