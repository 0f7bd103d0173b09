"""The watch on the event loop: a thread asks it for a sign of life, and notes what holds it instead.

While one callback runs, nobody else is served: no client, no deadline, no other import.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parent.parent.parent
MAX_FRAMES = 12  # The innermost ones; what is above them is the loop itself.
SAY_SECONDS = 10.0
CLOSE_CHECK_SECONDS = 1.0  # Between two looks at whether the watch was closed during a hold.
IDLE = frozenset({"select", "run_forever", "run", "_run_once"})

OnHold = Callable[[float, list[str]], None]


class LoopWatch:
    """Counts how often the loop of the thread that makes it is held, and reports where.

    A loop that answers late while it has nothing to do was not held by a callback: the machine gave its
    thread no processor. That is not counted.

    Args:
        limit_seconds: What is no hold yet; the loop is asked as often, so that no hold of twice as long
            is missed.
        on_hold: Called in the watching thread with the seconds of a hold and its stack, innermost frame
            first; no more often than every ten seconds, however many there are.

    Attributes:
        holds: How many there were.
        held_seconds: What they took together.
    """

    def __init__(self, limit_seconds: float, on_hold: OnHold) -> None:
        self.holds = 0
        self.held_seconds = 0.0
        self._limit_seconds = limit_seconds
        self._on_hold = on_hold
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        # Bare locks, held until there is news: an event costs many calls, fifty times a second.
        self._answer, self._end = threading.Lock(), threading.Lock()
        self._answer.acquire()
        self._end.acquire()
        self._is_closed = False
        self._silent_until = 0.0
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more; the loop may go on."""
        if not self._is_closed:
            self._is_closed = True
            self._end.release()

    def _watch(self) -> None:
        while not self._end.acquire(timeout=self._limit_seconds):
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._answer.release)
            except RuntimeError:  # The loop is closed.
                return
            if self._answer.acquire(timeout=self._limit_seconds):
                continue
            stack = self._stack()
            while not self._answer.acquire(timeout=CLOSE_CHECK_SECONDS):
                if self._is_closed:
                    return
            if stack:
                seconds = time.monotonic() - asked
                self.holds += 1
                self.held_seconds += seconds
                self._report(seconds, stack)

    def _report(self, seconds: float, stack: list[str]) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + SAY_SECONDS
            self._on_hold(seconds, stack)

    def _stack(self) -> list[str]:
        """Return what the loop's thread does, innermost first; nothing while it waits for events."""
        frame = frame_of(self._loop_thread)
        if frame is None or frame.f_code.co_name in IDLE:
            return []
        found: list[str] = []
        while frame is not None and len(found) < MAX_FRAMES:
            path = Path(frame.f_code.co_filename)
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(*path.parts[-2:])
            found.append(f"{name}:{frame.f_lineno} {frame.f_code.co_name}")
            frame = frame.f_back
        return found


def frame_of(thread: int) -> FrameType | None:
    """Return what a thread runs this moment.

    No garbage is collected meanwhile: the interpreter holds its lock on all threads while it makes the
    answer, and what a collection lets go of, a `threading.local` for one, may wait for that lock for ever.

    Source: https://github.com/python/cpython/issues/106883
    """
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread)  # noqa: SLF001 - the documented way to see another thread
    finally:
        if is_collecting:
            gc.enable()
