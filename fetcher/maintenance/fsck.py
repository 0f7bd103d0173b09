"""The check that index and store agree: files and rows for each other, and the bytes of their names."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from fetcher.attest import KeyFolder
from fetcher.errors import StoreFailed
from fetcher.importer.stored_blobs import read_blob
from fetcher.index.protocol import Index
from fetcher.index.values import BlobState
from fetcher.maintenance.repair import split_sources
from fetcher.maintenance.signed import signed_findings
from fetcher.store.protocol import Store, StoredItem

Kind = Literal[
    "file-missing",
    "file-corrupt",
    "file-unread",
    "file-unknown",
    "staging-leftover",
    "usage-wrong",
    "index-damaged",
    "key-unusable",
    "attestation-invalid",
    "audit-broken",
]


WAITS_SECONDS = (0.1, 0.5, 2.0)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be.

    Args:
        name: The address of a blob, a path inside the store, a project, or SQLite's own words.
        why: Of bytes that are gone: what stands in the way of pulling them again.
        advice: What to do.
        images: Of bytes that are gone: whose they were, ten at the most.
    """

    kind: Kind
    name: str
    why: str = ""
    advice: str
    images: list[str] = []


ADVICE: dict[Kind, str] = {
    "file-missing": "`fetcher store repair` pulls it again from where it came.",
    "file-corrupt": "`fetcher store repair` pulls it again from where it came.",
    "file-unread": "Nothing is known of its bytes; remove what keeps it from being read, and check again.",
    "file-unknown": "Put back the index that knows it, or let `fetcher store gc` remove it.",
    "staging-leftover": "The next start removes it, or `fetcher store gc`.",
    "usage-wrong": "`fetcher store repair` counts anew.",
    "index-damaged": "Stop the server and restore a backup.",
    "key-unusable": "Restore the folder keys from a backup, or run `fetcher keys rotate`.",
    "attestation-invalid": "Restore the folder keys from a backup; statements by a lost key prove nothing.",
    "audit-broken": "Compare with an exported head and a backup: somebody changed the audit trail.",
}
LOST = "Import the same bytes again, restore the file from a backup, or delete the images."


class Fsck:
    """Looks at index and store together; also beside a running server, which changes both meanwhile.

    Args:
        folder: Where the keys are.
        bytes_per_second: The rate to read blobs at; None leaves their bytes unread.
        waits: Seconds between two looks at what may be left over; none where no server can run.
    """

    def __init__(
        self,
        index: Index,
        store: Store,
        folder: Path,
        *,
        bytes_per_second: int | None,
        waits: Sequence[float] = WAITS_SECONDS,
    ) -> None:
        self._waits = waits
        self._folder = folder
        self._index = index
        self._store = store
        self._bytes_per_second = bytes_per_second
        self.blobs = 0

    async def findings(self) -> AsyncIterator[Finding]:
        """Everything that is wrong, as it is found.

        Raises:
            StoreFailed: The index or a folder cannot be read at all.
        """
        complaints = await self._index.maintenance.complaints()
        for words in complaints:
            yield _finding("index-damaged", words)
        try:
            async for finding in self._differences():
                yield finding
        except StoreFailed:
            if not complaints:
                raise  # Else the damage has been reported, and the rest cannot be compared.

    async def _differences(self) -> AsyncIterator[Finding]:
        for project_id in await self._index.maintenance.miscounted():
            yield _finding("usage-wrong", project_id)
        async for finding in self._blobs():
            yield finding
        for one in await self.unknown_files():
            yield _finding("file-unknown", one.name)
        for one in await self.leftovers():
            yield _finding("staging-leftover", one.name)
        async for kind, name, why in signed_findings(self._index, KeyFolder.of(self._folder)):
            yield Finding(kind=kind, name=name, why=why, advice=ADVICE[kind])

    async def _blobs(self) -> AsyncIterator[Finding]:
        after = ""
        while page := await self._index.maintenance.page(after=after):
            for blob in page:
                finding = await self._read(blob)
                # A row that is gone by now was deleted while we read: nothing is wrong with that.
                if finding is not None and await self._index.maintenance.find(blob.address) is not None:
                    yield finding
                self.blobs += 1
            after = page[-1].address

    async def _read(self, blob: BlobState) -> Finding | None:
        try:
            fault = await read_blob(self._store, blob, self._bytes_per_second)
        except StoreFailed as failure:
            kind: Kind = "file-unread"
            return Finding(kind=kind, name=blob.address, why=failure.reason, advice=ADVICE[kind])
        if fault is None:
            return None
        return await self._lost(blob, "file-missing" if fault == "missing" else "file-corrupt")

    async def _lost(self, blob: BlobState, kind: Kind) -> Finding:
        """Say of bytes that are gone whether they can be pulled again, and what is left to do if not."""
        sources, reasons = split_sources(await self._index.maintenance.sources(blob.address))
        return Finding(
            kind=kind,
            name=blob.address,
            why=blob.note or ("" if sources else " ".join(reasons)),
            advice=ADVICE[kind] if sources else LOST,
            images=await self._index.maintenance.images_of(blob.address),
        )

    async def unknown_files(self) -> list[StoredItem]:
        """Return what lies among the blobs and what no row, no commit and no deletion knows of."""
        unknown = [
            one
            for one in await self._store.items()
            if not await self._index.images.has_blob(one.address)
            and not await self._index.maintenance.is_loose(one.address)
        ]
        if not unknown:
            return []
        still = {one.name for one in await self._store.items()}
        return [one for one in unknown if one.name in still]

    async def leftovers(self) -> list[StoredItem]:
        """Return the staged bytes that no process writes and no later start can resume from.

        The order matters: a file is listed first, so that a process that was about to
        lock it or to record it has done so by the time it is judged. Beside a running
        server it is looked for again: whole bodies have no lock until they have their names.
        """
        names = {one.name for one in await self._store.unclaimed()}
        found = await self._still_unclaimed(names)
        for seconds in self._waits if found else ():
            await asyncio.sleep(seconds)
            found = await self._still_unclaimed({one.name for one in found})
        return found

    async def _still_unclaimed(self, names: set[str]) -> list[StoredItem]:
        resumable = {kept.staged for kept in await self._index.pulls.unfinished()}
        return [
            one
            for one in await self._store.unclaimed()
            if one.name in names and one.name.rpartition("/")[2] not in resumable
        ]


def _finding(kind: Kind, name: str) -> Finding:
    return Finding(kind=kind, name=name, advice=ADVICE[kind])
