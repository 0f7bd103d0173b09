"""A copy of the index taken while it is in use."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from fetcher.errors import StoreFailed
from fetcher.index.sqlite.private import make_private


def copy_index(path: Path, target: Path) -> list[str]:
    """Copy the index as it is at one moment, through SQLite; which blobs the copy names is returned.

    Writers go on meanwhile: a reader's picture of a WAL file stands still.

    Raises:
        StoreFailed: There is no index, or it cannot be read or written.
    """
    if not path.is_file():
        raise StoreFailed(reason=f"there is no index at {path}")
    make_private(target)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.execute("PRAGMA query_only = ON")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            # A note says what the store's folder may hold now. Beside other blobs, or later, it is false.
            copy.execute("DELETE FROM loose_files")
            copy.commit()
            return [row[0] for row in copy.execute("SELECT sha256 FROM blobs ORDER BY sha256")]
    except sqlite3.Error as error:
        raise StoreFailed(reason=f"index: {error}") from error


def leave_out(target: Path, gone: Iterable[str]) -> None:
    """Take blobs out of a copy, and the images that had them: they were deleted after the copy was made."""
    with closing(sqlite3.connect(target)) as copy, copy:
        copy.execute("PRAGMA foreign_keys = ON")
        for address in gone:
            staged = "DELETE FROM images WHERE id IN (SELECT image_id FROM image_stages WHERE sha256 = ?)"
            copy.execute(staged, [address])
            copy.execute("DELETE FROM images WHERE sha256 = ?", [address])
            copy.execute("DELETE FROM blobs WHERE sha256 = ?", [address])
            copy.execute("DELETE FROM loose_files WHERE sha256 = ?", [address])  # The deletion noted it.
