"""Unpacks a compressed file: its streams one after another, then zeros to its end.

Every stream is read to its end and checked by its own check sums. What follows a stream is
another one of the same format, or zeros, or nothing; anything else is refused.
"""

from collections.abc import Generator

from fetcher.errors import UnpackFailed
from fetcher.parsers.archives import skippable
from fetcher.unpack.decoders import CODECS, DAMAGED, Codec, Decoder
from fetcher.unpack.lz4_legacy import unpack_legacy
from fetcher.unpack.packings import LZ4_LEGACY, MAGIC
from fetcher.unpack.steps import NOTHING, Back, Exactly, Out, Step, Steps, Upto
from fetcher.unpack.values import MAX_PIECE_BYTES, Layer, UnpackLimits

MIN_SLICE_BYTES = 4_096
"""A new stream gets its first bytes in so small a slice: a decoder copies what is behind its end, and with
a thousand streams in one chunk that would be a thousand copies of the rest of it."""

MAX_SLICE_BYTES = 524_288
"""Each call of a decoder takes the interpreter's lock several times; a few calls for each mebibyte."""

MIN_STREAM_BYTES = 512
MAX_SHORT_STREAMS = 256
"""Streams of less than `MIN_STREAM_BYTES`, frames without data among them, before anything came out."""

BYTES_FOR_ANOTHER = 4_096
"""Output for each further one: their cost is in proportion to the bytes around them."""

MAGIC_BYTES = 4
LZ4_MAGICS = (MAGIC["lz4"], LZ4_LEGACY)
CUT_SHORT = "the file ends in the middle"
PACK_ANEW = "Pack it anew with the format's own tool and its defaults."


def unpack_streams(layer: Layer, limits: UnpackLimits) -> Steps:
    """Unpack a compressed file.

    Raises:
        UnpackFailed: The file is damaged, cut short, has something behind its end, has more streams
            than the limit or needs more memory.
    """
    codec, counts = CODECS[layer.packing], _Counts(layer, limits)
    while True:
        magic = bytes((yield Exactly(MAGIC_BYTES)))
        if not magic:
            return
        codec = _settled(codec, layer, magic)
        if not any(magic):
            yield from _padding(codec, layer, len(magic))
        elif codec.is_skipped and skippable.is_skippable(magic):
            yield from _skippable(codec, magic)
            counts.add(0)
        elif codec.key == "lz4" and magic == LZ4_LEGACY:
            yield from unpack_legacy()
            counts.add(MIN_STREAM_BYTES)
        elif magic.startswith(MAGIC[codec.key][:MAGIC_BYTES]):
            counts.add((yield from _stream(codec, limits, magic)))
        elif MAGIC[codec.key].startswith(magic):
            raise _failed(codec, "cut-short", CUT_SHORT)
        else:
            raise _failed(codec, "trailing-bytes", "something follows its end", "Remove what follows.")


def _settled(codec: Codec, layer: Layer, magic: bytes) -> Codec:
    """Return the codec of the first frame with data: frames without any are alike in zstd and lz4."""
    if codec.key == "zstd" and magic in LZ4_MAGICS and not layer.bytes_out:
        layer.packing = "lz4"
    return CODECS[layer.packing]


class _Counts:
    """Counts streams, and those that give next to nothing: each costs as much as kilobytes do."""

    def __init__(self, layer: Layer, limits: UnpackLimits) -> None:
        self._layer = layer
        self._most = limits.max_streams
        self._short = 0

    def add(self, size: int) -> None:
        """Count a stream that gave so many bytes."""
        self._layer.streams += 1
        self._short += size < MIN_STREAM_BYTES
        if self._layer.streams > self._most:
            raise self._failed(f"it has more than {self._most:,} compressed streams")
        most = MAX_SHORT_STREAMS + self._layer.bytes_out // BYTES_FOR_ANOTHER
        if self._short > most:
            raise self._failed(f"it has more than {most:,} compressed streams of a few bytes")

    def _failed(self, reason: str) -> UnpackFailed:
        return UnpackFailed(packing=self._layer.packing, rule="streams", reason=reason, hint=PACK_ANEW)


