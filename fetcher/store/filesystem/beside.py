"""Bytes that another host has staged, where all hosts' staging folders lie side by side."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from fetcher import crash
from fetcher.store.filesystem.disk import Disk
from fetcher.store.filesystem.staged import Staged, mark_of, reopen

COPY_BYTES = 1_048_576
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def reopen_any(path: Path, size: int, disk: Disk, *, is_direct: bool) -> Staged | None:
    """Take up what an earlier process left, here or elsewhere, made this long; None where it is gone."""
    if not path.exists() and (there := beside(path.parent, path.name)) is not None:
        take(there, path.parent, size, disk)
    return reopen(path, size, disk, is_direct=is_direct)


def mark_of_any(path: Path) -> tuple[int, str] | None:
    """Return what an earlier process has noted of its bytes, here or elsewhere; None for nothing."""
    there = None if path.exists() else beside(path.parent, path.name)
    return mark_of(path if there is None else there)


def beside(staging: Path, name: str) -> Path | None:
    """Return where another host has staged bytes under a name; None where there are none to be seen.

    Args:
        staging: Of this host; a link into the file system that hosts share, else nothing is beside it.
    """
    if not staging.is_symlink():
        return None
    own = staging.resolve()
    for folder in sorted(own.parent.iterdir()):
        path = folder / name
        if folder != own and path.is_file() and not path.is_symlink():
            return path
    return None


def take(path: Path, staging: Path, size: int, disk: Disk) -> None:
    """Make the first bytes of what another host has staged this host's own, under the same name.

    They are copied, not moved: a host that was only frozen has the file open still, and whatever it writes
    must not become ours. Its name of the file goes: it cannot commit it, and nobody has to clean it up.

    Args:
        size: How many bytes count; fewer may be there, which their digest shows.

    Raises:
        OSError: The file system refused.
    """
    target = staging / path.name
    half = target.with_name(f"{path.name}.taken")
    with path.open("rb") as source, os.fdopen(disk.open(half, FLAGS), "wb") as copy:
        shutil.copyfileobj(source, copy, COPY_BYTES)
        copy.truncate(min(size, copy.tell()))
        copy.flush()
        disk.sync(copy.fileno())
    disk.rename(half, target)
    disk.sync_folder(staging)
    crash.reach("store.adopted")
    with suppress(FileNotFoundError):
        path.unlink()
