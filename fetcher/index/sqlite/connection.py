"""One writer thread and a few readers on one SQLite file in WAL mode."""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlite_utils.db import Database

from fetcher import crash
from fetcher.errors import StoreFailed
from fetcher.index.sqlite.answer import Answer, give_all
from fetcher.index.sqlite.presence import Presence
from fetcher.index.sqlite.private import make_private
from fetcher.index.sqlite.readers import Readers, failure_of
from fetcher.index.sqlite.soundness import RESTORE, check_file, find_damage, missing_parts

P = ParamSpec("P")
R = TypeVar("R")

BUSY_MILLISECONDS = 5_000
MAX_IN_ONE_COMMIT = 256
CHECK_SECONDS = 1.0  # How long a start looks for damage; maintenance looks for the rest.
MAX_NAMED = 5
WAL_BYTES = 67_108_864  # What the log is cut back to after a burst.
# The log still holds what was deleted, secrets of imports that have ended among it: it is emptied after a
# second in which nobody writes, and under a steady load once a minute.
QUIET_SECONDS = 1.0
LOG_SECONDS = 60.0


class Check(Protocol):
    """Judges writes before they count."""

    def prepare(self, db: Database) -> None:
        """Get ready on the writer's connection, once."""

    def check(self, db: Database) -> None:
        """Judge the write that was just made; raise the failure for its caller."""

    def forget(self) -> None:
        """Judge nothing of a write that was taken back."""


