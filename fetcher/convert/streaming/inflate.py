"""Decoders for single clusters; the output never exceeds the size of one."""

from collections.abc import Callable

from backports import zstd
from isal import igzip_lib

from fetcher.convert.streaming.values import unsafe

Inflate = Callable[[int, bytes | memoryview], tuple[bytes, int]]
WINDOW_LOG = 23  # 8 MiB: four times the largest cluster.
SECTOR = 512
ISAL_ERROR: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment] # its stub says instance


def inflate_deflate(size: int, packed: bytes | memoryview) -> tuple[bytes, int]:
    """Decode a deflate stream of exactly `size` bytes; also return how much of the input it took."""
    decoder = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
    try:
        found = decoder.decompress(packed, size)
    except ISAL_ERROR as error:
        raise _damaged() from error
    if len(found) != size:
        raise _damaged()
    return found, _used(len(packed), len(decoder.unused_data) if decoder.eof else None)


def inflate_zstd(size: int, packed: bytes | memoryview) -> tuple[bytes, int]:
    """Decode a Zstandard frame of exactly `size` bytes; also return how much of the input it took."""
    decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
    try:
        found = decoder.decompress(packed, size)
    except zstd.ZstdError as error:
        raise _damaged() from error
    if len(found) != size:
        raise _damaged()
    return found, _used(len(packed), len(decoder.unused_data) if decoder.eof else None)


def _used(given: int, unused: int | None) -> int:
    """Return how many bytes belong to the stream; where its end was not seen, the last sector may not."""
    return given - unused if unused is not None else max(1, given - SECTOR)


def _damaged() -> Exception:
    return unsafe("qcow2", "compressed", "one of its compressed clusters is damaged")
