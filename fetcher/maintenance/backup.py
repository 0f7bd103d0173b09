"""A backup of index and store while both are in use: a folder that is itself a store."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from fetcher.attest import KeyFolder
from fetcher.attest.folder import PUBLIC, SIGNING
from fetcher.errors import Conflict
from fetcher.index.sqlite.backup import copy_index, leave_out
from fetcher.store import Store
from fetcher.store.filesystem.copies import copy_durably, sync_tree

INDEX = "index.sqlite"


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a backup.

    Args:
        linked: Blobs that share their room with the store's.
        copied: Blobs that were copied to another file system.
        left_out: Blobs whose images were deleted while the backup was made.
        in_bucket: Where the bytes of all blobs are, where the backup holds none of them.
    """

    folder: str
    blobs: int
    linked: int
    copied: int
    left_out: list[str]
    in_bucket: str = ""


async def back_up(store: Store, target: Path) -> Backup:
    """Copy the index first, then link or copy every blob that the copy names.

    A blob never changes after it has its name, so a hard link is a copy. What
    was deleted between the two steps is left out of the copy, so that the
    backup agrees with itself. The folder gets its name when all of it is
    durable: a backup that was broken off is never taken for a whole one.

    Raises:
        Conflict: Something is at `target` already.
        StoreFailed: The index cannot be copied.
        OSError: The target cannot be written.
    """
    return await asyncio.to_thread(_back_up, store, target)


async def back_up_index(folder: Path, target: Path, url: str) -> Backup:
    """Copy the index and the keys of a store whose bytes are in a bucket.

    Raises:
        Conflict: Something is at `target` already.
        StoreFailed: The index cannot be copied.
        OSError: The target cannot be written.
    """
    return await asyncio.to_thread(_back_up_index, folder, target, url)


def _back_up_index(folder: Path, target: Path, url: str) -> Backup:
    partial = _begun(target)
    partial.mkdir(mode=0o700)
    names = copy_index(folder / INDEX, partial / INDEX)
    (partial / INDEX).chmod(0o600)
    _take_keys(KeyFolder.of(folder).path, KeyFolder.of(partial).path)
    _publish(partial, target)
    return Backup(folder=str(target), blobs=len(list(names)), linked=0, copied=0, left_out=[], in_bucket=url)


def _begun(target: Path) -> Path:
    if target.exists():
        raise Conflict(reason=f"{target} exists already")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


def _publish(partial: Path, target: Path) -> None:
    sync_tree(partial)
    partial.rename(target)
    sync_tree(target.parent, is_deep=False)


def _back_up(store: Store, target: Path) -> Backup:
    partial = _begun(target)
    copy = Store(partial, reserve=lambda _total: 0)
    copy.open()
    copy.close()
    linked = copied = 0
    gone = []
    names = copy_index(store.index_path, copy.index_path)
    copy.index_path.chmod(0o600)
    for address in names:
        try:
            if _take(store.blob_path(address), copy.blob_path(address)):
                linked += 1
            else:
                copied += 1
        except FileNotFoundError:
            gone.append(address)
    leave_out(copy.index_path, gone)
    _take_keys(KeyFolder.of(store.folder).path, KeyFolder.of(partial).path)
    _publish(partial, target)
    return Backup(folder=str(target), blobs=linked + copied, linked=linked, copied=copied, left_out=gone)


def _take_keys(folder: Path, target: Path) -> None:
    """Copy the signing key with the public ones: what the copy serves was signed with them."""
    if not folder.is_dir():
        return
    target.mkdir(mode=0o700)
    for name in (SIGNING, PUBLIC):
        with suppress(FileNotFoundError):
            copy_durably(folder / name, target / name)
            (target / name).chmod(0o600)


def _take(blob: Path, target: Path) -> bool:
    """Link a blob, or copy it where that is another file system; True when it was linked."""
    try:
        os.link(blob, target)
    except FileNotFoundError:
        raise
    except OSError:  # Another file system, or one without hard links.
        copy_durably(blob, target)
        return False
    return True
