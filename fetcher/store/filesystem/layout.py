"""The folders of the store."""

from pathlib import Path

from fetcher.store.filesystem.disk import Disk
from fetcher.store.modes import close_to_others

SHARDS = 256


def make_folders(folder: Path, staging: Path, blobs: Path, disk: Disk) -> None:
    """Make all folders, durably, before any blob needs one: no commit ever meets a half-made folder.

    Raises:
        OSError: One cannot be made.
    """
    shards = [blobs / f"{number:02x}" for number in range(SHARDS)]
    for path in (folder, staging, blobs, *shards):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(folder)
    for path in (blobs, folder, folder.parent):
        disk.sync_folder(path)
