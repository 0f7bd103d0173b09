"""The beginning of what is inside a packed image, so that packing is no way around the checks.

Specification: RFC 1951, RFC 1952, The .xz File Format 1.1.0, bzip2; PKWARE APPNOTE 6.3 section 4.3.7.
Reads: as much as unpacks to 64 KiB, at most 1 MiB. 7z is not opened.
Structure: what is read unpacks without a mistake.
Safety: bounded output, bounded input, bounded members and memory; nothing that is unpacked is kept.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from backports import zstd

from fetcher.guards.stream.formats.archives.pkzip import DEFLATED, STORED
from fetcher.guards.stream.formats.archives.zip_records import read_local
from fetcher.guards.stream.formats.packed.lz4 import Lz4Start
from fetcher.guards.stream.formats.report import CUT_SHORT, HEAD_BYTES, Report, Steps, windows

MAX_PACKED_BYTES = 1 << 20
MAX_MEMBERS = 16
MAX_MEMORY_BYTES = 160 << 20  # A dictionary of 128 MiB, and what the decoder needs besides.
MISTAKES = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)
MAX_WINDOW_LOG = 27
REPACK = "Pack the image anew, with the usual options of the tool."
SMALLER = "Pack the image anew with a smaller dictionary: `xz -9` or less."


class _Stored:
    """Unpacks what was stored as it is, so many bytes of it."""

    unused_data = b""

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def eof(self) -> bool:
        return not self._left

    def decompress(self, packed: bytes, room: int, /) -> bytes:
        content = packed[: min(room, self._left)]
        self._left -= len(content)
        return content


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _deflate() -> Any:
    return zlib.decompressobj(wbits=-15)


def _xz() -> Any:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY_BYTES)


def _zstd() -> Any:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})


DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": _gzip,
    "xz": _xz,
    "bzip2": bz2.BZ2Decompressor,
    "zstd": _zstd,
    "lz4": Lz4Start,
}
OPENED = frozenset({*DECODERS, "zip"})


@dataclass
class Start:
    """The contents, as far as they were unpacked.

    Args:
        content: At most 64 KiB.
        is_known: `content` is 64 KiB, or all there is.
        packed: What was read of the stream for it, from its first byte on.
        mistake: Why it does not unpack, if it does not.
    """

    content: bytearray = field(default_factory=bytearray)
    is_known: bool = False
    packed: bytearray = field(default_factory=bytearray)
    mistake: Exception | None = None


def unpack_start(report: Report, start: Start) -> Steps:
    """Unpack the beginning of a packed stream."""
    key = report.kind.key
    unpacker: _Unpacker | None = None
    for window in windows(0, MAX_PACKED_BYTES):
        packed = yield window
        start.packed += packed
        is_last = len(packed) < window.length
        if unpacker is None:
            open_decoder, skipped = (DECODERS[key], 0) if key in DECODERS else _open_zip(packed)
            if open_decoder is None:
                return
            unpacker = _Unpacker(open_decoder, start, has_members=key in DECODERS)
            packed = packed[skipped:]
        try:
            unpacker.take(packed)
        except MISTAKES as mistake:
            start.mistake = mistake
            return
        if start.is_known or is_last:
            break
    if not start.is_known and unpacker is not None:
        start.is_known = unpacker.is_between
        if not start.is_known:
            start.mistake = EOFError("cut short")


class _Unpacker:
    """One decoder after the other, for formats that string members together."""

    def __init__(self, open_decoder: Callable[[], Any], start: Start, *, has_members: bool) -> None:
        self.open_decoder = open_decoder
        self.start = start
        self.has_members = has_members
        self.decoder = open_decoder()
        self.members = 0
        self.is_between = False

    def take(self, packed: bytes) -> None:
        """Unpack the next piece, until there is enough."""
        while packed and not self.start.is_known:
            content = self.start.content
            content += self.decoder.decompress(packed, HEAD_BYTES - len(content))
            self.is_between = self.decoder.eof or getattr(self.decoder, "is_between", False)
            packed = self.decoder.unused_data.lstrip(b"\0") if self.decoder.eof else b""
            if self.decoder.eof:
                self.decoder = self.open_decoder()
                self.members += 1
            is_over = self.is_between and not self.has_members
            self.start.is_known = len(content) == HEAD_BYTES or is_over
            if self.members > MAX_MEMBERS:
                raise ValueError("members")


def _open_zip(head: bytes) -> tuple[Callable[[], Any] | None, int]:
    """Return what opens the first member, if something does, and where its content begins."""
    local = read_local(head)
    if local is None:
        return None, 0
    if local.method == STORED:
        return partial(_Stored, local.packed), local.length
    return (_deflate if local.method == DEFLATED else None), local.length


def note_mistake(start: Start, report: Report) -> None:
    """Note why there is nothing to look at: for want of memory, by damage, or because it is empty."""
    mistake = start.mistake
    if mistake is None:
        is_empty = start.is_known and not start.content
        report.require(not is_empty, "packed-empty", "there is nothing inside", CUT_SHORT)
    elif isinstance(mistake, lzma.LZMAError) and "emory" in str(mistake):
        report.broke("packed-memory", "it needs more than 128 MiB of memory to be unpacked", SMALLER)
    else:
        report.broke("packed-damaged", "its beginning does not unpack", CUT_SHORT)
