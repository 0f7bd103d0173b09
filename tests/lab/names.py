"""A resolver that says what the test wants: wrong addresses, other ones each time, or nothing at all."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar


class FakeNames:
    """Stands in for the machine's resolver: `Gate(look_up=FakeNames({"mirror.example": ["127.0.0.1"]}))`.

    An answer is a list of addresses, an exception to raise, or several of
    these in a tuple: one for each look-up, the last one for ever after.

    Attributes:
        asked: How often each name was looked up, as it was asked.
        hung: Look-ups that hang now.
    """

    HANG: ClassVar[list[str]] = ["hang"]

    def __init__(
        self, answers: dict[str, Sequence[str] | OSError | tuple[Sequence[str] | OSError, ...]] | None = None
    ) -> None:
        self.answers = dict(answers or {})
        self.asked: Counter[str] = Counter()
        self.hung = 0
        self._released = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> list[str]:
        """Look a name up, in a thread of whoever asks."""
        with self._lock:
            turn = self.asked[name]
            self.asked[name] += 1
        given = self.answers.get(name.removesuffix("."), OSError("no such name"))
        if isinstance(given, tuple):
            given = given[min(turn, len(given) - 1)]
        if given is self.HANG:
            self._hang()
            raise OSError("gave up")
        if isinstance(given, OSError):
            raise given
        return list(given)

    def release(self) -> None:
        """Let everything that hangs end."""
        self._released.set()

    def _hang(self) -> None:
        with self._lock:
            self.hung += 1
        self._released.wait(60)
        with self._lock:
            self.hung -= 1
