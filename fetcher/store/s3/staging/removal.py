"""Removing staged bytes: what a record names is removed, unless another record needs it by now."""

from uuid import uuid4

import msgspec

from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import StagedRecord, blob_key, pointer_in, record_in, staging_key


async def remove_objects(bucket: Bucket, record: StagedRecord) -> None:
    """Remove what a record names: an open upload, and objects."""
    if record.upload:
        await bucket.abort(record.key, record.upload)
    for key in record.named():
        await bucket.delete(key)


async def remove_staged(bucket: Bucket, name: str, record: StagedRecord, etag: str) -> int:
    """Remove staged bytes and their record, unless another process has written it since; how many bytes went.

    Bytes that were committed, or adopted, in the last moment of their process are another record's.
    """
    mine = msgspec.structs.replace(record, token=uuid4().hex)
    if await bucket.put(staging_key(name), msgspec.json.encode(mine), if_match=etag) is None:
        return 0
    if record.address and await _is_needed(bucket, name, record):
        record = msgspec.structs.replace(record, base="", base_size=0, key="", upload="")
    await remove_objects(bucket, record)
    await bucket.delete(staging_key(name))
    return record.base_size


async def _is_needed(bucket: Bucket, name: str, record: StagedRecord) -> bool:
    keys = set(record.named())
    blob = await bucket.get(blob_key(record.address))
    if blob is not None and pointer_in(blob.body).key in keys:
        return True
    adopted = f"{record.address}.0"
    other = await bucket.get(staging_key(adopted)) if name != adopted else None
    return other is not None and not keys.isdisjoint(record_in(other.body).named())
