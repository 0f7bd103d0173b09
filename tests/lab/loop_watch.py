"""How long the event loop is held, in time of the processor: what other processes take does not count."""

import asyncio
import threading
import time
from types import TracebackType
from typing import Any, Self


class LoopWatch:
    """Measures each callback of the loops of this thread, and keeps the longest.

    Attributes:
        longest_seconds: Of the processor, within one callback.
        longest: Which one it was.
    """

    def __init__(self) -> None:
        self.longest_seconds = 0.0
        self.longest = ""
        self._run: Any = None

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._run, watched = asyncio.Handle._run, threading.get_ident()
        run, watch = self._run, self

        def measured(handle: asyncio.Handle) -> None:
            if threading.get_ident() != watched:
                run(handle)
                return
            began = time.thread_time()
            run(handle)
            spent = time.thread_time() - began
            if spent > watch.longest_seconds:
                watch.longest_seconds, watch.longest = spent, repr(handle)

        asyncio.Handle._run = measured  # type: ignore[method-assign] # put back in __exit__
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Measure no more."""
        asyncio.Handle._run = self._run  # type: ignore[method-assign] # as it was

    def forget(self) -> None:
        """Begin anew."""
        self.longest_seconds, self.longest = 0.0, ""
