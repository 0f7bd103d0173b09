"""The layout of a store's folder."""

from pathlib import Path

from fetcher.store.filesystem.disk import Disk
from fetcher.store.modes import close_to_others


class Layout:
    """Names what lies in a store's folder.

    Attributes:
        staging: Holds `IMPORT.CLAIM` while bytes come in.
        blobs: Holds `ab/SHA256` when they have passed.
        index_path: The index lies beside them; so does `lock`, held by the one process that writes here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.staging = folder / "staging"
        self.blobs = folder / "blobs"
        self.index_path = folder / "index.sqlite"

    def blob_path(self, address: str) -> Path:
        """Return where bytes with this digest lie, or would."""
        return self.blobs / address[:2] / address

    def make(self, disk: Disk) -> None:
        """Make all folders, durably, before any blob needs one: no commit ever meets a half-made folder.

        Raises:
            OSError: The file system refuses.
        """
        shards = [self.blobs / f"{number:02x}" for number in range(256)]
        for path in (self.folder, self.staging, self.blobs, *shards):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_to_others(self.folder)
        for path in (self.blobs, self.folder, self.folder.parent):
            disk.sync_folder(path)
