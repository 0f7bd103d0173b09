"""Copies of blobs in another place."""

import os
from pathlib import Path

from fetcher.store.filesystem.disk import DISK
from fetcher.store.filesystem.staged import Staged

COPY_BYTES = 1_048_576


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file with its holes, and make it durable.

    Raises:
        StoreFull: There is no room.
        OSError: The source cannot be read or the target not be made.
    """
    with source.open("rb", buffering=0) as file:
        copy = Staged(target, DISK.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            while chunk := file.read(COPY_BYTES):
                copy.write(chunk)
            copy.sync()
        finally:
            copy.close()


def sync_tree(folder: Path, *, is_deep: bool = True) -> None:
    """Make the files of a folder and their names durable."""
    for path in sorted(folder.rglob("*")) if is_deep else []:
        if path.is_dir():
            DISK.sync_folder(path)
        elif path.suffix == ".sqlite":  # Blobs are durable already.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                DISK.sync(descriptor)
            finally:
                os.close(descriptor)
    DISK.sync_folder(folder)
