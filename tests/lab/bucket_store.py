"""A store in the lab's server of buckets, under a prefix of its own.

with bucket_store(weed, folder) as store:
    ...
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from fetcher.store.s3.place import Place
from fetcher.store.s3.store import Store
from tests.lab.bucket import KEYS, BucketServer

PART_BYTES = 5_242_880  # The least that the server takes.


def credentials(folder: Path, keys: dict[str, str] = KEYS) -> Path:
    """Write a file of credentials as the AWS tools do."""
    path = folder / f"{uuid4()}.ini"
    path.write_text("[default]\n" + "".join(f"aws_{name} = {value}\n" for name, value in keys.items()))
    return path


def place_of(server: BucketServer, folder: Path, **rules: Any) -> Place:
    """Return a place that nobody else uses."""
    given = {
        "bucket": "images",
        "prefix": f"{uuid4()}/",
        "endpoint": server.endpoint,
        "credentials_file": str(credentials(folder)),
        "part_bytes": PART_BYTES,
        "patience_seconds": 5.0,
    }
    return Place(**(given | rules))


@contextmanager
def bucket_store(
    server: BucketServer,
    folder: Path,
    *,
    max_bytes: int = 1 << 30,
    reserve_bytes: int = 0,
    **rules: Any,
) -> Iterator[Store]:
    """Open a store; what it leaves goes with the server."""
    place = place_of(server, folder, **rules)
    store = Store(folder / "host", place, max_bytes=max_bytes, reserve=lambda _total: reserve_bytes)
    store.open()
    try:
        yield store
    finally:
        store.close()
