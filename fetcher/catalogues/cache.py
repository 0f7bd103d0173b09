"""The cache of fetched catalogues: with it, a start needs no network."""

import hashlib
import shutil
from datetime import datetime
from pathlib import Path

import msgspec

from fetcher.errors import StoreFailed
from fetcher.files import replace_file

FOLDER = "catalogues"


class CachedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it was fetched.

    Args:
        sha256: Of `text`; a file that was cut off does not have it.
        fetched_at: When its source last said that it is this.
    """

    url: str
    sha256: str
    fetched_at: datetime
    etag: str | None = None
    last_modified: str | None = None
    text: bytes = b""


class DocumentCache:
    """The documents of one catalogue, each a file named by its URL's digest.

    Args:
        folder: Of this catalogue.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, url: str) -> CachedDocument | None:
        """Return the cached document of a URL; None where there is none, or only a part of it."""
        try:
            kept = msgspec.msgpack.decode(self._file(url).read_bytes(), type=CachedDocument)
        except (OSError, msgspec.DecodeError):
            return None
        is_whole = kept.url == url and hashlib.sha256(kept.text).hexdigest() == kept.sha256
        return kept if is_whole else None

    def keep(self, kept: CachedDocument) -> None:
        """Keep a document in place of an earlier one of the same URL.

        Raises:
            StoreFailed: It cannot be written.
        """
        try:
            replace_file(self._file(kept.url), msgspec.msgpack.encode(kept))
        except OSError as error:
            raise StoreFailed(reason=f"a catalogue cannot be kept: {error.strerror}") from error

    def leave_only(self, urls: set[str]) -> None:
        """Remove what its index names no more."""
        wanted = {self._file(url).name for url in urls}
        for file in self._folder.iterdir() if self._folder.is_dir() else ():
            if file.name not in wanted:
                file.unlink(missing_ok=True)

    def _file(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.bin"


def leave_only(folder: Path, names: set[str]) -> None:
    """Remove the caches of catalogues that are configured no more."""
    for cache in folder.iterdir() if folder.is_dir() else ():
        if cache.name not in names and not cache.is_symlink():
            shutil.rmtree(cache, ignore_errors=True)
