"""Permissions of the store's folder."""

import os
import stat
from pathlib import Path

from fetcher.errors import StoreFailed

OTHERS = stat.S_IRWXO


def close_to_others(folder: Path) -> None:
    """Take from everybody else on the machine what a folder gives them; its group, nginx say, stays.

    Raises:
        StoreFailed: The folder belongs to another user, and is open to others.
        OSError: Its mode cannot be read or changed.
    """
    found = folder.stat()
    if not found.st_mode & OTHERS:
        return
    if found.st_uid != os.geteuid():
        reason = f"{folder} is open to everybody on this machine and is user {found.st_uid}'s: chmod o-rwx it"
        raise StoreFailed(reason=reason)
    folder.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
