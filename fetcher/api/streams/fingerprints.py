"""The digests over metadata and disk by which Incus and LXD know an image: computed once, kept in a file."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from fetcher.api.streams.machines import Archive, archive_of
from fetcher.errors import Failure
from fetcher.files import replace_file
from fetcher.model import Image
from fetcher.store.protocol import Store

log = structlog.get_logger()

FILE = "fingerprints.json"
MAX_KEPT = 20_000  # As many as may be listed.


class Fingerprints:
    """Computes the digests of listed images, one after the other.

    Each reads the disk whole, so it is done in the background: until then the image is listed without it.

    Args:
        folder: Where the file is kept; without the file all are computed anew.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._file = folder / FILE
        self._known: dict[str, str] | None = None
        self._wanted: dict[str, tuple[Image, Archive]] = {}
        self._news = asyncio.Event()

    async def load(self) -> None:
        """Read what an earlier process computed; a file that is damaged counts for nothing."""
        if self._known is None:
            self._known = await asyncio.to_thread(_read, self._file)

    def find(self, image: Image) -> str | None:
        """Return an image's fingerprint; None where it is still to be computed."""
        archive = archive_of(image)
        key = _key(image.sha256 or "", archive)
        found = (self._known or {}).get(key)
        if found is None and len(self._wanted) < MAX_KEPT:
            self._wanted[key] = (image, archive)
            self._news.set()
        return found

    async def compute(self) -> int:
        """Compute what is wanted; return how many there are more than before."""
        await self.load()
        count = 0
        while self._wanted:
            key, (image, archive) = next(iter(self._wanted.items()))
            del self._wanted[key]
            try:
                combined = await self._combined(image, archive)
            except Failure as failure:  # It is wanted again by the next list.
                log.warning("fingerprint.failed", image_id=image.id, detail=str(failure))
                continue
            if combined is not None:
                assert self._known is not None
                self._known[key] = combined
                count += 1
        if count:
            await asyncio.to_thread(_write, self._file, self._known or {})
        return count

    async def run(self, make_lists: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Compute for ever: when a list wants something, and when it may have changed.

        Args:
            make_lists: Makes the lists, which shows what is wanted.
            seconds: Between two of them.
        """
        while True:
            self._news.clear()
            await make_lists()
            await self.compute()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _combined(self, image: Image, archive: Archive) -> str | None:
        """Digest metadata and disk; None where the disk has other bytes by now."""
        both, alone = hashlib.sha256(archive.data), hashlib.sha256()
        async for chunk in self._store.read(image.address or ""):
            await asyncio.to_thread(both.update, chunk)
            await asyncio.to_thread(alone.update, chunk)
        return both.hexdigest() if alone.hexdigest() == image.sha256 else None


def _key(sha256: str, archive: Archive) -> str:
    return f"{archive.sha256}:{sha256}"


def _read(file: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _write(file: Path, known: dict[str, str]) -> None:
    """Keep the newest of them; one that cannot be kept is computed again by the next process."""
    newest = dict(list(known.items())[-MAX_KEPT:])
    try:
        replace_file(file, msgspec.json.encode(newest))
    except OSError as error:
        log.warning("fingerprints.unkept", error=repr(error))
