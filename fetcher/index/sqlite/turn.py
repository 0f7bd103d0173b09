"""The time that a read of the index may take, and whether anybody still waits for it."""

import asyncio
import sqlite3
import time

from fetcher.index.values import READER

# Instructions of SQLite's machine between two looks: a fraction of a millisecond.
INSTRUCTIONS = 5_000


class Turn:
    """One read, from its first statement to its last.

    Attributes:
        is_cancelled: The task that waited for it was cancelled.
    """

    def __init__(self) -> None:
        self.is_cancelled = False
        reader = READER.get()
        self._reader = reader if reader is not None and reader.task is asyncio.current_task() else None
        self._until = float("inf")

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin to count, in the thread that reads."""
        if self._reader is not None:
            self._until = time.monotonic() + self._reader.seconds
        connection.set_progress_handler(self.is_over, INSTRUCTIONS)

    def is_over(self) -> bool:
        """Return whether to go no further: it takes too long, or nobody waits for it."""
        reader = self._reader
        if self.is_cancelled or (reader is not None and reader.is_gone()):
            return True
        return time.monotonic() >= self._until
