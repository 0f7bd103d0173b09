"""The record of staged bytes in the hands of the process that stages them."""

import asyncio
from contextlib import suppress

import msgspec

from fetcher.errors import Failure, StoreFailed
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import StagedRecord, staging_key
from fetcher.store.s3.staging.removal import remove_staged

MARKS_KEPT = 64


class OwnRecord:
    """Writes the record of staged bytes, for as long as no other process has written it.

    Args:
        etag: Of the record as this process knows it: who finds another one has lost these bytes.

    Attributes:
        value: The record as it was written last.
    """

    def __init__(self, bucket: Bucket, name: str, value: StagedRecord, etag: str) -> None:
        self.value = value
        self._bucket = bucket
        self._name = name
        self._etag = etag
        self._saving = asyncio.Lock()
        self._marks: list[tuple[int, str]] = []

    def save(self, **changes: str | int) -> None:
        """Write the record, unless another process has written it since; blocks.

        Raises:
            StoreFailed: It has: these bytes are no longer ours.
        """
        self._bucket.run(self._save(**changes))

    async def _save(self, **changes: str | int) -> None:
        async with self._saving:
            record = msgspec.structs.replace(self.value, **changes)
            body = msgspec.json.encode(record)
            etag = await self._bucket.put(staging_key(self._name), body, if_match=self._etag)
            if etag is None:
                raise StoreFailed(reason="write: another process has taken up these bytes")
            self._etag, self.value = etag, record

    def mark(self, size: int, digest: str) -> None:
        """Note the digest of the first bytes, for `mark_arrived`."""
        self._marks = [*self._marks[-MARKS_KEPT:], (size, digest)]

    def mark_arrived(self, size: int) -> None:
        """Begin to write down the last mark of which all bytes are at the server."""
        self._bucket.start(self._mark_arrived(size))

    async def _mark_arrived(self, size: int) -> None:
        known = [mark for mark in self._marks if mark[0] <= size]
        if known and known[-1][0] > self.value.mark_size:
            with suppress(Failure):  # The next mark is near.
                await self._save(mark_size=known[-1][0], mark_digest=known[-1][1])

    async def remove(self) -> None:
        """Remove the staged bytes with their record; what is another host's by now is fine."""
        async with self._saving:
            await remove_staged(self._bucket, self._name, self.value, self._etag)
