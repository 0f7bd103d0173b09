"""Everything below our prefix of a bucket: counted, compared, and swept of what nobody needs."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from fetcher.errors import StoreFailed
from fetcher.store.protocol import StoredItem
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import StagedRecord, pointer_in, record_in, staging_key
from fetcher.store.s3.wire.objects import Listed

log = structlog.get_logger()
AT_ONCE = 16
# Untouched for so long, what another host has staged is nobody's: who receives writes to it now and then.
ORPHAN_AGE = timedelta(days=1)


async def listed(bucket: Bucket, prefix: str) -> list[Listed]:
    """Return all objects below a prefix."""
    return [one async for one in bucket.objects(prefix)]


class StagedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """All records of staged bytes, by name.

    Args:
        found: Each with the time at which it was last written.
        unreadable: Names whose record is damaged, or not ours: nothing of theirs is ever removed.
    """

    found: dict[str, tuple[StagedRecord, datetime]]
    unreadable: set[str]

    def may_need(self, key: str) -> bool:
        """Return whether a record that cannot be read may name an object, by the object's place."""
        return key.split("/")[1] in self.unreadable


async def staged_records(bucket: Bucket) -> StagedRecords:
    """Return every record of staged bytes and when it was last written."""
    records = StagedRecords(found={}, unreadable=set())
    for one in await listed(bucket, "staging/"):
        name = one.key.removeprefix("staging/")
        got = await bucket.get(one.key)
        if got is None:
            continue
        try:
            records.found[name] = (record_in(got.body), got.changed_at)
        except StoreFailed:
            log.warning(
                "bucket.record_unreadable", name=name, advice="Remove it if it is not this service's."
            )
            records.unreadable.add(name)
    return records


def is_orphan(changed_at: datetime) -> bool:
    """Return whether something was left alone for so long that nobody works on it."""
    return datetime.now(UTC) - changed_at > ORPHAN_AGE


async def staged_names(bucket: Bucket, host: str) -> list[str]:
    """Return what a host has staged, and what other hosts have left alone for a day."""
    found = (await staged_records(bucket)).found
    return sorted(
        name for name, (record, changed_at) in found.items() if record.host == host or is_orphan(changed_at)
    )


async def unclaimed(bucket: Bucket, host: str | None) -> list[StoredItem]:
    """Return what is staged and what no process works on, as far as that can be known.

    Args:
        host: Runs no process that stages; None where one may run.
    """
    found = (await staged_records(bucket)).found
    return [
        StoredItem(name=staging_key(name), address="", size=record.base_size)
        for name, (record, changed_at) in sorted(found.items())
        if is_orphan(changed_at) or record.host == host
    ]


async def used_bytes(bucket: Bucket) -> int:
    """Count what is taken: objects, and the parts of open uploads."""
    used = sum([one.size async for one in bucket.objects("objects/")])
    used += sum([one.size async for one in bucket.objects("tails/")])
    for key, upload, _begun in await bucket.uploads("objects/"):
        parts = await bucket.parts(key, upload) or {}
        used += sum(size for _etag, size in parts.values())
    return used


async def pointers(bucket: Bucket) -> AsyncIterator[tuple[Listed, str, int]]:
    """Yield every pointer among the blobs, the object that it names, and how long that is."""
    found = await listed(bucket, "blobs/")
    for begin in range(0, len(found), AT_ONCE):
        some = found[begin : begin + AT_ONCE]
        for one, got in zip(some, await asyncio.gather(*(bucket.get(one.key) for one in some)), strict=True):
            if got is None:
                continue
            try:
                pointer = pointer_in(got.body)
            except StoreFailed:  # Reading these bytes raises it; here they only name no object.
                yield one, "", one.size
            else:
                yield one, pointer.key, pointer.size


async def items(bucket: Bucket, spare: Collection[str]) -> list[StoredItem]:
    """Return every blob, and every object that neither a blob nor staged bytes name.

    The order matters: an object that is listed first has its record by then, or its pointer
    when those are read.

    Args:
        spare: Objects that are being read.
    """
    objects = [one for prefix in ("objects/", "tails/") for one in await listed(bucket, prefix)]
    needed = set(spare)
    records = await staged_records(bucket)
    for record, _changed_at in records.found.values():
        needed.update(record.named())
    needed.update(one.key for one in objects if records.may_need(one.key))
    found = []
    async for one, key, size in pointers(bucket):
        needed.add(key)
        found.append(StoredItem(name=one.key, address=one.key.rpartition("/")[2], size=size))
    found += [StoredItem(name=one.key, address="", size=one.size) for one in objects if one.key not in needed]
    return found


async def sweep_uploads(bucket: Bucket) -> int:
    """Abort open uploads below our prefix that no record names and that are old; how many there were."""
    records = await staged_records(bucket)
    named = {record.upload for record, _changed_at in records.found.values()}
    swept = 0
    for key, upload, begun in await bucket.uploads("objects/"):
        if upload not in named and is_orphan(begun) and not records.may_need(key):
            await bucket.abort(key, upload)
            swept += 1
    return swept
