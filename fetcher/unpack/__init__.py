"""The unpack room: takes the disk out of what it was published in, while it streams past.

Bytes in, bytes out: no I/O, no clock, no threads of its own.
"""

from fetcher.unpack.decoders import CODECS
from fetcher.unpack.packings import HEAD_BYTES, recognise
from fetcher.unpack.unpacker import Unpacker
from fetcher.unpack.values import (
    MAX_PIECE_BYTES,
    Evidence,
    Layer,
    Piece,
    Plan,
    UnpackLimits,
    Zeros,
    plain,
)

WEIGHTS = {key: codec.weight for key, codec in CODECS.items()}
"""The cost of a gibibyte of output to a processor, in units of what gzip costs (about 2.7 seconds)."""

__all__ = [
    "HEAD_BYTES",
    "MAX_PIECE_BYTES",
    "WEIGHTS",
    "Evidence",
    "Layer",
    "Piece",
    "Plan",
    "UnpackLimits",
    "Unpacker",
    "Zeros",
    "plain",
    "recognise",
]
