"""The presence of an index: what lies at its paths is still what was opened there."""

import os
from pathlib import Path

import structlog

from fetcher.errors import Shortage, StoreFailed
from fetcher.shortage import is_shortage

log = structlog.get_logger()

# The file, its write-ahead log, and what connections know of that in common. Without the last, whoever opens
# the file next makes another one, and neither sees the other's writes or locks: both write over each other.
BESIDE = ("", "-wal", SHARED := "-shm")
ADVICE = "Put back what was there, or stop the service and restore a backup."
ADVICE_SHARED = "Let nothing else open the index, stop the service and start it again: nothing is lost."


class Presence:
    """Compares the files of an index with those that were opened.

    SQLite goes on with what it has open, also when somebody removed or replaced it: whatever is written
    then is gone with the process.

    Args:
        path: The SQLite file.

    Attributes:
        is_lost: Something was gone, or another file's, at the last look.

    Source: https://www.sqlite.org/howtocorrupt.html, "Unlinking or renaming a database file while in use";
        https://www.sqlite.org/walformat.html, "The WAL-Index File Format"
    """

    def __init__(self, path: Path) -> None:
        self._paths = [f"{path}{ending}" for ending in BESIDE]
        self._known: dict[str, tuple[int, int]] = {}
        self.is_lost = False

    def note(self) -> None:
        """Take what lies there now for what is open.

        Raises:
            Shortage: The machine cannot say.
        """
        self._known = {path: found for path in self._paths if (found := _identity(path)) is not None}

    def check(self) -> None:
        """Compare; three questions to the file system.

        Each lets another thread have the interpreter, which may take its turn of milliseconds.

        Raises:
            StoreFailed: Something is gone, or another file's.
            Shortage: The machine cannot say.
        """
        for path, known in self._known.items():
            if _identity(path) != known:
                self._lose(path)
                raise StoreFailed(reason="index: its files were removed or replaced while they were in use")
        self.is_lost = False

    def _lose(self, path: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            advice = ADVICE_SHARED if path.endswith(SHARED) else ADVICE
            log.error("index.gone", file=path, advice=advice)


def _identity(path: str) -> tuple[int, int] | None:
    """Return what distinguishes a file from all others; None where a start could not find it."""
    try:
        found = os.stat(path)  # noqa: PTH116 - of text: a path object costs as much again, at each write
    except OSError as error:
        if is_shortage(error):
            raise Shortage(reason=f"index: {error.strerror}") from error
        return None
    return found.st_dev, found.st_ino
