"""The store that the operator has configured: a folder, or a bucket."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fetcher.config import Settings
from fetcher.errors import PartMissing
from fetcher.store.filesystem.store import Store as FileStore

if TYPE_CHECKING:
    from fetcher.store.s3.place import Place
    from fetcher.store.s3.store import Store as BucketStore

NO_CONDITIONS = (
    "the server ignores If-None-Match; hosts that commit equal bytes at once may leave an object for gc"
)
PROBE_SECONDS = 3.0  # A server that is away now is reported, not waited for.


def index_path(folder: Path) -> Path:
    """Return where the index lies that is a file of this host."""
    return folder / "index.sqlite"


def store_of(settings: Settings, folder: Path, reserve: Callable[[int], int]) -> "FileStore | BucketStore":
    """Return the configured store, not opened yet.

    Raises:
        PartMissing: What speaks to buckets is not installed.
    """
    if settings.store.url:
        return bucket_of(settings, settings.store.url, folder, reserve)
    rules = settings.store
    return FileStore(
        folder,
        reserve=reserve,
        is_direct=rules.direct_io,
        ballast_bytes=rules.ballast_bytes,
        read_buffer_bytes=rules.read_buffer_bytes,
    )


def examine_bucket(settings: Settings) -> bool:
    """Try the bucket once: list, write, remove; return whether its server keeps to conditions of writes.

    Raises:
        PartMissing: What speaks to buckets is not installed.
        StoreFailed: It cannot be used.
    """
    place = place_of(settings, settings.store.url, patience_seconds=PROBE_SECONDS)
    from fetcher.store.s3.bucket import Bucket

    bucket = Bucket(place)
    try:
        bucket.open()
        return bucket.run(bucket.probe())
    finally:
        bucket.close()


def bucket_of(settings: Settings, url: str, folder: Path, reserve: Callable[[int], int]) -> "BucketStore":
    """Return the store in a bucket, not opened yet.

    Raises:
        PartMissing: What speaks to buckets is not installed.
    """
    place = place_of(settings, url, patience_seconds=settings.bucket.patience_seconds)
    from fetcher.store.s3.store import Store as BucketStore

    return BucketStore(folder, place, max_bytes=settings.bucket.max_bytes, reserve=reserve)


def place_of(settings: Settings, url: str, *, patience_seconds: float) -> "Place":
    """Return which bucket a URL names, spoken to as the operator has configured it."""
    if find_spec("aiobotocore") is None:
        raise PartMissing(what="A store in a bucket", package="aiobotocore", extra="s3")
    from fetcher.store.s3.place import Place, split

    bucket, prefix = split(url)
    rules = settings.bucket
    return Place(
        bucket=bucket,
        prefix=prefix,
        endpoint=rules.endpoint,
        region=rules.region,
        addressing=rules.addressing,
        credentials_file=rules.credentials_file,
        part_bytes=rules.part_bytes,
        parts_at_once=rules.parts_at_once,
        patience_seconds=patience_seconds,
    )
