"""Input and output of a one-pass converter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fetcher.errors import FormatUnsafe

HEAD_BYTES = 65_536
"""Bytes of the stream that `plan` needs; fewer only where the stream is shorter."""
PIECE_BYTES = 1_048_576
"""The most bytes that one output holds."""

Recall = Callable[[int, int], bytes]
"""Read back `length` bytes at `offset` of what was given out as `Keep`; holes read as zeros."""


class WriteAt(NamedTuple):
    """Bytes of the raw disk, and where they belong."""

    offset: int
    data: bytes | memoryview


class Keep(NamedTuple):
    """Bytes of the source that no table has named so far, at their place in the source."""

    offset: int
    data: bytes | memoryview


Output = WriteAt | Keep


class NotStreamable(Exception):
    """The image is well-formed as far as read, but cannot be converted in one pass.

    Args:
        reason: Why, as half a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Converter(Protocol):
    """A disk image going in as chunks of any size, a raw disk coming out as positional writes.

    Each output has to be carried out before the next one is asked for: a later one
    may read back what an earlier one kept.

    Raises:
        FormatUnsafe: The image breaks a rule of its format; nothing of it may be used.
        NotStreamable: It has to be converted from a staged file.
    """

    virtual_bytes: int

    def feed(self, chunk: bytes) -> Iterator[Output]:
        """Take the next bytes of the image."""
        ...

    def finish(self) -> Iterator[Output]:
        """Take the end of the image."""
        ...


@dataclass(frozen=True, kw_only=True)
class Streamable:
    """The image can be converted while it comes in.

    Args:
        disk_format: By the Image API's names.
        virtual_bytes: The size of the disk, which is the size of the result.
        start: Makes the converter. With a `Recall`, bytes that come before the table that names them
            are given out as `Keep` and read back later; without, they end in `NotStreamable`.
    """

    disk_format: str
    virtual_bytes: int
    start: Callable[[Recall | None], Converter]


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The image has to be complete in a file before it can be converted."""

    reason: str


def unsafe(disk_format: str, rule: str, reason: str) -> FormatUnsafe:
    """Return the refusal of an image that breaks a rule while it is converted."""
    hint = "Submit the undamaged file, or make it anew with `qemu-img convert`."
    return FormatUnsafe(format=disk_format, rule=f"convert-{rule}", reason=reason, hint=hint)
