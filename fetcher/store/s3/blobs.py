"""Committed bytes: the object that a digest leads to, its readers, and its removal."""

from collections import Counter

import msgspec
import structlog

from fetcher import crash
from fetcher.errors import StoreFailed
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import Pointer, blob_key, pointer_in
from fetcher.store.s3.usage import Usage
from fetcher.store.s3.wire import faults
from fetcher.store.s3.wire.objects import Got
from fetcher.store.s3.wire.reader import Reader

log = structlog.get_logger()


class Blobs:
    """The committed bytes of a bucket; its coroutines run on the bucket's loop.

    Attributes:
        pending_deletes: What the server did not remove when it was asked to.
    """

    def __init__(self, bucket: Bucket, usage: Usage) -> None:
        self.pending_deletes: set[str] = set()
        self._bucket = bucket
        self._usage = usage
        self._readers: Counter[str] = Counter()
        self._doomed: set[str] = set()

    @property
    def being_read(self) -> set[str]:
        """Return the objects that are being read."""
        return set(self._readers)

    async def find(self, address: str) -> tuple[Pointer, Got] | None:
        """Return where a digest leads, and the record that says so; None where there are no such bytes."""
        found = await self._bucket.get(blob_key(address))
        return None if found is None else (pointer_in(found.body), found)

    async def size(self, address: str) -> int | None:
        """Return how long the object is that a digest leads to; None where there is none."""
        found = await self.find(address)
        return None if found is None else await self._bucket.size(found[0].key)

    async def point(self, address: str, new: Pointer) -> Pointer | None:
        """Have a digest lead to an object; return where it led before.

        Raises:
            StoreFailed: Another host had it lead elsewhere at the same moment.
        """
        body, key = msgspec.json.encode(new), blob_key(address)
        while True:
            found = await self._bucket.get(key)
            is_new, etag = found is None, None if found is None else found.etag
            if await self._bucket.put(key, body, is_new=is_new, if_match=etag) is not None:
                break
        # A server without conditional writes takes both of two at once: that which is there has won.
        there = await self._bucket.get(key)
        if there is None or there.body != body:
            raise StoreFailed(reason="commit: another host has put equal bytes in place at this moment")
        return None if found is None else _pointer_or_none(found)

    async def remove(self, address: str) -> bool:
        """Have a digest lead nowhere, and remove what it led to; False where it still leads there."""
        crash.reach("store.removing")
        try:
            found = await self._bucket.get(blob_key(address))
            if found is not None:
                await self._bucket.delete(blob_key(address))
        except StoreFailed as failure:
            log.warning("bucket.delete_pending", name=address, detail=failure.reason)
            return False
        crash.reach("store.removed")
        pointer = None if found is None else _pointer_or_none(found)
        if pointer is not None:
            await self.forget(pointer)
        return True

    async def forget(self, pointer: Pointer) -> None:
        """Remove an object that no digest leads to any more, once nobody reads it here."""
        self._usage.give_back(pointer.size)
        if self._readers[pointer.key]:
            self._doomed.add(pointer.key)
        else:
            await self._delete(pointer.key)

    async def _delete(self, key: str) -> None:
        try:
            await self._bucket.delete(key)
        except StoreFailed as failure:
            log.warning("bucket.delete_pending", name=key, detail=failure.reason)
            self.pending_deletes.add(key)

    async def begin_reading(self, address: str, offset: int, length: int | None) -> Reader:
        """Return a reader of a part of the bytes; the object stays until the reader ends.

        Raises:
            StoreFailed: There are no such bytes.
        """
        found = await self.find(address)
        if found is None:
            faults.raise_missing("read")
        pointer = found[0]
        end = pointer.size if length is None else min(pointer.size, offset + length)
        self._readers[pointer.key] += 1
        return Reader(self._bucket, pointer.key, offset, end)

    async def end_reading(self, reader: Reader) -> None:
        """Close a reader, and remove the object if it has only waited for that."""
        await reader.close()
        self._readers[reader.key] -= 1
        if not self._readers[reader.key]:
            del self._readers[reader.key]
            if reader.key in self._doomed:
                self._doomed.discard(reader.key)
                await self._delete(reader.key)

    async def link(self, address: str, seconds: int, name: str) -> str | None:
        """Return a signed URL of the bytes; None where they are missing or of another length."""
        found = await self.find(address)
        if found is None or await self._bucket.size(found[0].key) != found[0].size:
            return None
        headers = {
            "ResponseContentType": "application/octet-stream",
            "ResponseContentDisposition": f'attachment; filename="{name}"',
            "ResponseCacheControl": "private, no-store",
        }
        return await self._bucket.link(found[0].key, seconds, headers)


def _pointer_or_none(found: Got) -> Pointer | None:
    """Return where a record leads; None where it is damaged: what it led to is an orphan then."""
    try:
        return pointer_in(found.body)
    except StoreFailed:
        return None
