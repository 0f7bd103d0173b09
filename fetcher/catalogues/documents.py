"""One document of a catalogue: from the gate or a file, small, signed, and not sent twice."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fetcher.catalogues.cache import CachedDocument, DocumentCache
from fetcher.config import Settings
from fetcher.errors import CatalogueUnusable, ChecksumFileUnusable, Failure, SourceStatus
from fetcher.guards.request.publishers import BUNDLE
from fetcher.parsers.checksum_files.signed import inside
from fetcher.settings.catalogues import CatalogueSource
from fetcher.transport import Gate, SourceRequest
from fetcher.transport.signed.signatures import verify
from fetcher.transport.signed.sigstore_bundles import verify_bundle

PROJECT = "catalogues"  # Whose look-ups these are, so that they take no project's share.


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document that may be used.

    Args:
        text: Without the signature around it.
        signer: The fingerprint of the certificate that signed it; None where none had to.
        fetched_at: When its source last said that it is this.
    """

    text: bytes
    signer: str | None
    fetched_at: datetime


class Documents:
    """The documents of one catalogue.

    Args:
        is_online: Whether the network may be asked; else only what is kept counts.
    """

    def __init__(
        self,
        source: CatalogueSource,
        settings: Settings,
        gate: Gate,
        cache: DocumentCache,
        *,
        is_online: bool,
    ) -> None:
        self._source = source
        self._settings = settings
        self._gate = gate
        self._cache = cache
        self._is_online = is_online
        self.urls: set[str] = set()
        self._new: dict[str, CachedDocument] = {}  # What was fetched and not judged yet.

    async def get(self, place: str, *, check: Callable[[bytes], None] = lambda _text: None) -> Document:
        """Return a document whose signature holds where one has to.

        What does not pass is never kept in place of what did.

        Args:
            place: A URL, or a path on this machine.
            check: Judges the text; raises for what may not replace what is kept.

        Raises:
            CatalogueUnusable: It is too large, not signed as it must be, or not there.
            Failure: As from `Gate.open` and `Source.read`.
        """
        if self._source.is_local:
            text = await asyncio.to_thread(_read, Path(place), self._settings.catalogues.max_bytes)
            apart = await self._signature_beside(place, text)
            document = await asyncio.to_thread(self._proven, text, apart, datetime.now(UTC))
            check(document.text)
            return document
        kept, apart = await self._fetch(place), None
        if self._needs_signature_apart(kept.text):
            apart = (await self._fetch(place + self._suffix)).text
        document = await asyncio.to_thread(self._proven, kept.text, apart, kept.fetched_at)
        check(document.text)
        for one in self._new.values():
            await asyncio.to_thread(self._cache.keep, one)
        self._new.clear()
        return document

    @property
    def _suffix(self) -> str:
        if self._source.identities:
            return BUNDLE
        return ".gpg" if self._source.kind == "simplestreams" else ".asc"

    def _needs_signature_apart(self, text: bytes) -> bool:
        if self._source.identities:
            return True
        return bool(self._source.keys) and not text.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----")

    async def _signature_beside(self, place: str, text: bytes) -> bytes | None:
        if not self._needs_signature_apart(text):
            return None
        return await asyncio.to_thread(_read, Path(place + self._suffix), self._settings.sums.max_bytes)

    def _proven(self, text: bytes, apart: bytes | None, fetched_at: datetime) -> Document:
        """Return the text, without a signature around it.

        Raises:
            CatalogueUnusable: It is not signed by a pinned certificate or identity, where one is.
        """
        if self._source.identities:
            return Document(text=_unwrapped(text), signer=self._identity(text, apart), fetched_at=fetched_at)
        if not self._source.keys:
            return Document(text=_unwrapped(text), signer=None, fetched_at=fetched_at)
        try:
            proof = verify(text, self._source.keys, apart)
        except ChecksumFileUnusable as failure:
            raise CatalogueUnusable(reason=failure.reason) from failure
        if proof is None or proof.standing != "good":
            standing = "unsigned" if proof is None else proof.standing
            raise CatalogueUnusable(reason=f"it is not signed by a key that the operator trusts ({standing})")
        return Document(text=proof.text, signer=proof.signer, fetched_at=fetched_at)

    def _identity(self, text: bytes, bundle: bytes | None) -> str:
        try:
            proven = verify_bundle(bundle or b"", self._source.identities, self._source.trusted_root)
        except ChecksumFileUnusable as failure:
            raise CatalogueUnusable(reason=failure.reason) from failure
        if not proven.holds(hashlib.sha256(text).hexdigest()):
            raise CatalogueUnusable(reason="the sigstore bundle beside it is about another document")
        return proven.signer

    async def _fetch(self, url: str) -> CachedDocument:
        """Return a document as its source has it now, or as it is kept."""
        self.urls.add(url)
        kept = await asyncio.to_thread(self._cache.find, url)
        if not self._is_online:
            if kept is None:
                raise CatalogueUnusable(reason="it was never fetched")
            return kept
        request = SourceRequest(
            url=url,
            project=PROJECT,
            if_none_match=kept.etag if kept else None,
            if_modified_since=kept.last_modified if kept else None,
        )
        try:
            async with asyncio.timeout(self._settings.catalogues.total_seconds):
                fetched = await self._ask(request, kept)
        except TimeoutError as error:
            seconds = self._settings.catalogues.total_seconds
            raise CatalogueUnusable(reason=f"it did not arrive within {seconds:g} seconds") from error
        self._new[url] = fetched
        return fetched

    async def _ask(self, request: SourceRequest, kept: CachedDocument | None) -> CachedDocument:
        most = self._settings.catalogues.max_bytes
        now = datetime.now(UTC)
        held = bytearray()
        async with self._gate.open(request, self._settings, lambda _hop: None) as source:
            if source.status == 304 and kept is not None:
                return msgspec.structs.replace(kept, fetched_at=now)
            if source.status != 200:
                raise SourceStatus(status=source.status)
            while chunk := await source.read():
                held += chunk
                if len(held) > most:
                    raise CatalogueUnusable(reason=f"it is larger than {most:,} bytes")
            return CachedDocument(
                url=request.text,
                sha256=hashlib.sha256(held).hexdigest(),
                fetched_at=now,
                etag=source.etag,
                last_modified=source.last_modified,
                text=bytes(held),
            )


def _unwrapped(text: bytes) -> bytes:
    """Take the text out of a clear-signed document whose signature nobody checks."""
    if not text.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"):
        return text
    try:
        return inside(text.decode("utf-8")).encode()
    except (ChecksumFileUnusable, UnicodeDecodeError) as error:
        raise CatalogueUnusable(reason="its clear-signed text is not whole") from error


def _read(path: Path, most: int) -> bytes:
    """Read a file of this machine.

    Raises:
        CatalogueUnusable: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            text = file.read(most + 1)
    except OSError as error:
        raise CatalogueUnusable(reason=f"{path.name} cannot be read") from error
    if len(text) > most:
        raise CatalogueUnusable(reason=f"it is larger than {most:,} bytes")
    return text


def about(failure: Failure, catalogue: str) -> CatalogueUnusable:
    """Return a failure as one of the catalogue, as everybody may know it."""
    if isinstance(failure, CatalogueUnusable):
        return CatalogueUnusable(reason=failure.reason, catalogue=catalogue)
    public = failure.public()
    words = type(public).title.partition(":")[0].rstrip(".") if public.hidden else str(public).rstrip(".")
    return CatalogueUnusable(reason=f"{words[:1].lower()}{words[1:]}", catalogue=catalogue)
