"""Large pieces go past the page cache, and read back the same wherever that cannot be done."""

import errno
import fcntl
import os
import random
from pathlib import Path

import pytest

from fetcher.errors import StoreFailed, StoreFull
from fetcher.store.filesystem.direct import BOUNCE_BYTES, LEAST_BYTES
from fetcher.store.filesystem.disk import Disk
from fetcher.store.filesystem.staged import Staged
from tests.store.faults import FaultyDisk

BODY = random.Random(1).randbytes(3 * BOUNCE_BYTES) + bytes(65_536) + random.Random(2).randbytes(700_001)


class Watched(Disk):
    """The real file system; counts what is written past the page cache, and how often that was tried.

    Args:
        can: Whether a file can be opened for it.
    """

    def __init__(self, *, can: bool = True) -> None:
        self.can = can
        self.tries = 0
        self.direct_bytes = 0

    def open(self, path: Path, flags: int) -> int:
        if flags & os.O_DIRECT:
            self.tries += 1
            if not self.can:
                raise OSError(errno.EINVAL, "this file system cannot")
        return super().open(path, flags)

    def write(self, descriptor: int, piece: memoryview, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            self.direct_bytes += len(piece)
        return super().write(descriptor, piece, offset)


def write(path: Path, disk: Disk, body: bytes, piece_bytes: int, *, is_direct: bool = True) -> None:
    """Write a body in pieces, durably."""
    descriptor = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    staged = Staged(path, descriptor, disk=disk, is_direct=is_direct)
    try:
        for start in range(0, len(body), piece_bytes):
            staged.write(body[start : start + piece_bytes])
        staged.sync()
    finally:
        staged.close()


@pytest.mark.parametrize("piece_bytes", [LEAST_BYTES, BOUNCE_BYTES, 4 * BOUNCE_BYTES, 300_001, 4096, 999])
@pytest.mark.parametrize("can", [True, False], ids=["can", "cannot"])
def test_bytes_read_back_however_they_are_cut(piece_bytes: int, can: bool, tmp_path: Path) -> None:
    """Aligned or not, large or small, with zeros between: the file holds what was written."""
    write(tmp_path / "file", Watched(can=can), BODY, piece_bytes)
    assert (tmp_path / "file").read_bytes() == BODY


def test_all_but_the_ends_of_aligned_pieces_goes_past_the_cache(tmp_path: Path) -> None:
    """Where pieces are large and begin at blocks, only a begun block and small rests go through the cache."""
    disk = Watched()
    write(tmp_path / "file", disk, BODY, BOUNCE_BYTES)
    if not can_direct(tmp_path):
        pytest.skip("this file system has no direct writes")
    assert disk.direct_bytes >= len(BODY) - 65_536 - LEAST_BYTES
    assert disk.tries == 1


def test_small_pieces_are_left_to_the_cache(tmp_path: Path) -> None:
    """A thousand slow imports neither wait for the disk piece by piece nor open their files twice."""
    disk = Watched()
    write(tmp_path / "file", disk, BODY, LEAST_BYTES - 4096)
    assert (disk.tries, disk.direct_bytes) == (0, 0)


def test_operator_can_switch_it_off(tmp_path: Path) -> None:
    """Some disks are better off with the cache before them."""
    disk = Watched()
    write(tmp_path / "file", disk, BODY, BOUNCE_BYTES, is_direct=False)
    assert (disk.tries, disk.direct_bytes) == (0, 0)


def test_file_system_that_cannot_is_asked_once(tmp_path: Path) -> None:
    """The answer will not change with the next piece."""
    disk = Watched(can=False)
    write(tmp_path / "file", disk, BODY, BOUNCE_BYTES)
    assert disk.tries == 1


@pytest.mark.parametrize(
    ("number", "failure"), [(errno.EIO, StoreFailed), (errno.ENOSPC, StoreFull)], ids=["EIO", "ENOSPC"]
)
def test_what_the_disk_refuses_is_told(number: int, failure: type[Exception], tmp_path: Path) -> None:
    """A direct write that fails is no reason to try it through the cache."""
    disk = FaultyDisk("write", number)
    with pytest.raises(failure):
        write(tmp_path / "file", disk, BODY, BOUNCE_BYTES)
    assert disk.calls == 1


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """Both ways into the file are closed with it."""
    before = sorted(Path("/proc/self/fd").iterdir())
    write(tmp_path / "file", Watched(), BODY, BOUNCE_BYTES)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def can_direct(folder: Path) -> bool:
    """Whether the file system under a folder writes past its cache."""
    try:
        os.close(os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return True
