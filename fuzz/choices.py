"""A fuzzer's bytes as a row of choices."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads bytes as choices; when they run out, every choice is the first one.

    Args:
        seed: From a fuzzer or a corpus.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._at = 0

    @property
    def is_over(self) -> bool:
        """No byte is left."""
        return self._at >= len(self._seed)

    def number(self, below: int) -> int:
        """Choose a number from 0."""
        size = 1 if below <= 256 else 2 if below <= 65536 else 16
        return int.from_bytes(self.raw(size)) % below

    def pick(self, options: Sequence[T]) -> T:
        """Choose one of several."""
        return options[self.number(len(options))]

    def raw(self, size: int) -> bytes:
        """Take bytes as they are; zeros follow the end."""
        piece = self._seed[self._at : self._at + size]
        self._at += size
        return piece.ljust(size, b"\0")

    def text(self, most: int = 24) -> str:
        """Take a short text of any characters."""
        return self.raw(self.number(most)).decode("utf-8", "replace").rstrip("\0")

    def some(self, tokens: Sequence[str], most: int = 16) -> str:
        """Make a text of tokens, here and there with other characters between."""
        parts = []
        for _ in range(self.number(most)):
            which = self.number(len(tokens) + 1)
            parts.append(self.text(6) if which == len(tokens) else tokens[which])
        return "".join(parts)