def _stream(
    codec: Codec, limits: UnpackLimits, data: bytes | memoryview
) -> Generator[Step, bytes | memoryview, int]:
    """Unpack one stream, whose magic has been read, and give back what was read behind it; return its size.

    The decoder gets slices of fixed lengths: where the source cuts its chunks decides nothing, not
    even which one of two faults is found first.
    """
    decoder = codec.new(limits.max_window_bytes, bytes(data))
    size, given = MIN_SLICE_BYTES, 0
    while True:
        piece = decode(codec.key, decoder, data)
        if piece:
            given += len(piece)
            yield Out(piece)
        if decoder.eof:
            break
        data = NOTHING
        if decoder.needs_input:
            data = yield Exactly(size)
            if not data:
                raise _failed(codec, "cut-short", CUT_SHORT)
            size = min(size * 2, MAX_SLICE_BYTES)
        elif not piece:
            raise _failed(codec, "damaged", "its decoder makes no progress")
    if decoder.unused_data:
        yield Back(len(decoder.unused_data))
    return given


def decode(packing: str, decoder: Decoder, data: bytes | memoryview) -> bytes:
    """Ask a decoder for its next piece.

    Raises:
        UnpackFailed: The bytes are damaged, or need more memory than allowed.
    """
    try:
        return decoder.decompress(data, MAX_PIECE_BYTES)
    except DAMAGED as error:
        text = str(error).lower()
        if "memory" in text or "window" in text:
            reason = "it needs more memory to be unpacked than allowed"
            hint = "Pack it anew with a smaller window, for example with the tool's default level."
            raise UnpackFailed(packing=packing, rule="memory", reason=reason, hint=hint) from error
        if "unsupported options" in text:
            reason = "it is packed with a filter that is not known here"
            raise UnpackFailed(packing=packing, rule="options", reason=reason, hint=PACK_ANEW) from error
        if "dictionary" in text:
            raise UnpackFailed(
                packing=packing,
                rule="dictionary",
                reason="it needs a dictionary, which is another file",
                hint="Pack it anew without a dictionary.",
            ) from error
        raise UnpackFailed(packing=packing, rule="damaged", reason="its bytes are damaged") from error


def _skippable(codec: Codec, magic: bytes) -> Steps:
    """Step over a frame without data, whose magic has been read."""
    header = magic + bytes((yield Exactly(skippable.HEADER_BYTES - MAGIC_BYTES)))
    if len(header) < skippable.HEADER_BYTES:
        raise _failed(codec, "cut-short", CUT_SHORT)
    left = skippable.frame_bytes(header) - skippable.HEADER_BYTES
    while left:
        data = yield Upto(min(left, MAX_PIECE_BYTES))
        if not data:
            raise _failed(codec, "cut-short", CUT_SHORT)
        left -= len(data)


def _padding(codec: Codec, layer: Layer, seen: int) -> Generator[Step, bytes | memoryview, None]:
    """Read zeros up to the end of the file or, where the format says so, up to another stream."""
    layer.padding_bytes += seen
    while data := (yield Upto(MAX_PIECE_BYTES)):
        rest = bytes(data).lstrip(b"\0")
        layer.padding_bytes += len(data) - len(rest)
        if rest and codec.goes_on and layer.padding_bytes % codec.padding == 0:
            yield Back(len(rest))
            return
        if rest:
            raise _failed(codec, "trailing-bytes", "something follows its end", "Remove what follows.")
    if layer.padding_bytes % codec.padding:
        reason = "the zeros behind its end are not a multiple of 4"
        raise _failed(codec, "padding", reason, "Remove the zeros behind its end, or pack it anew.")


def _failed(codec: Codec, rule: str, reason: str, hint: str | None = None) -> UnpackFailed:
    if hint is None:
        return UnpackFailed(packing=codec.key, rule=rule, reason=reason)
    return UnpackFailed(packing=codec.key, rule=rule, reason=reason, hint=hint)
