"""Bytes of an import on their way into a bucket."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fetcher import crash
from fetcher.errors import Failure, StoreFailed
from fetcher.store.filesystem.disk import DISK
from fetcher.store.filesystem.staged import Staged as LocalFile
from fetcher.store.filesystem.staged import translate
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import StagedRecord, object_key, tail_key
from fetcher.store.s3.staging.own_record import OwnRecord
from fetcher.store.s3.staging.pieces import Pieces
from fetcher.store.s3.staging.removal import remove_objects
from fetcher.store.s3.staging.upload import Upload
from fetcher.store.s3.usage import Usage
from fetcher.store.s3.wire.reader import read_whole

READ_BYTES = 16_777_216
LOCAL_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL


@dataclass(frozen=True, kw_only=True)
class SharedParts:
    """The parts of a store that all its staged bytes share.

    Args:
        scratch: Where bytes lie that do not come in order.
        places: One for each part that may be on its way.
    """

    bucket: Bucket
    usage: Usage
    scratch: Path
    places: threading.BoundedSemaphore


class Staged:
    """Bytes that become parts of a multipart upload as they come; its methods block.

    Of what has come, the first bytes are in an object that an earlier upload made (`base`), the next
    ones in the parts of the open upload, the last ones in memory. Parts of an open upload cannot be
    read: who reads them has the upload completed, and what comes after goes to a new one, into which
    the server copies what is there. Bytes at places of their own are kept in a file of this machine
    until they are complete.

    Args:
        etag: Of the record as this process knows it: who finds another one has lost these bytes.
        base_use: How many bytes of the base are these bytes' own.
        head: The bytes after those, in memory.
    """

    def __init__(  # noqa: PLR0913 - what an earlier process left
        self,
        shared: SharedParts,
        name: str,
        record: StagedRecord,
        etag: str,
        *,
        base_use: int = 0,
        head: bytes = b"",
    ) -> None:
        self.size = base_use + len(head)
        self.is_moved = False
        self._shared = shared
        self._name = name
        self._record = OwnRecord(shared.bucket, name, record, etag)
        self._base_use = base_use
        self._pending = Pieces(head)
        self._upload: Upload | None = None
        self._local: LocalFile | None = None
        self._is_open = True

    @property
    def name(self) -> str:
        """By which a later process finds them again."""
        return self._name

    @property
    def record(self) -> StagedRecord:
        """Return the record of these bytes as it was written last."""
        return self._record.value

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StoreFull: There is no room for them.
            StoreFailed: The server refused, or they were closed.
        """
        if self._local is not None:
            self.write_at(chunk, self.size)
            return
        self._check_open()
        self._shared.usage.take(len(chunk))
        self._pending.append(bytes(chunk))
        self.size += len(chunk)
        part_bytes = self._shared.bucket.place.part_bytes
        while self._pending.size > part_bytes:  # The last part is sent by who completes the upload.
            self._open_upload().send(self._pending.take(part_bytes))
        crash.reach("store.written")

    def _open_upload(self) -> Upload:
        """Return the open upload; a new one begins with a copy of what is there."""
        if self._upload is not None:
            return self._upload
        bucket = self._shared.bucket
        if 0 < self._base_use < bucket.place.least_part_bytes:
            head = bucket.run(read_whole(bucket, self.record.base, 0, self._base_use))
            self._pending.prepend(head)
            self._base_use = 0
        key = object_key(self._name)
        upload = bucket.run(bucket.create_upload(key))
        try:
            self._record.save(key=key, upload=upload)
        except StoreFailed:  # An upload that no record names would never be found again.
            with suppress(Failure):
                bucket.run(bucket.abort(key, upload))
            raise
        self._upload = Upload(bucket, key, upload, self._shared.places, self._arrived)
        if self._base_use:
            self._upload.copy(self.record.base, self._base_use)
        return self._upload

    def _arrived(self) -> None:
        """Have the last mark written down of which all bytes are at the server."""
        if self._upload is not None and self._is_open:
            self._record.mark_arrived(self._upload.arrived_bytes)

    def write_at(self, chunk: bytes, offset: int) -> None:
        """Write bytes at a place of their own; what is between reads as zeros.

        Raises:
            StoreFull: There is no room for them.
            StoreFailed: The server or this machine's disk refused, or they were closed.
        """
        if self._local is None:
            if chunk and offset == self.size:
                self.write(chunk)
                return
            self._check_open()
            self._go_local()
        assert self._local is not None
        self._shared.usage.take(max(0, offset + len(chunk) - self.size))
        self._local.write_at(chunk, offset)
        self.size = self._local.size

    def _go_local(self) -> None:
        """Keep the bytes in a file of this machine from here on."""
        path = self._shared.scratch / self._name
        try:
            local = LocalFile(path, DISK.open(path, LOCAL_FLAGS))
        except OSError as error:
            raise translate(error, "stage") from error
        try:
            for offset in range(0, self.size, READ_BYTES):
                local.write(self.read_at(offset, READ_BYTES))
            self._drop_remote()
        except BaseException:
            local.discard()
            raise
        self._local = local

    def _drop_remote(self) -> None:
        """Remove what is at the server, but for the record."""
        self._stop()
        before, bucket = self.record, self._shared.bucket
        self._record.save(base="", base_size=0, is_cut=False, key="", upload="", tail="", tail_size=0)
        bucket.run(remove_objects(bucket, before))
        self._base_use = 0
        self._pending.clear()

    def _leave_local(self) -> None:
        """Send the bytes of this machine's file, which goes."""
        local, self._local = self._local, None
        if local is None:
            return
        size, self.size = self.size, 0
        self._shared.usage.give_back(size)
        try:
            for offset in range(0, size, READ_BYTES):
                self.write(local.read_at(offset, min(READ_BYTES, size - offset)))
        finally:
            local.discard()

    def sync(self) -> None:
        """Make the bytes durable: also those that are too few for a part.

        Raises:
            StoreFull, StoreFailed: The server, or this machine's disk, refused.
        """
        if self._local is not None:
            self._local.sync()
            return
        self._check_open()
        if self._upload is not None:
            self._upload.drain()
        at = self.size - self._pending.size
        if self._pending.size and (at, self._pending.size) != (self.record.tail_at, self.record.tail_size):
            bucket, key, before = self._shared.bucket, tail_key(self._name), self.record.tail
            # The record first, so that no object stands without one that names it.
            body = self._pending.joined()
            self._record.save(tail=key, tail_at=at, tail_size=self._pending.size)
            bucket.run(bucket.put(key, body))
            if before:
                bucket.run(bucket.delete(before))
        crash.reach("store.synced")

    def read_at(self, offset: int, length: int) -> bytes:
        """Read back what was written; raises StoreFailed where it cannot be read."""
        end = min(self.size, offset + length)
        if offset >= end:
            return b""
        if self._local is not None:
            return self._local.read_at(offset, end - offset)
        if self._upload is not None:
            self.seal()
        bucket, use = self._shared.bucket, self._base_use
        found = b""
        if offset < use:
            found = bucket.run(read_whole(bucket, self.record.base, offset, min(end, use)))
        if end > use:
            found += self._pending.joined()[max(0, offset - use) : end - use]
        return found

    def seal(self, address: str = "") -> None:
        """Make one object of all bytes, which is `record.base` then.

        Args:
            address: Noted beside it, where it is about to be committed.

        Raises:
            StoreFull, StoreFailed: The server refused.
        """
        self._check_open()
        self._leave_local()
        bucket, before = self._shared.bucket, self.record
        is_whole = self._upload is None and not self._pending.size and not before.is_cut
        if is_whole and before.base:
            if address:
                self._record.save(address=address)
            return
        if self._upload is None and not self._base_use:
            key = object_key(self._name)
            self._record.save(key=key, upload="", address=address)
            bucket.run(bucket.put(key, self._pending.take(self._pending.size)))
        else:
            upload = self._open_upload()
            if self._pending.size:
                upload.send(self._pending.take(self._pending.size))
            key = upload.key
            upload.complete()
            self._upload = None
        before = self.record
        self._base_use = self.size
        made: dict[str, str | int] = {
            "base": key,
            "base_size": self.size,
            "is_cut": False,
            "address": address,
        }
        self._record.save(**made, key="", upload="", tail="", tail_size=0)
        for old in (before.base, before.tail):
            if old:
                bucket.run(bucket.delete(old))

    def mark(self, size: int, digest: str) -> None:
        """Note how many bytes there are and their digest; written down when all of them are at the server."""
        self._record.mark(size, digest)
        upload = self._upload
        if upload is not None and size <= upload.arrived_bytes:  # Digested later than they were sent.
            self._arrived()

    def park(self) -> None:
        """Make them durable and leave them to a later process; raises StoreFull or StoreFailed."""
        self._leave_local()
        self.sync()
        self.close()

    def close(self) -> None:
        """Write no more; closing twice is nothing."""
        self._is_open = False
        self._stop()
        if self._local is not None:
            self._local.close()

    def _stop(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.stop()

    def discard(self) -> None:
        """Close and remove them; what is gone, or another host's by now, is fine. Raises StoreFailed."""
        self.close()
        if self._local is not None:
            self._local.discard()
            self._local = None
        self._shared.bucket.run(self._record.remove())
        self._shared.usage.give_back(self.size)
        self.size = 0
        crash.reach("store.discarded")

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreFailed(reason="write: the staged bytes are closed")
