"""The lists of public images: made anew when they are asked for, at most once in a while."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from fetcher.api.streams.fingerprints import Fingerprints
from fetcher.api.streams.products import PRODUCTS, dated, index_document, oldest_first, products_of
from fetcher.attest.openpgp import clear_signed, version_of
from fetcher.config import Current
from fetcher.engine.moments import moment_of
from fetcher.engine.protocol import Engine
from fetcher.errors import StoreFailed
from fetcher.index.protocol import Index
from fetcher.index.values import ImageQuery
from fetcher.index.values.images import Filter
from fetcher.model import Actor, Image

SHARED_NAME = "published lists"
INDEX = "streams/v1/index.json"
STRANGER = Actor(project_id="", user_id="", roles=frozenset({"reader"}))
PAGE_IMAGES = 500
FAILED_SECONDS = 5.0  # How long lists that could not be made are not tried again.


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One list.

    Args:
        updated: When it was last another one.
    """

    text: bytes
    updated: datetime

    @property
    def etag(self) -> str:
        """Return what names these bytes."""
        return f'"{hashlib.sha256(self.text).hexdigest()}"'


class Published:
    """Makes the lists, and keeps them for `publish.cache_seconds`.

    Args:
        fingerprints: Of disks that Incus and LXD take as virtual machines.
        engine: What other hosts publish is the same, with the same moment.
        want: Asks for a digest of the bytes at an address: an image is listed once its sha256 is there.
    """

    def __init__(
        self,
        index: Index,
        current: Current,
        fingerprints: Fingerprints,
        engine: Engine,
        want: Callable[[str, str], None],
    ) -> None:
        self._index = index
        self._engine = engine
        self._want = want
        self._current = current
        self._fingerprints = fingerprints
        self._turn = asyncio.Lock()
        self._found: dict[str, Document] = {}
        self._digest = b""
        self._at: datetime | None = None
        self._until = 0.0
        self._trouble: str | None = None

    async def find(self, path: str) -> Document | None:
        """Return a list by its path; None where there is none, such as a signed one without a key.

        Raises:
            StoreFailed: They cannot be made now; for a while, later calls raise the same without a new try.
        """
        async with self._turn:
            if time.monotonic() >= self._until:
                seconds = self._current.settings.publish.cache_seconds
                self._trouble = None
                try:
                    await self._make()
                except StoreFailed as failure:
                    self._trouble, seconds = failure.reason, min(seconds, FAILED_SECONDS)
                self._until = time.monotonic() + seconds
            if self._trouble is not None:
                raise StoreFailed(reason=self._trouble)
            return self._found.get(path)

    async def run(self) -> None:
        """Keep the fingerprints of what is published up to date."""
        await self._fingerprints.run(self._look, self._current.settings.publish.cache_seconds)

    async def _look(self) -> None:
        publish = self._current.settings.publish
        if publish.enabled and publish.machines:
            with suppress(StoreFailed):  # The next request for a list raises it again.
                await self.find(INDEX)

    async def _make(self) -> None:
        """Make them anew; where nothing has changed, they and their moment stay."""
        images = await self._images()
        for image in images:
            if image.sha256 is None and image.address is not None:
                self._want(image.address, "sha256")
        key = self._current.settings.publish.sign_key
        await self._fingerprints.load()
        find = self._fingerprints.find if self._current.settings.publish.machines else _unknown
        products = await asyncio.to_thread(lambda: products_of(oldest_first(images), find))
        text = msgspec.json.encode([products, key, await asyncio.to_thread(version_of, key)])
        digest = hashlib.sha256(text).digest()
        at = await self._moment(digest)
        if (digest, at) != (self._digest, self._at):
            self._found = await asyncio.to_thread(_documents, products, key, at)
            self._digest, self._at = digest, at

    async def _moment(self, digest: bytes) -> datetime:
        """Return since when the lists have been what they are."""
        if self._engine.is_shared:
            return await moment_of(self._engine, SHARED_NAME, digest)
        return self._at if self._at is not None and digest == self._digest else datetime.now(UTC)

    async def _images(self) -> list[Image]:
        """Return the newest public images whose bytes are whole, as many as may be listed."""
        most, marker = self._current.settings.publish.max_images, None
        faulty = await self._faulty()
        found: list[Image] = []
        is_more = True
        while is_more and len(found) < most:
            query = ImageQuery(
                filters=(Filter(key="status", values=("active",)), Filter(key="os_hidden", values=(0,))),
                limit=PAGE_IMAGES,
                marker=marker,
                visibility="public",
            )
            page = await self._index.images.page(STRANGER, query)
            found += [image for image in page if image.address not in faulty]
            is_more = bool(page) and (page.has_more or len(page) == PAGE_IMAGES)
            marker = page[-1].id if page else None
        return found[:most]

    async def _faulty(self) -> set[str]:
        """Return the blobs that are marked as missing or corrupt: nobody gets their bytes."""
        found: set[str] = set()
        after = ""
        while page := await self._index.maintenance.faulty(after=after, limit=PAGE_IMAGES):
            found.update(blob.address for blob in page)
            after = page[-1].address
        return found


def _unknown(_image: Image) -> None:
    return None


def _documents(products: dict[str, object], key: str, now: datetime) -> dict[str, Document]:
    document: dict[str, object] = {
        "format": "products:1.0",
        "datatype": "image-downloads",
        "content_id": "glance-fetcher:images",
    }
    whole = dated({**document, "products": products}, now)
    texts = {INDEX: dated(index_document(products), now), PRODUCTS: whole}
    if key:
        signed = PRODUCTS.replace(".json", ".sjson")
        texts[signed] = clear_signed(whole, key)
        texts[INDEX.replace(".json", ".sjson")] = clear_signed(
            dated(index_document(products, signed), now), key
        )
    return {path: Document(text=text, updated=now) for path, text in texts.items()}
