"""The way of one small import through the source: how often a call goes from one file to another."""

import dis
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = f"{Path(__file__).parent.parent / 'fetcher'}/"


class Way:
    """Counts calls of the service's own functions by a function of another of its files, in all threads.

    Calls in between that are not ours (asyncio, SQLite, aiohttp) are looked through: whose function of ours
    is nearest above has called. One that nothing of ours has called (a callback of the loop, the beginning
    of a thread) counts too. Comprehensions and lambdas are functions as any other. Coroutines and generators
    do not count: CPython 3.11 shows a profiler their frames only behind their beginning, as where they go
    on. What they call does.

    Attributes:
        changes: By the file that calls (empty where none of ours does), the file called, and the function.
        functions: What was called at all, by its file and name.
    """

    def __init__(self) -> None:
        self.changes: Counter[tuple[str, str, str]] = Counter()
        self.functions: set[tuple[str, str]] = set()

    @property
    def count(self) -> int:
        """Return how many changes of file there were."""
        return self.changes.total()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count within the block; threads that run already are not seen."""
        sys.setprofile(self._see)
        threading.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _see(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(ROOT) or frame.f_lasti > _beginning(code):
            return
        above = frame.f_back
        while above is not None and not above.f_code.co_filename.startswith(ROOT):
            above = above.f_back
        caller = "" if above is None else above.f_code.co_filename
        self.functions.add((code.co_filename, code.co_qualname))
        if caller != code.co_filename:
            self.changes[
                caller.removeprefix(ROOT), code.co_filename.removeprefix(ROOT), code.co_qualname
            ] += 1


@cache
def _beginning(code: CodeType) -> int:
    """Return where a function stands when it begins; further on, a coroutine goes on."""
    begins = ("RESUME", "RETURN_GENERATOR")
    return next((one.offset for one in dis.get_instructions(code) if one.opname in begins), 0)
