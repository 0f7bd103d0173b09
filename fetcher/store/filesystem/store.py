"""The store: one folder with an index, a staging area and blobs named by their address."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from fetcher import crash
from fetcher.aio.shield import opened
from fetcher.errors import StoreFailed, StoreFull
from fetcher.store import protocol
from fetcher.store.adoption import adopt
from fetcher.store.digest_locks import DigestLocks
from fetcher.store.filesystem.ballast import Ballast
from fetcher.store.filesystem.beside import mark_of_any, reopen_any
from fetcher.store.filesystem.disk import DISK, Disk
from fetcher.store.filesystem.layout import Layout
from fetcher.store.filesystem.pieces import Pieces
from fetcher.store.filesystem.reading import described, open_to_send, read_open
from fetcher.store.filesystem.staged import Staged, is_in_use, translate
from fetcher.store.filesystem.workplace import Workplaces
from fetcher.store.folder_lock import FolderLock
from fetcher.store.obstacles import obstacles
from fetcher.store.protocol import StoredItem
from fetcher.store.room import Room
from fetcher.threads import start_threads

R = TypeVar("R")

FULL_BYTES = 1_048_576  # Less than this, and the index cannot be relied on to find room for a write.
THREADS = 4


class Store(Room):
    """Keeps the bytes of images on one file system.

    Args:
        folder: Made when missing, for this user only.
        reserve: Given the size of the file system in bytes, how many must stay free.
        disk: What the file system can do; a test has it fail.
        is_direct: Whether large pieces are written past the page cache.
        ballast_bytes: Held to be given up when a deletion finds the disk full.
        read_buffer_bytes: On its way to all readers together.
    """

    def __init__(  # noqa: PLR0913 - what an operator may set
        self,
        folder: Path,
        *,
        reserve: Callable[[int], int],
        disk: Disk = DISK,
        is_direct: bool = True,
        ballast_bytes: int = 0,
        read_buffer_bytes: int = 67_108_864,
    ) -> None:
        super().__init__(reserve)
        self._layout = Layout(folder)
        self.folder = folder
        self.staging = self._layout.staging
        self.blobs = self._layout.blobs
        self.index_path = self._layout.index_path
        self.blob_path = self._layout.blob_path
        self.pending_deletes: set[Path] = set()
        self._disk = disk
        self._is_direct = is_direct
        self._lock = FolderLock(folder)
        self._ballast = Ballast(folder / "ballast", ballast_bytes, disk)
        self._pieces = Pieces(read_buffer_bytes)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self.holding = DigestLocks().holding
        workplaces = Workplaces(self, self._layout)
        self.workplace = workplaces.of_staged
        self.blob_workplace = workplaces.of_blob
        self.take_result = workplaces.take_result

    @property
    def place(self) -> str:
        """Return where the store lies, for an operator."""
        return str(self.folder)

    def open(self, *, is_locked: bool = True, is_made: bool = False) -> None:
        """Make the folders and take the lock.

        Args:
            is_locked: Without it nothing is made or taken: for who looks beside a running server.
            is_made: The folders are made all the same.

        Raises:
            StoreFailed: The folder cannot be used, or another process holds it.
        """
        try:
            start_threads(self._pool, THREADS)
            if is_locked or is_made:
                self._layout.make(disk=self._disk)
            if is_locked:
                self._lock.take()
        except StoreFailed:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise translate(error, f"open {self.folder}") from error

    def close(self) -> None:
        """Give the lock back."""
        self._pool.shutdown(wait=True)
        self._lock.release()

    async def stage(self, import_id: str, claim: int) -> Staged:
        """Begin a file for an import's bytes; a leftover of the same claim is never taken over.

        Raises:
            StoreFull: There is no room for even one more file.
            StoreFailed: The folder refuses, or another process put a file or a link there first.
        """
        path = self.staging / f"{import_id}.{claim}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        opening = self._run("stage", partial(self._disk.open, path, flags))
        descriptor = await opened(opening, lambda made: self._drop(path, made))
        crash.reach("store.staged")
        return Staged(path, descriptor, disk=self._disk, is_direct=self._is_direct)

    def _drop(self, path: Path, descriptor: int) -> None:
        self._remove(Staged(path, descriptor, disk=self._disk).discard, path)

    async def reopen(self, name: str, size: int) -> Staged | None:
        """Take up what a process left, here or in a staging folder beside ours; None where it is gone.

        Raises:
            StoreFailed: It is there and cannot be used.
        """
        take = partial(reopen_any, self.staging / name, size, self._disk, is_direct=self._is_direct)
        return await self._run("reopen", take)

    async def mark_of(self, name: str) -> tuple[int, str] | None:
        """Return how much a staged file held when its process was killed, and its digest, if it was noted."""
        return await self._run("mark", lambda: mark_of_any(self.staging / name))

    async def read_back(self, staged: protocol.Staged, offset: int, length: int) -> bytes:
        """Read a part of a staged file; StoreFailed is raised where the disk has lost it."""
        return await self._run("read back", lambda: staged.read_at(offset, length))

    async def settle(self, staged: protocol.Staged) -> None:
        """Give a staged file its full length, for readers that open it by name; raises StoreFailed."""
        await self._run("settle", staged.sync)

    async def park(self, staged: protocol.Staged) -> None:
        """Make a staged file durable and leave it to a later process; StoreFailed where the disk refuses."""
        await self._run("park", staged.park)

    async def commit(self, staged: protocol.Staged, address: str) -> None:
        """Move a complete file to its durable home; call it inside `holding(address)`.

        It takes the place of a file that is there already: that one was good
        once, this one was digested a moment ago. Open readers go on with theirs.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The file system refused; the staged file is still the caller's.
        """
        await self._run("commit", lambda: self._commit(staged, self.blob_path(address)))

    def _commit(self, staged: protocol.Staged, home: Path) -> None:
        staged.sync()
        staged.close()
        if not staged.is_moved:  # As after a shortage in the last step, from which it is tried again.
            self._disk.rename(self.staging / staged.name, home)
            staged.is_moved = True
            crash.reach("store.renamed")
        self._disk.sync_folder(home.parent)
        crash.reach("store.settled")

    async def remove(self, address: str) -> bool:
        """Remove bytes that no row needs; call it inside `holding(address)`. Open readers go on.

        Returns:
            False where the file system does not let go of the name, which is kept in `pending_deletes`.
        """
        path = self.blob_path(address)
        crash.reach("store.removing")
        await self._run("remove", lambda: self._remove(lambda: self._disk.unlink(path), path))
        crash.reach("store.removed")
        return path not in self.pending_deletes

    async def size(self, address: str) -> int | None:
        """Return how long a blob's file is; None when there is none."""
        found = await self._stat(address)
        return None if found is None else found.st_size

    async def generation(self, address: str) -> int | None:
        """Return which file holds the bytes: another after they were replaced; None when there is none."""
        found = await self._stat(address)
        return None if found is None else found.st_ino

    async def written_at(self, address: str) -> datetime | None:
        """Return when a blob's file was last written to; None when there is none."""
        found = await self._stat(address)
        return None if found is None else datetime.fromtimestamp(found.st_mtime, UTC)

    async def _stat(self, address: str) -> os.stat_result | None:
        """Look at a blob's file; raises StoreFailed where the file system does not say."""
        try:
            return await self._run("stat", self.blob_path(address).stat)
        except StoreFailed as failure:
            if isinstance(failure.__cause__, FileNotFoundError):
                return None
            raise

    async def read(self, address: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream a blob, or a part of it.

        Raises:
            StoreFailed: The bytes are not there or cannot be read.
        """
        path = self.blob_path(address)
        raw = await opened(self._run("read", lambda: self._open_to_read(path)), io.FileIO.close)
        try:
            with self._pieces.reader():
                async for chunk in read_open(raw, self._pool, offset, length, lambda: self._pieces.bytes):
                    yield chunk
        except OSError as error:
            raise translate(error, "read") from error
        finally:
            raw.close()

    def _open_to_read(self, path: Path) -> io.FileIO:
        return io.FileIO(self._disk.open_to_read(path))

    async def file_of(self, address: str, offset: int = 0) -> io.FileIO:
        """Open a blob for the kernel to send.

        Raises:
            StoreFailed: The bytes are not there or cannot be read.
        """
        path = self.blob_path(address)
        opening = self._run("read", lambda: open_to_send(self._open_to_read(path), offset))
        return await opened(opening, io.FileIO.close)

    async def discard(self, staged: protocol.Staged) -> None:
        """Remove a staged file; one that the file system does not let go of is kept in `pending_deletes`."""
        if not staged.is_moved:
            await self._run("discard", lambda: self._remove(staged.discard, self.staging / staged.name))

    def _remove(self, removal: Callable[[], None], path: Path) -> None:
        """Remove a name: what failed is tried again later, and is no reason to end anything badly."""
        try:
            removal()
        except OSError:
            self.pending_deletes.add(path)
        else:
            self.pending_deletes.discard(path)

    async def retry_deletes(self) -> None:
        """Try once more to remove what could not be removed before."""
        for path in [path for path in self.pending_deletes if path.parent == self.staging]:
            await self.remove_staged(path.name)
        for path in [path for path in self.pending_deletes if path.parent.parent == self.blobs]:
            self.pending_deletes.discard(path)  # The index knows it as loose, and whether it is needed again.

    async def staged_names(self) -> list[str]:
        """Return the names in the staging area."""
        return [path.name for path in await self.staged_paths()]

    async def staged_paths(self) -> list[Path]:
        """Return what lies in the staging area."""
        return await self._run("list", lambda: sorted(self.staging.iterdir()))

    async def blob_files(self) -> list[Path]:
        """Every file among the blobs, whatever it is called."""
        return await self._run(
            "list", lambda: sorted(path for path in self.blobs.rglob("*") if not path.is_dir())
        )

    async def items(self) -> list[StoredItem]:
        """Return every file among the blobs, whatever it is called."""
        return await self._described(await self.blob_files())

    async def unclaimed(self) -> list[StoredItem]:
        """Return the staged files that no process has open for writing."""
        found = await self._described(await self.staged_paths())
        return await self._run(
            "lock", lambda: [one for one in found if not is_in_use(self.folder / one.name)]
        )

    async def _described(self, paths: list[Path]) -> list[StoredItem]:
        return await self._run("list", lambda: list(described(paths, self.folder)))

    async def remove_item(self, item: StoredItem) -> None:
        """Remove a file that was named; raises StoreFailed where it does not go."""
        path = self.folder / item.name
        await self._run(f"{item.name} cannot be removed", lambda: self._disk.unlink(path))

    async def link(self, address: str, seconds: int, name: str) -> None:
        """Return None: nobody else reads these files."""

    async def adopt(self, address: str, size: int, spare: Collection[str]) -> str | None:
        """Find the whole body of an import that was cut off in its commit, and stage it again.

        The body has its final name already, or still a name in staging that nobody
        noted. The new name follows from the digest, so that a second crash changes
        nothing. The reader checks whether the bytes are the right ones.

        Args:
            spare: Names in staging that belong to others.

        Returns:
            The name in staging; None where there is no such file.

        Raises:
            StoreFailed: The file system refused.
        """
        return await self._run(
            "adopt", lambda: adopt(self.staging, self.blob_path(address), size, spare, self._disk)
        )

    async def remove_staged(self, name: str) -> None:
        """Remove a leftover of an earlier process."""
        path = self.staging / name
        await self._run("sweep", lambda: self._remove(lambda: self._disk.unlink(path), path))

    async def obstacles(self, max_bytes: int) -> list[str]:
        """Return each reason why an image of this size could not be written now; none names a path."""
        try:
            return await self._run(
                "probe", lambda: obstacles(self.staging, self.blobs, max_bytes, self._disk)
            )
        except StoreFull:
            return ["the store has no room"]
        except StoreFailed as failure:
            if isinstance(failure.__cause__, FileNotFoundError):
                return ["the store's folders are gone"]
            return ["the store cannot be written"]

    async def make_ballast(self) -> None:
        """Hold the room that deletions need on a full disk, if there is plenty now."""
        await self._run("ballast", self._ballast.make)

    async def give_up_ballast(self) -> bool:
        """Free that room if the disk is full; False where it is not, or where none was held."""
        return await self._run("ballast", lambda: self._is_full() and self._ballast.give_up())

    def _is_full(self) -> bool:
        return self._disk.room(self.folder)[0] < FULL_BYTES

    def _measure(self) -> tuple[int, int]:
        try:
            return self._disk.room(self.folder)
        except OSError as error:
            raise translate(error, "statvfs") from error

    async def _run(self, doing: str, work: Callable[[], R]) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except OSError as error:
            raise translate(error, doing) from error
