"""Standard error as a place that may be slow, full or gone: a writer is never held up."""

import atexit
import io
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress

MAX_BYTES = 4_194_304  # Waiting lines; more than a reader that only pauses leaves behind.
EXIT_SECONDS = 1.0  # What an exit waits for its last lines to be taken.
RETRY_SECONDS = 0.05


class LogLines(io.TextIOBase):
    """Takes lines at once, and has a thread write them.

    A pipe that nobody reads blocks its writer; a full disk or a closed pipe
    raises. Lines that find no room are counted, and the count is written as
    soon as there is room again.

    Args:
        lost: Makes the line that says how many there were.
    """

    def __init__(self, lost: str = '{{"event": "log.lost", "level": "warning", "lines": {0}}}\n') -> None:
        self._lost = lost
        self._lines: deque[str] = deque()
        self._size = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, text: str, /) -> int:
        """Take some text; it is lost when too much waits already."""
        with self._changed:
            if self._size + len(text) > MAX_BYTES:
                self._dropped += 1
                return len(text)
            self._lines.append(text)
            self._size += len(text)
            if self._thread is None:
                self._start()
            self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was taken is written soon."""

    def drain(self, seconds: float) -> None:
        """Wait until all is written, but not for long."""
        until = time.monotonic() + seconds
        while self._size and time.monotonic() < until:
            time.sleep(RETRY_SECONDS / 10)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        with suppress(RuntimeError):  # No thread is to be had now: the next line tries again.
            thread.start()
            self._thread = thread
            atexit.register(self.drain, EXIT_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines:
                    self._changed.wait()
                text = self._lines.popleft()
                dropped, self._dropped = self._dropped, 0
            if dropped:
                _write(self._lost.format(dropped))
            _write(text)
            with self._changed:
                self._size -= len(text)


def _write(text: str) -> None:
    """Write to standard error, past Python's buffer, whose lock an exit would wait for; or lose the text."""
    rest = text.encode("utf-8", "backslashreplace")
    with suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # Another process that shares it made it non-blocking.
                time.sleep(RETRY_SECONDS)


STDERR = LogLines()
