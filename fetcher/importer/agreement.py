"""Whether index and store agree: every row has its file, every file its row, with the bytes of its name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import msgspec

from fetcher.importer.upkeep import read_blob
from fetcher.index import Index
from fetcher.store import Store

Kind = Literal[
    "file-missing", "file-rotten", "file-unknown", "staging-leftover", "usage-wrong", "index-damaged"
]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be.

    Args:
        name: A sha256, a path inside the store, a project, or SQLite's own words.
    """

    kind: Kind
    name: str


class Agreement:
    """Looks at index and store together; also beside a running server, which changes both meanwhile.

    Args:
        bytes_per_second: The rate to read blobs at; None leaves their bytes unread.
    """

    def __init__(self, index: Index, store: Store, *, bytes_per_second: int | None) -> None:
        self._index = index
        self._store = store
        self._bytes_per_second = bytes_per_second
        self.blobs = 0

    async def findings(self) -> AsyncIterator[Finding]:
        """Everything that is wrong, as it is found.

        Raises:
            StoreFailed: The index or a folder cannot be read at all.
        """
        for words in await self._index.upkeep.complaints():
            yield Finding(kind="index-damaged", name=words)
        for project_id in await self._index.upkeep.miscounted():
            yield Finding(kind="usage-wrong", name=project_id)
        async for finding in self._blobs():
            yield finding
        for path in await self.unknown_files():
            yield Finding(kind="file-unknown", name=str(path.relative_to(self._store.folder)))
        for path in await self.leftovers():
            yield Finding(kind="staging-leftover", name=str(path.relative_to(self._store.folder)))

    async def _blobs(self) -> AsyncIterator[Finding]:
        after = ""
        while page := await self._index.upkeep.page(after=after):
            for blob in page:
                fault = await read_blob(self._store, blob, self._bytes_per_second)
                # A row that is gone by now was deleted while we read: nothing is wrong with that.
                if fault is not None and await self._index.upkeep.find(blob.sha256) is not None:
                    yield Finding(
                        kind="file-missing" if fault == "missing" else "file-rotten", name=blob.sha256
                    )
                self.blobs += 1
            after = page[-1].sha256

    async def unknown_files(self) -> list[Path]:
        """Files among the blobs that no row, no commit and no deletion knows of."""
        unknown = []
        for path in await self._store.blob_files():
            known = await self._index.images.has_blob(path.name) or await self._index.upkeep.is_loose(
                path.name
            )
            if not known and path.exists():
                unknown.append(path)
        return unknown

    async def leftovers(self) -> list[Path]:
        """Staging files of no import that goes on."""
        paths = await self._store.staged_paths()
        going = await self._index.upkeep.unfinished_ids()
        return [path for path in paths if path.name.partition(".")[0] not in going and path.exists()]
