"""Obstacles to writing a file to the store, found out before an import has to."""

import resource
from pathlib import Path

from fetcher.store.filesystem.disk import Disk


def obstacles(staging: Path, blobs: Path, max_bytes: int, disk: Disk) -> list[str]:
    """Return each reason why a file of this size could not be written and named.

    Raises:
        OSError: A small file could not be written.
    """
    found = []
    if staging.stat().st_dev != blobs.stat().st_dev:
        found.append("staging and blobs are on different file systems")
    limit, _most = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and limit < max_bytes:
        found.append(f"this process may write files of {limit:,} bytes, and size.max_bytes is {max_bytes:,}")
    if limit != 0:
        disk.probe(staging)
    return found
