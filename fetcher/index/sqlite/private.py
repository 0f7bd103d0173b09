"""The index is for its owner alone: it has URLs, names and, for a while, secrets."""

import os
import stat
from pathlib import Path

from fetcher.errors import StoreFailed

MODE = 0o600


def make_private(path: Path) -> None:
    """Make the file of an index for this user only, or take from everybody else what it gives them.

    SQLite makes its log and its shared memory with the mode of the file.

    Raises:
        StoreFailed: It cannot be made, or belongs to another user and is open to others.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, MODE))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreFailed(reason=f"index {path.name}: {error.strerror}") from error
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        _close(file)


def _close(file: Path) -> None:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & ~MODE:
            file.chmod(mode & MODE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreFailed(reason=f"{file.name} is open to others: chmod 600 it") from error
