"""The threads that read an index, each on a connection of its own, beside the writer."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlite_utils.db import Database

from fetcher.errors import ReadGivenUp, ServiceFailure, Shortage, StoreFailed
from fetcher.index.sqlite.answer import Answer
from fetcher.index.sqlite.turn import Turn

R = TypeVar("R")
Job = tuple[Callable[[Database], Any], Turn, Answer[Any]]

SHORT = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM})


def failure_of(error: Exception) -> ServiceFailure:
    """Name what SQLite could not do; that a file cannot be opened any more is a shortage of descriptors."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    if code == sqlite3.SQLITE_INTERRUPT:
        return ReadGivenUp()
    kind = Shortage if code & 0xFF in SHORT or code in SHORT else StoreFailed
    return kind(reason=f"index: {error}")


class Readers:
    """Some threads that take reads in their order.

    An executor would do the same through two futures that are chained, one of threads and one of the loop:
    a fifth of what it costs to read one image.

    Args:
        connect: Opens a connection to the index.
        count: How many reads run at once.
    """

    def __init__(self, connect: Callable[[], Database], count: int) -> None:
        self._connect = connect
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"index-reader_{number}", daemon=True)
            for number in range(count)
        ]
        self._ready: list[Answer[None]] = []
        self._is_begun = self._is_closed = False

    async def open(self) -> None:
        """Start all threads, and open their connections: later there may be none left.

        Raises:
            StoreFailed: The index cannot be opened.
        """
        loop = asyncio.get_running_loop()
        self._ready = [Answer(loop.create_future()) for _ in self._threads]
        waiting = [answer.future for answer in self._ready]
        self._begin()
        await asyncio.gather(*waiting)

    def _begin(self) -> None:
        self._is_begun = True
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Finish what waits, then close all connections."""
        self._is_closed = True
        started = [thread for thread in self._threads if thread.ident is not None]
        for _ in started:
            self._jobs.put(None)
        for thread in started:
            await asyncio.to_thread(thread.join)

    async def read(self, work: Callable[[Database], R]) -> R:
        """Run a read in one of the threads.

        Raises:
            StoreFailed: The index cannot be read.
            ReadGivenUp: It takes longer than the request may, or nobody waits for it any more.
        """
        if self._is_closed:
            raise StoreFailed(reason="index: it is closed")
        if not self._is_begun:  # A command may read an index that no service could open.
            self._begin()
        turn, answer = Turn(), Answer[R](asyncio.get_running_loop().create_future())
        self._jobs.put((work, turn, answer))
        try:
            return await answer.future
        except asyncio.CancelledError:
            turn.is_cancelled = True
            raise

    def _run(self) -> None:
        db: Database | None = None
        if self._ready:
            answer = self._ready.pop()
            with _failures_to(answer):
                db = self._open()
                answer.set_result(None)
        while (job := self._jobs.get()) is not None:
            work, turn, answer = job
            with _failures_to(answer):
                if db is None:
                    db = self._open()
                if turn.is_over():
                    raise ReadGivenUp
                turn.begin(db.conn)
                answer.set_result(work(db))
            del job, work, turn, answer  # Else the last page that was read stays until the next one is.
        if db is not None:
            db.conn.close()

    def _open(self) -> Database:
        db = self._connect()
        db.execute("PRAGMA query_only = ON")
        return db


@contextmanager
def _failures_to(answer: Answer[Any]) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        answer.set_exception(failure_of(error))
    except Exception as error:  # noqa: BLE001 - goes to the caller, whose work it was
        answer.set_exception(error)
