"""The decoders: one shape for all, and never more than a mebibyte from one call.

Each is made for one compressed stream and asked with `decompress(data, max_length)`; it says with
`needs_input` whether it can give more without new bytes, and keeps in `unused_data` what came behind
the stream's end. zstandard's own decoder is not used: it has no limit on what one call gives.
"""

import lzma
import zlib
from bz2 import BZ2Decompressor
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import lz4.frame
from backports import zstd

try:
    from isal import igzip_lib
except ImportError:  # pragma: no cover - isal has no wheel for some machines; twice the time, the same bytes
    igzip_lib = None  # type: ignore[assignment] # absent where it has no wheel
ISAL: Any = igzip_lib


class Decoder(Protocol):
    """The part of the standard library's decoders that is used here."""

    @property
    def eof(self) -> bool:
        """Return whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Return whether nothing more comes without new bytes."""

    @property
    def unused_data(self) -> bytes | None:
        """Return what came behind the end of the stream."""

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""


class Inflater:
    """The standard library's inflate, in the shape of the other decoders.

    Args:
        wbits: 31 for gzip, -15 for bare deflate.
    """

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Return whether the stream has ended."""
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        """Return what came behind the end of the stream."""
        return self._inflate.unused_data

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        if not self.needs_input:
            data = self._inflate.unconsumed_tail
        out = self._inflate.decompress(data, max_length)
        self.needs_input = len(out) < max_length and not self._inflate.unconsumed_tail
        return out


def inflate_gzip(magic: bytes) -> Decoder:
    """Make a decoder of the gzip member that begins so; it checks the member's CRC and length.

    isal computes the check sum of a header, where there is one, in another way than the specification.
    """
    is_checked = bool(magic[3] & HEADER_CHECKED) if len(magic) > 3 else False
    if ISAL is None or is_checked:
        return Inflater(31)
    decoder: Decoder = ISAL.IgzipDecompressor(ISAL.DECOMP_GZIP)
    return decoder


def inflate_bare() -> Decoder:
    """Make a decoder of one deflate stream, as a zip has it; its CRC is the caller's matter."""
    return Inflater(-15) if ISAL is None else ISAL.IgzipDecompressor(ISAL.DECOMP_DEFLATE)


HEADER_CHECKED = 2
"""The flag of a gzip member whose header has a check sum of its own."""

DAMAGED: tuple[type[Exception], ...] = (
    zlib.error,
    lzma.LZMAError,
    zstd.ZstdError,
    OSError,  # bz2
    ValueError,  # bz2 and lz4
    EOFError,
    RuntimeError,  # lz4
    *(() if ISAL is None else (ISAL.error,)),
)
"""Errors of decoders about bytes that they cannot read; a lack of memory is not among them."""


@dataclass(frozen=True, kw_only=True)
class Codec:
    """One compression format.

    Args:
        key: Its name in plans and messages.
        new: Makes a decoder for one stream: the memory that it may take, and the stream's first bytes.
        weight: What a gibibyte of output costs a processor beside gzip: for whoever shares threads out.
        padding: Zeros behind a stream come in multiples of this many bytes; 4 for xz, by its specification.
        goes_on: Whether another stream may follow the padding; elsewhere the padding ends the file.
        is_skipped: Whether frames that hold no data, as zstd and lz4 have them, are stepped over.
    """

    key: str
    new: Callable[[int, bytes], Decoder]
    weight: int
    padding: int = 1
    goes_on: bool = False
    is_skipped: bool = False


def _new_zstd(max_bytes: int, _: bytes) -> Decoder:
    window_log = max(10, max_bytes.bit_length() - 1)
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window_log})


CODECS = {
    codec.key: codec
    for codec in (
        Codec(key="gzip", new=lambda _, magic: inflate_gzip(magic), weight=1),
        Codec(key="zstd", new=_new_zstd, weight=1, is_skipped=True),
        Codec(key="lz4", new=lambda *_: lz4.frame.LZ4FrameDecompressor(), weight=1, is_skipped=True),
        Codec(
            key="xz",
            new=lambda most, _: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=most),
            weight=10,
            padding=4,
            goes_on=True,
        ),
        Codec(key="bzip2", new=lambda *_: BZ2Decompressor(), weight=19),
    )
}
