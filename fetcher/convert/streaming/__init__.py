"""Converters from disk image formats to raw disks in one pass; they do no I/O."""

from fetcher.convert.streaming.plan import may_stream, plan
from fetcher.convert.streaming.values import (
    HEAD_BYTES,
    PIECE_BYTES,
    Converter,
    Keep,
    NotStreamable,
    Output,
    Recall,
    Staged,
    Streamable,
    WriteAt,
)

__all__ = [
    "HEAD_BYTES",
    "PIECE_BYTES",
    "Converter",
    "Keep",
    "NotStreamable",
    "Output",
    "Recall",
    "Staged",
    "Streamable",
    "WriteAt",
    "may_stream",
    "plan",
]
