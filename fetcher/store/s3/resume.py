"""Taking up what an earlier process, on this host or another one, left in the bucket."""

from collections.abc import Collection
from uuid import uuid4

import msgspec

from fetcher import crash
from fetcher.errors import StoreFailed
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import (
    Pointer,
    StagedRecord,
    blob_key,
    pointer_in,
    record_in,
    staging_key,
)
from fetcher.store.s3.staging.staged import SharedParts, Staged
from fetcher.store.s3.wire.objects import Got
from fetcher.store.s3.wire.reader import read_whole

TAKES = 5  # A former owner that has just woken up may write to the record once or twice before it finds out.


async def found_record(bucket: Bucket, name: str) -> tuple[StagedRecord, str] | None:
    """Return the record of staged bytes and its ETag; None where there is none."""
    found = await bucket.get(staging_key(name))
    return None if found is None else (record_in(found.body), found.etag)


async def take(bucket: Bucket, name: str, host: str) -> tuple[StagedRecord, str] | None:
    """Make the record of staged bytes this host's: whatever another one writes or removes of them fails then.

    Raises:
        StoreFailed: Another process goes on writing to it.
    """
    for _ in range(TAKES):
        found = await found_record(bucket, name)
        if found is None or found[0].host == host:
            return found
        record = msgspec.structs.replace(found[0], host=host, token=uuid4().hex)
        etag = await bucket.put(staging_key(name), msgspec.json.encode(record), if_match=found[1])
        if etag is not None:
            return record, etag
    raise StoreFailed(reason="reopen: another process writes these bytes")


async def settle(bucket: Bucket, name: str, host: str) -> tuple[StagedRecord, str] | None:
    """Make the parts that an earlier process sent readable: they become the first bytes, in one object.

    Another process that still sends parts gets the error that the upload has ended. A second call changes
    nothing.

    Returns:
        The record as it is now and its ETag; None where nothing is staged under this name.

    Raises:
        StoreFailed: Another process does the same at this moment.
    """
    found = await take(bucket, name, host)
    if found is None:
        return None
    record, etag = found
    if not record.key:
        return record, etag
    size = await _gather(bucket, record)
    new = msgspec.structs.replace(record, key="", upload="")
    if size > record.base_size or (size and not record.base):
        new = msgspec.structs.replace(new, base=record.key, base_size=size, is_cut=False)
    written = await bucket.put(staging_key(name), msgspec.json.encode(new), if_match=etag)
    if written is None:
        raise StoreFailed(reason="reopen: another process has taken up these bytes")
    unneeded = record.base if new.base == record.key else record.key
    if unneeded and unneeded != new.base:
        await bucket.delete(unneeded)
    return new, written


async def _gather(bucket: Bucket, record: StagedRecord) -> int:
    """Return how many bytes lie at the key that an earlier process wrote to, after completing its upload."""
    parts = await bucket.parts(record.key, record.upload) if record.upload else None
    if parts is None:  # It was completed already, or written as a whole, or never.
        return await bucket.size(record.key) or 0
    etags: list[str] = []
    size = 0
    while (part := parts.get(len(etags) + 1)) is not None:
        etags.append(part[0])
        size += part[1]
    if size <= record.base_size:
        await bucket.abort(record.key, record.upload)
        return 0
    await bucket.complete(record.key, record.upload, etags, size)
    return size


async def tail_of(bucket: Bucket, record: StagedRecord) -> bytes:
    """Return the bytes that follow the base, where an earlier process parked some."""
    if not record.has_tail:
        return b""
    try:
        return await read_whole(bucket, record.tail, 0, record.tail_size)
    except StoreFailed as failure:
        if isinstance(failure.__cause__, FileNotFoundError):
            return b""  # The record was written, and the process ended before the bytes were.
        raise


async def reopen(shared: SharedParts, name: str, size: int, host: str) -> Staged | None:
    """Take up what an earlier process left, made this long; None where less of it is there.

    Raises:
        StoreFailed: The server refuses, or another process takes it up at this moment.
    """
    found = await settle(shared.bucket, name, host)
    if found is None:
        return None
    record, etag = found
    there = record.size
    if there < size:
        return None
    if there > size:
        record = record.cut(size)
        written = await shared.bucket.put(staging_key(name), msgspec.json.encode(record), if_match=etag)
        if written is None:
            raise StoreFailed(reason="reopen: another process has taken up these bytes")
        etag = written
    head = await tail_of(shared.bucket, record)
    use = size - len(head)
    if use > record.base_size:
        return None  # The tail was never written.
    if use < shared.bucket.place.least_part_bytes and (head or record.is_cut):
        head = await read_whole(shared.bucket, record.base, 0, use) + head if use else head
        use = 0
    shared.usage.give_back(there - size)
    return Staged(shared, name, record, etag, base_use=use, head=head)


async def adopt(bucket: Bucket, address: str, size: int, names: Collection[str], host: str) -> str | None:
    """Stage the whole body of an import again that was cut off in its commit; None without a body.

    Args:
        names: Staged, and nobody else's.
    """
    target = f"{address}.0"
    found = await settle(bucket, target, host)
    if found is not None and found[0].size == size:
        return target
    pointer = await bucket.get(blob_key(address))
    if pointer is not None:
        return await _adopt_blob(bucket, address, size, pointer, host)
    for name in sorted(names):
        found = await found_record(bucket, name)
        if found is None or found[0].address not in {"", address}:
            continue
        if await _adopt_staged(bucket, name, address, size, host):
            return target
    return None


async def _adopt_blob(bucket: Bucket, address: str, size: int, pointer: Got, host: str) -> str | None:
    blob: Pointer = pointer_in(pointer.body)
    if blob.size != size:
        return None
    target = f"{address}.0"
    record = StagedRecord(host=host, base=blob.key, base_size=size, address=address)
    await bucket.put(staging_key(target), msgspec.json.encode(record))
    crash.reach("store.adopted")
    await bucket.delete(blob_key(address))
    return target


async def _adopt_staged(bucket: Bucket, name: str, address: str, size: int, host: str) -> bool:
    target = f"{address}.0"
    found = await settle(bucket, name, host)
    if found is None:
        return False
    record = found[0]
    if record.size != size:
        return False
    if name != target:
        # Both records name the bytes for a moment: that of the digest is the one that has them then.
        moved = msgspec.structs.replace(record, host=host, address=address)
        if await bucket.put(staging_key(name), msgspec.json.encode(moved), if_match=found[1]) is None:
            return False
        await bucket.put(staging_key(target), msgspec.json.encode(moved))
        crash.reach("store.adopted")
        await bucket.delete(staging_key(name))
    return True
