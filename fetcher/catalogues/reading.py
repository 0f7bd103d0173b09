"""All documents of one catalogue, put together: which there are is up to its kind."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from fetcher.catalogues.documents import Document, Documents
from fetcher.config import Settings
from fetcher.errors import CatalogueUnusable
from fetcher.guards.request.host_names import is_named
from fetcher.parsers.catalogues import Entry, read_image_manager, read_index, read_products
from fetcher.parsers.catalogues.entry import Reading, below
from fetcher.settings.catalogues import CatalogueSource

CLOCKS_APART = timedelta(days=1)


class Whole(msgspec.Struct, kw_only=True):
    """A catalogue that was read to its end.

    Args:
        left_out: How many images were left out, because what is said of them is not sound.
        signers: The fingerprints of the certificates that signed its documents.
        fetched_at: When the oldest of them was last seen at its source.
        updated: When each document says that it was written, by its place.
    """

    entries: list[Entry]
    left_out: int = 0
    signers: list[str] = []
    fetched_at: datetime | None = None
    updated: dict[str, datetime] = {}

    def take(self, document: Document, reading: Reading, place: str) -> None:
        """Add what one document holds."""
        self.entries += reading.entries
        self.left_out += reading.left_out
        self.note(document, reading.updated, place)

    def note(self, document: Document, updated: datetime | None, place: str) -> None:
        """Add who signed a document, and when."""
        if document.signer is not None and document.signer not in self.signers:
            self.signers = [*self.signers, document.signer]
        if self.fetched_at is None or document.fetched_at < self.fetched_at:
            self.fetched_at = document.fetched_at
        if updated is not None:
            self.updated = {**self.updated, place: updated}


def not_older(before: datetime | None, now: datetime) -> Callable[[datetime | None], None]:
    """Return a check that a document is no older than the one before it: an old one keeps a flaw alive.

    One that is dated ahead would keep every honest one out that comes after it: it is refused, and one that
    was taken once counts for nothing.
    """
    latest = now + CLOCKS_APART
    known = None if before is not None and before > latest else before

    def check(updated: datetime | None) -> None:
        if updated is not None and updated > latest:
            raise CatalogueUnusable(reason="it says that it was written in the future")
        if known is not None and (updated is None or updated < known):
            raise CatalogueUnusable(reason="it is older than the one that was fetched before")

    return check


async def read_simplestreams(
    documents: Documents, source: CatalogueSource, settings: Settings, before: dict[str, datetime]
) -> Whole:
    """Read an index and the files of products that it names."""
    caps, whole = settings.catalogues, Whole(entries=[])
    root = (
        source.url.partition("/streams/")[0] if "/streams/" in source.url else source.url.rpartition("/")[0]
    )
    base = source.base_url or root
    now = datetime.now(UTC)
    check = not_older(before.get(source.url), now)
    index = await documents.get(
        source.url, check=lambda text: check(read_index(text, max_parts=caps.max_documents)[1])
    )
    parts, updated = read_index(index.text, max_parts=caps.max_documents)
    whole.note(index, updated, source.url)
    for part in parts:
        place = str(Path(root, part.path)) if source.is_local else below(root, part.path, "a path")
        room = caps.max_entries - len(whole.entries)
        document = await documents.get(
            place, check=_judge_products(base, room, not_older(before.get(place), now))
        )
        whole.take(document, read_products(document.text, base, max_entries=room), place)
    return whole


def _judge_products(
    base: str, room: int, check: Callable[[datetime | None], None]
) -> Callable[[bytes], None]:
    return lambda text: check(read_products(text, base, max_entries=room).updated)


async def read_image_managers(
    documents: Documents, source: CatalogueSource, settings: Settings, _before: dict[str, datetime]
) -> Whole:
    """Read the files of a folder, or the one file."""
    caps, whole = settings.catalogues, Whole(entries=[])
    for place in _places(source, caps.max_documents):
        room = caps.max_entries - len(whole.entries)
        document = await documents.get(place, check=_judge_images(room))
        whole.take(document, read_image_manager(document.text, max_entries=room), place)
    return whole


def _judge_images(room: int) -> Callable[[bytes], None]:
    def check(text: bytes) -> None:
        read_image_manager(text, max_entries=room)

    return check


def _places(source: CatalogueSource, most: int) -> list[str]:
    if source.files:
        found = [
            str(Path(source.url, name)) if source.is_local else below(source.url, name, "a file")
            for name in source.files
        ]
    elif source.is_local and Path(source.url).is_dir():
        files = sorted(path for path in Path(source.url).iterdir() if path.suffix in {".yml", ".yaml"})
        found = [str(path) for path in files]
    else:
        found = [source.url]
    if len(found) > most:
        raise CatalogueUnusable(reason=f"it has more than {most:,} files")
    return found


Reader = Callable[[Documents, CatalogueSource, Settings, dict[str, datetime]], Awaitable[Whole]]
READERS: dict[str, Reader] = {"simplestreams": read_simplestreams, "image-manager": read_image_managers}


def within_hosts(whole: Whole, source: CatalogueSource) -> Whole:
    """Leave out images at hosts that the operator did not name for this catalogue."""
    if source.hosts:
        good = [entry for entry in whole.entries if _is_at(entry, source.hosts)]
        whole.left_out += len(whole.entries) - len(good)
        whole.entries = good
    return whole


def _is_at(entry: Entry, hosts: list[str]) -> bool:
    urls = [entry.url, *entry.mirrors, *([entry.checksum_url] if entry.checksum_url else [])]
    return all(is_named(urlsplit(url).hostname or "", hosts) for url in urls)