class Connection:
    """Runs functions on the index: writes one after the other in one thread, reads beside them.

    Every write is one transaction of its own to its caller. Writes that wait
    at the same time share one commit, so that a durable commit (synchronous
    FULL) costs one fsync for all of them; a write that fails is rolled back
    alone.

    Args:
        path: The SQLite file; made when missing.
        migrate: Brings a connection's schema up to date.
        check: Asked at the end of every write, inside its transaction; what it raises takes the write back.
        readers: How many threads read at once.

    Attributes:
        is_in_doubt: A COMMIT reported an error and none has gone well since: what it wrote may be on the
            disk, for the next start to find.
        committed_at: When the last COMMIT went well, on the monotonic clock.
        is_checked: All pages were found whole when it was opened; a large file takes longer than a start may.
    """

    def __init__(
        self, path: Path, migrate: Callable[[Database], None], *, check: Check | None = None, readers: int = 2
    ) -> None:
        self._path = path
        self._presence = Presence(path)
        self._migrate = migrate
        self._check = check
        self._jobs: queue.SimpleQueue[tuple[Callable[[Database], Any], Answer[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._readers = Readers(self._connect, readers)
        self._writer = threading.Thread(target=self._write_all, name="index-writer", daemon=True)
        self.is_in_doubt = False
        self.is_checked = False
        self.committed_at = 0.0
        self._log_since: float | None = None

    async def open(self) -> None:
        """Start the writer and bring the schema up to date.

        Raises:
            StoreFailed: The file is no index of ours, or cannot be opened.
        """
        ready: Answer[Any] = Answer(asyncio.get_running_loop().create_future())
        self._jobs.put((lambda _db: None, ready))
        self._writer.start()
        await ready.future
        await self._readers.open()

    async def close(self) -> None:
        """Finish what waits, then close all connections; the log is empty then, with all that was deleted."""
        await self._readers.close()
        if self._writer.ident is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._writer.join)

    async def write(
        self, work: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(db, ...)` in a transaction in the writer thread and wait until it is durable.

        A caller that is cancelled stops waiting; the write itself happens all the same.

        Raises:
            StoreFailed: The index cannot be written.
        """
        answer: Answer[R] = Answer(asyncio.get_running_loop().create_future())
        self._jobs.put((lambda db: work(db, *args, **kwargs), answer))
        return await answer.future

    async def read(self, work: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work(db, ...)` on a read-only connection beside the writer.

        Raises:
            StoreFailed: The index cannot be read.
            ReadGivenUp: It takes longer than the request may, or nobody waits for it any more.
        """
        return await self._readers.read(lambda db: work(db, *args, **kwargs))

    def _connect(self) -> Database:
        make_private(self._path)
        db = Database(
            sqlite3.connect(self._path, check_same_thread=False, isolation_level=None),
            execute_plugins=False,  # Looking for them reads what each installed package has to say.
        )
        db.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        db.execute("PRAGMA foreign_keys = ON")
        # Else a write that may be taken back needs a file, and so a descriptor and room on another disk.
        db.execute("PRAGMA temp_store = MEMORY")
        return db

    def _write_all(self) -> None:
        try:
            db = self._connect()
            self._open(db)
        except StoreFailed as failure:
            self._refuse_all(failure)
            return
        except Exception as error:  # noqa: BLE001 - raised to the caller
            self._refuse_all(StoreFailed(reason=f"index {self._path.name}: {error}"))
            return
        while True:
            batch = self._next_batch()
            if batch:
                self._commit([job for job in batch if job is not None], db)
            self._cut_log(db, is_quiet=not batch)
            if None in batch:
                # Closing the last connection does so, too, but one that has been read from is not closed
                # before all that it gave is collected (sqlite3_close_v2).
                self._empty_log(db)
                db.conn.close()
                return

    def _open(self, db: Database) -> None:
        """Look at the file before anything is written to it, then bring it up to date.

        Raises:
            StoreFailed: It is damaged, or not ours to change.
        """
        damage = find_damage(db, CHECK_SECONDS)
        if damage:
            raise StoreFailed(reason=f"the index is damaged ({damage[0]}): {RESTORE}")
        self.is_checked = damage is not None
        self._migrate(db)
        missing = missing_parts(db, self._migrate)
        if missing:
            raise StoreFailed(reason=f"the index has lost {', '.join(missing[:MAX_NAMED])}: {RESTORE}")
        db.enable_wal()
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if self._check is not None:
            self._check.prepare(db)
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # A first look makes the log's files.
        self._presence.note()

    async def probe(self) -> None:
        """Write a page, durably, that says what it said before.

        Raises:
            StoreFailed: The index cannot be written.
        """
        await self.write(_touch)

    def check_file(self, seconds: float | None = None) -> list[str]:
        """Return what is wrong with the file's pages; blocks for as long as it takes to see them all.

        Raises:
            StoreFailed: It cannot be read now.
        """
        return check_file(self._path, seconds)

    def _next_batch(self) -> list[tuple[Callable[[Database], Any], Answer[Any]] | None]:
        batch: list[tuple[Callable[[Database], Any], Answer[Any]] | None] = []
        with suppress(queue.Empty):
            batch.append(self._jobs.get(timeout=None if self._log_since is None else QUIET_SECONDS))
            while batch[-1] is not None and len(batch) < MAX_IN_ONE_COMMIT:
                batch.append(self._jobs.get_nowait())
        return batch

    def _cut_log(self, db: Database, *, is_quiet: bool) -> None:
        """Bring the log into the file and empty it; at another time if somebody reads from it now."""
        now = time.monotonic()
        if self._log_since is None:
            self._log_since = now
        elif is_quiet or now - self._log_since >= LOG_SECONDS:
            if self._empty_log(db):
                self._log_since = None
            else:
                self._log_since = now
            db.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")

    def _empty_log(self, db: Database) -> bool:
        """Return whether the log is empty now; the next write raises what the disk refuses."""
        with suppress(sqlite3.Error):
            db.execute("PRAGMA busy_timeout = 0")
            return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return False

    def _commit(self, batch: list[tuple[Callable[[Database], Any], Answer[Any]]], db: Database) -> None:
        if not self._begin(batch, db):
            return
        is_alone = len(batch) == 1
        try:
            done = self._do_all(batch, db, is_alone=is_alone)
            if is_alone and not done:
                return  # The transaction was its own, and went with it.
            crash.reach("index.worked")
            self._seal(db)
            crash.reach("index.committed")
            self._check_presence()
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                db.rollback()
            self._retry_each(batch, error, db)
        except StoreFailed as failure:
            _refuse(batch, failure)  # None is tried again: it would be written twice.
        else:
            give_all(done)

    def _do_all(
        self, batch: list[tuple[Callable[[Database], Any], Answer[Any]]], db: Database, *, is_alone: bool
    ) -> list[tuple[Answer[Any], Any]]:
        done: list[tuple[Answer[Any], Any]] = []
        for work, future in batch:
            try:
                done.append((future, self._work(work, db, is_alone=is_alone)))
            except sqlite3.Error:
                raise  # The whole file is in trouble: nothing of this batch may count.
            except Exception as error:  # noqa: BLE001 - goes to the caller, whose work it was
                future.set_exception(error)
        return done

    def _check_presence(self) -> None:
        """Look whether what was committed is in files that a later start will find.

        Raises:
            StoreFailed: It is not, or nobody knows.
        """
        try:
            self._presence.check()
        except StoreFailed:
            self.is_in_doubt = True
            raise

    def _seal(self, db: Database) -> None:
        """Commit; after a COMMIT in doubt, something is written in any case, to take its place in the log."""
        try:
            if self.is_in_doubt:
                _touch(db)
            db.execute("COMMIT")
        except sqlite3.Error:
            self.is_in_doubt = True
            raise
        self.is_in_doubt = False
        self.committed_at = time.monotonic()

    def _begin(self, batch: list[tuple[Callable[[Database], Any], Answer[Any]]], db: Database) -> bool:
        """Open the transaction; a locked or unusable file is so for all of the batch, and said once."""
        try:
            if self._presence.is_lost:
                self._presence.check()
            db.execute("BEGIN IMMEDIATE")
        except StoreFailed as failure:
            _refuse(batch, failure)
            return False
        except sqlite3.Error as error:
            _refuse(batch, failure_of(error))
            return False
        crash.reach("index.begun")
        return True

    def _work(self, work: Callable[[Database], Any], db: Database, *, is_alone: bool) -> Any:
        """Do one write; if it fails, take back that one, which is all of a transaction that it has alone."""
        if not is_alone:  # One name for all: SQLite takes the innermost, and prepares each statement once.
            db.conn.execute("SAVEPOINT work")
        try:
            result = work(db)
            if self._check is not None:
                self._check.check(db)
        except BaseException:
            if self._check is not None:
                self._check.forget()
            if db.conn.in_transaction:  # SQLite may have taken everything back already.
                db.conn.execute("ROLLBACK" if is_alone else "ROLLBACK TO work")
                if not is_alone:
                    db.conn.execute("RELEASE work")
            raise
        if not is_alone:
            db.conn.execute("RELEASE work")
        return result

    def _retry_each(
        self, batch: list[tuple[Callable[[Database], Any], Answer[Any]]], error: Exception, db: Database
    ) -> None:
        """Let each write of a failed batch try alone, so that one bad write fails only itself."""
        if len(batch) == 1:
            _refuse(batch, failure_of(error))
            return
        for job in [job for job in batch if not job[1].is_given]:
            self._commit([job], db)

    def _refuse_all(self, failure: StoreFailed) -> None:
        while (job := self._jobs.get()) is not None:
            job[1].set_exception(failure)


def _refuse(batch: list[tuple[Callable[[Database], Any], Answer[Any]]], failure: Exception) -> None:
    """Answer everybody of a batch who has no answer yet with a failure."""
    for _work, answer in batch:
        if not answer.is_given:
            answer.set_exception(failure)


def _touch(db: Database) -> None:
    """Write a page without changing what it says."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version}")
