"""Bodies that were whole when their process was cut off, staged again under the name of their digest."""

import stat
from collections.abc import Collection
from pathlib import Path

from fetcher import crash
from fetcher.store.filesystem.disk import Disk


def adopt(staging: Path, home: Path, size: int, spare: Collection[str], disk: Disk) -> str | None:
    """Find a body under its new, its final or some name in staging; return the new one, None without a body.

    Args:
        home: Where the body lies, or would, when it was committed.
        spare: Names in staging that belong to others.

    Raises:
        OSError: The file system refused.
    """
    target = staging / f"{home.name}.0"
    places = [target, home, *sorted(path for path in staging.iterdir() if path.name not in spare)]
    for path in places:
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_size == size:
            if path != target:
                disk.rename(path, target)
                crash.reach("store.adopted")
                disk.sync_folder(staging)
                disk.sync_folder(path.parent)
            return target.name
    return None
