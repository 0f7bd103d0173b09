"""The store in a bucket: staged as multipart uploads, found by small objects named by their address."""

import secrets
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import structlog

from fetcher import crash
from fetcher.aio.shield import in_thread
from fetcher.errors import Failure, StoreFailed, StoreFull
from fetcher.store import protocol
from fetcher.store.digest_locks import DigestLocks
from fetcher.store.folder_lock import FolderLock
from fetcher.store.modes import close_to_others
from fetcher.store.protocol import StoredItem
from fetcher.store.room import Room
from fetcher.store.s3 import inventory, resume
from fetcher.store.s3.blobs import Blobs
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.place import Place
from fetcher.store.s3.records import Pointer, StagedRecord, record_in, staging_key
from fetcher.store.s3.staging.removal import remove_staged
from fetcher.store.s3.staging.staged import SharedParts, Staged
from fetcher.store.s3.usage import Usage
from fetcher.store.s3.workplace import Workplaces

THREADS = 8

log = structlog.get_logger()


class Store(Room):
    """Keeps the bytes of images in a bucket.

    Args:
        folder: Of this host: its lock, its name, and a scratch for what programs read and write.
        place: Which bucket, and how it is spoken to.
        max_bytes: What may be in it.
        reserve: Given that, how many bytes must stay free.
    """

    def __init__(self, folder: Path, place: Place, *, max_bytes: int, reserve: Callable[[int], int]) -> None:
        super().__init__(reserve)
        self.folder = folder
        self.scratch = folder / "staging"
        self._bucket = Bucket(place)
        self._usage = Usage(max_bytes)
        self._lock = FolderLock(folder)
        self._is_locked = False
        self._host = ""
        self._shared = SharedParts(
            bucket=self._bucket,
            usage=self._usage,
            scratch=self.scratch,
            places=threading.BoundedSemaphore(place.parts_at_once),
        )
        self._blobs = Blobs(self._bucket, self._usage)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        workplaces = Workplaces(self, self.scratch, self._pool)
        self.workplace = workplaces.of_staged
        self.blob_workplace = workplaces.of_blob
        self.take_result = workplaces.take_result
        self.holding = DigestLocks().holding

    @property
    def place(self) -> str:
        """Return which bucket it is, for an operator."""
        return self._bucket.place.url

    def open(self, *, is_locked: bool = True) -> None:
        """Take this host's lock, and ask the bucket whether it can be used.

        Args:
            is_locked: Whether to take it: who only looks does so beside a running server.

        Raises:
            StoreFailed: It cannot be used, or another process has the folder.
        """
        try:
            for path in (self.folder, self.scratch):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            close_to_others(self.folder)
            if is_locked:
                self._lock.take()
                self._is_locked = True
                for path in self.scratch.iterdir():  # Of an earlier process: nothing goes on from here.
                    path.unlink()
            self._host = self._host_id()
            self._bucket.open()
            self._bucket.run(self._bucket.look())
            self._usage.set(self._bucket.run(inventory.used_bytes(self._bucket)))
        except OSError as error:
            self.close()
            raise StoreFailed(reason=f"open {self.folder}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _host_id(self) -> str:
        """Return the name by which this host knows what it has staged itself."""
        path = self.folder / "host"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            path.write_text(f"{uuid4()}\n")
            return path.read_text().strip()

    def close(self) -> None:
        """Close the connections and give the lock back."""
        self._pool.shutdown(wait=True)
        self._bucket.close()
        self._lock.release()
        self._is_locked = False

    async def stage(self, import_id: str, claim: int) -> Staged:
        """Begin an import's bytes; those of an equal claim are never taken over.

        Raises:
            StoreFailed: They are there, or the server refuses.
        """
        name = f"{import_id}.{claim}"
        record = StagedRecord(host=self._host)
        writing = self._bucket.put(staging_key(name), msgspec.json.encode(record), is_new=True)
        etag = await self._bucket.finish(writing)
        if etag is None:
            raise StoreFailed(reason="stage: the name is taken")
        crash.reach("store.staged")
        return Staged(self._shared, name, record, etag)

    async def reopen(self, name: str, size: int) -> Staged | None:
        """Take up what an earlier process left, made this long; None where less of it is there.

        Raises:
            StoreFailed: The server refuses, or another process takes it up at this moment.
        """
        return await self._bucket.finish(resume.reopen(self._shared, name, size, self._host))

    async def mark_of(self, name: str) -> tuple[int, str] | None:
        """Return the last mark of staged bytes; None where there is none."""
        found = await self._bucket.call(resume.found_record(self._bucket, name))
        if found is None or not found[0].mark_size:
            return None
        return found[0].mark_size, found[0].mark_digest

    async def read_back(self, staged: protocol.Staged, offset: int, length: int) -> bytes:
        """Read a part of staged bytes."""
        return await in_thread(self._pool, lambda: staged.read_at(offset, length))

    async def settle(self, staged: protocol.Staged) -> None:
        """Make one readable object of staged bytes."""
        assert isinstance(staged, Staged)
        await in_thread(self._pool, staged.seal)

    async def park(self, staged: protocol.Staged) -> None:
        """Make staged bytes durable and leave them to a later process."""
        await in_thread(self._pool, staged.park)

    async def discard(self, staged: protocol.Staged) -> None:
        """Remove staged bytes; what the server does not let go of is tried again later."""
        if not staged.is_moved:
            await self._remove_or_note(staged.name, in_thread(self._pool, staged.discard))

    async def staged_names(self) -> list[str]:
        """Return what this host has staged, and what other hosts have left alone for a day."""
        return await self._bucket.call(inventory.staged_names(self._bucket, self._host))

    async def remove_staged(self, name: str) -> None:
        """Remove what an earlier process left; what is gone, or another host's by now, is fine."""
        await self._remove_or_note(name, self._bucket.finish(self._remove_staged(name)))

    async def _remove_staged(self, name: str) -> None:
        found = await self._bucket.get(staging_key(name))
        record = None if found is None else record_in(found.body)
        if found and record and (record.host == self._host or inventory.is_orphan(found.changed_at)):
            self._usage.give_back(await remove_staged(self._bucket, name, record, found.etag))

    async def _remove_or_note(self, name: str, removal: Coroutine[Any, Any, None]) -> None:
        try:
            await removal
        except StoreFailed as failure:
            log.warning("bucket.delete_pending", name=name, detail=failure.reason)
            self._blobs.pending_deletes.add(staging_key(name))

    async def adopt(self, address: str, size: int, spare: Collection[str]) -> str | None:
        """Stage the whole body of an import again that was cut off in its commit; None without a body."""
        names = set(await self.staged_names()) - set(spare)
        return await self._bucket.finish(resume.adopt(self._bucket, address, size, names, self._host))

    async def commit(self, staged: protocol.Staged, address: str) -> None:
        """Make complete bytes one object, and have their digest lead there; inside `holding(address)`.

        No object is ever overwritten. Where the digest leads to another one already, it leads to
        this one from here on, and the other one goes when nobody reads it: that one was good once,
        this one was digested a moment ago.

        Raises:
            StoreFull, StoreFailed: The server refused; the staged bytes are still the caller's.
        """
        assert isinstance(staged, Staged)
        await in_thread(self._pool, lambda: staged.seal(address))
        await self._bucket.finish(self._commit(staged, address))

    async def _commit(self, staged: Staged, address: str) -> None:
        new = Pointer(key=staged.record.base, size=staged.size, generation=secrets.randbits(62))
        old = await self._blobs.point(address, new)
        crash.reach("store.renamed")
        staged.is_moved = True
        staged.close()
        await self._remove_or_note(staged.name, self._bucket.delete(staging_key(staged.name)))
        crash.reach("store.settled")
        if old is not None and old.key != new.key:
            await self._blobs.forget(old)

    async def remove(self, address: str) -> bool:
        """Remove bytes, or return False where they do not go yet; inside `holding(address)`."""
        return await self._bucket.finish(self._blobs.remove(address))

    async def retry_deletes(self) -> None:
        """Remove what did not go before, and uploads that nobody will end; count anew what is taken."""
        for key in list(self._blobs.pending_deletes):
            self._blobs.pending_deletes.discard(key)
            if key.startswith("staging/"):
                await self.remove_staged(key.removeprefix("staging/"))
            else:
                await self._bucket.call(self._bucket.delete(key))
        swept = await self._bucket.call(inventory.sweep_uploads(self._bucket))
        if swept:
            log.warning("bucket.swept", uploads=swept)
        self._usage.set(await self._bucket.call(inventory.used_bytes(self._bucket)))

    async def size(self, address: str) -> int | None:
        """Return how many bytes are kept; None when there are none."""
        return await self._bucket.call(self._blobs.size(address))

    async def generation(self, address: str) -> int | None:
        """Return which putting in place the bytes are of; None when there are none."""
        found = await self._bucket.call(self._blobs.find(address))
        return None if found is None else found[0].generation

    async def written_at(self, address: str) -> datetime | None:
        """Return when the bytes were put in place, by the server's clock; None when there are none."""
        found = await self._bucket.call(self._blobs.find(address))
        return None if found is None else found[1].changed_at

    async def read(self, address: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes, or a part of them.

        Raises:
            StoreFailed: They are not there or cannot be read.
        """
        reader = await self._bucket.finish(self._blobs.begin_reading(address, offset, length))
        try:
            while chunk := await self._bucket.call(reader.read()):
                yield chunk
        finally:
            await self._bucket.finish(self._blobs.end_reading(reader))

    async def file_of(self, address: str, offset: int = 0) -> None:
        """Return None: there are no files here."""

    async def link(self, address: str, seconds: int, name: str) -> str | None:
        """Return a signed URL of the bytes, or None where they are not there."""
        return await self._bucket.call(self._blobs.link(address, seconds, name))

    async def items(self) -> list[StoredItem]:
        """Return every blob, and every object that nothing leads to."""
        return await self._bucket.call(inventory.items(self._bucket, self._blobs.being_read))

    async def unclaimed(self) -> list[StoredItem]:
        """Return what is staged and what no process works on, as far as that can be known."""
        return await self._bucket.call(
            inventory.unclaimed(self._bucket, self._host if self._is_locked else None)
        )

    async def remove_item(self, item: StoredItem) -> None:
        """Remove what `items` or `unclaimed` has named; raises StoreFailed where it does not go."""
        if item.name.startswith("staging/"):
            await self._bucket.finish(self._remove_staged(item.name.removeprefix("staging/")))
        elif item.address:
            if not await self.remove(item.address):
                raise StoreFailed(reason=f"{item.name} cannot be removed now")
        else:
            await self._bucket.finish(self._bucket.delete(item.name))

    async def obstacles(self, max_bytes: int) -> list[str]:
        """Return each reason why this many bytes could not be written now; none names a path."""
        del max_bytes
        try:
            await self._bucket.call(self._bucket.look())
        except StoreFull:
            return ["the store has no room"]
        except Failure:
            return ["the store cannot be written"]
        return [] if self._measure()[0] > 0 else ["the store has no room"]

    async def make_ballast(self) -> None:
        """Do nothing: removing objects takes no room on any disk of ours."""

    async def give_up_ballast(self) -> bool:
        """Return False: there is none."""
        return False

    def _measure(self) -> tuple[int, int]:
        return self._usage.max_bytes - self._usage.used, self._usage.max_bytes


_CHECKED: type[protocol.Store] = Store
