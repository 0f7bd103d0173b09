"""Drives a parser that is written as a generator over a stream that comes in any cuts."""

from collections.abc import Generator, Iterator
from typing import NamedTuple

from fetcher.unpack.values import Layer, Piece


class Exactly(NamedTuple):
    """A request for the next bytes, held until all are there; fewer come only at the end.

    Args:
        length: In bytes; small, because this much is held.
    """

    length: int


class Upto(NamedTuple):
    """A request for whatever comes next, without a copy; none comes only at the end.

    Args:
        length: The most bytes that are wanted.
    """

    length: int


class Back(NamedTuple):
    """A return of the last bytes of the answer before, to be read again.

    Args:
        length: In bytes.
    """

    length: int


class Out(NamedTuple):
    """A piece of output.

    Args:
        piece: At most `MAX_PIECE_BYTES` long.
    """

    piece: Piece


Step = Exactly | Upto | Back | Out
Steps = Generator[Step, bytes | memoryview, None]
NOTHING = b""


class Driver:
    """Feeds a generator of steps; this is the stage that a parser becomes.

    Args:
        layer: Counts what goes in.
        steps: Asks for bytes and gives pieces; it ends when it has judged the last byte.
    """

    def __init__(self, layer: Layer, steps: Steps) -> None:
        self.layer = layer
        self._steps = steps
        self._held = bytearray()
        self._view = memoryview(NOTHING)
        self._at = 0
        self._last: bytes | memoryview = NOTHING
        self._step: Step | None = next(steps)

    def feed(self, data: memoryview) -> Iterator[Piece]:
        """Yield what the next bytes give."""
        self.layer.bytes_in += len(data)
        self._view, self._at = data, 0
        yield from self._run(is_last=False)
        self._view, self._at, self._last = memoryview(NOTHING), 0, NOTHING

    def finish(self) -> Iterator[Piece]:
        """Answer what is still asked for with what there is, until the generator ends."""
        yield from self._run(is_last=True)

    def _run(self, *, is_last: bool) -> Iterator[Piece]:
        while (step := self._step) is not None:
            if isinstance(step, Out):
                yield step.piece
                self._send(NOTHING)
            elif isinstance(step, Back):
                self._put_back(step.length)
                self._send(NOTHING)
            elif not self._serve(step, is_last=is_last):
                return

    def _serve(self, step: Exactly | Upto, *, is_last: bool) -> bool:
        """Answer a request for bytes; false when they are not here yet."""
        missing = step.length - len(self._held)
        piece = self._view[self._at : self._at + missing]
        is_enough = len(piece) == missing if isinstance(step, Exactly) else len(piece) > 0
        self._at += len(piece)
        if isinstance(step, Upto) and (is_enough or is_last):
            self._send(piece)
            return True
        if is_enough and not self._held:
            self._send(bytes(piece))
            return True
        self._held += piece
        if is_enough or is_last:
            whole = bytes(self._held)
            self._held.clear()
            self._send(whole)
            return True
        return False

    def _put_back(self, length: int) -> None:
        """Let bytes be read again, also those that came with an earlier chunk."""
        if length <= self._at:
            self._at -= length
        else:
            self._view = memoryview(bytes(self._last[-length:]) + self._view[self._at :])
            self._at = 0

    def _send(self, answer: bytes | memoryview) -> None:
        self._last = answer or self._last
        try:
            self._step = self._steps.send(answer)
        except StopIteration:
            self._step = None
