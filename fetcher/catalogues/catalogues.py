"""The catalogues that the operator named: read when first asked, kept, fetched again now and then."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from fetcher.catalogues.cache import FOLDER, DocumentCache, leave_only
from fetcher.catalogues.documents import Documents, about
from fetcher.catalogues.reading import READERS, Whole, within_hosts
from fetcher.catalogues.resolve import Resolved
from fetcher.config import Current
from fetcher.errors import CatalogueUnusable, Failure, UnknownName
from fetcher.model import CatalogueOrigin
from fetcher.parsers.catalogues import Entry, choose, parse_name, search
from fetcher.settings.catalogues import CatalogueSource
from fetcher.transport import Gate

log = structlog.get_logger()

AGAIN_SECONDS = 60.0  # Before a catalogue that could not be had is asked for once more.
MAX_SIMILAR = 5


class CatalogueState(msgspec.Struct, kw_only=True):
    """One catalogue's contents and state.

    Args:
        whole: As it was read last; empty where it never was.
        trouble: Why it could not be read or fetched the last time; empty where it could.
        stamp: Of a local one: changes when its files do.
    """

    source: CatalogueSource
    whole: Whole
    trouble: str = ""
    stamp: tuple[int, ...] = ()
    tried_at: float = 0.0

    @property
    def is_read(self) -> bool:
        """Return whether there is anything to find."""
        return self.whole.fetched_at is not None


class Catalogues:
    """Finds images by name.

    Args:
        folder: Of the store.
        current: What is in force now: catalogues come and go with an edited configuration.
    """

    def __init__(self, gate: Gate, current: Current, folder: Path) -> None:
        self._gate = gate
        self._current = current
        self._folder = folder / FOLDER
        self._states: dict[str, CatalogueState] = {}
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def states(self) -> list[CatalogueState]:
        """Return all catalogues in the operator's order; those that were never read are read now."""
        return [await self._state(source) for source in self._current.settings.catalogue.sources]

    async def search(self, words: Sequence[str], arch: str | None) -> list[tuple[str, Entry]]:
        """Return the newest versions of images with all these words, each with its catalogue's name."""
        found = []
        for state in await self.states():
            some = await asyncio.to_thread(search, state.whole.entries, words, arch)
            found += [(state.source.name, entry) for entry in some]
        return found

    async def resolve(self, text: str) -> Resolved:
        """Return the newest image that a name asks for, from the first catalogue that has one.

        Raises:
            InvalidRequest: The text is no name.
            UnknownName: No catalogue has such an image.
            CatalogueUnusable: No other catalogue has it, and this one cannot be asked.
        """
        wanted = parse_name(text)
        states = await self.states()
        for state in states:
            entry = choose(state.whole.entries, wanted, self._current.settings.catalogues.default_arch)
            if entry is not None:
                return Resolved(entry=entry, origin=_origin(state, entry))
        for state in states:
            if not state.is_read and state.trouble:
                raise CatalogueUnusable(reason=state.trouble, catalogue=state.source.name)
        family = wanted.name.partition(":")[0]
        similar = [entry.name for _catalogue, entry in await self.search([family], wanted.arch)]
        raise UnknownName(name=text.strip(), similar=list(dict.fromkeys(similar))[:MAX_SIMILAR])

    async def refresh(self) -> None:
        """Ask every catalogue whether it has changed; one that cannot be had stays as it is."""
        sources = self._current.settings.catalogue.sources
        for name in self._states.keys() - {source.name for source in sources}:
            del self._states[name]
        await asyncio.to_thread(leave_only, self._folder, {source.name for source in sources})
        for source in sources:
            async with self._turns[source.name]:
                await self._read(await self._kept(source), is_online=True)

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._current.settings.catalogues.refresh_seconds)

    async def _state(self, source: CatalogueSource) -> CatalogueState:
        async with self._turns[source.name]:
            state = await self._kept(source)
            is_due = time.monotonic() - state.tried_at > AGAIN_SECONDS or not state.tried_at
            has_changed = source.is_local and state.stamp != await asyncio.to_thread(_stamp, source)
            if has_changed or (not state.is_read and is_due):
                await self._read(state, is_online=True)
            return self._states[source.name]

    async def _kept(self, source: CatalogueSource) -> CatalogueState:
        """Return what is known of a catalogue, as far as that needs no network."""
        state = self._states.get(source.name)
        if state is None or state.source != source:
            state = self._states[source.name] = CatalogueState(source=source, whole=Whole(entries=[]))
            await self._read(state, is_online=False)
            state.trouble, state.tried_at = "", 0.0
        return state

    async def _read(self, state: CatalogueState, *, is_online: bool) -> None:
        """Read a catalogue anew; what is known of it stays where that fails."""
        source, settings = state.source, self._current.settings
        cache = DocumentCache(self._folder / source.name)
        documents = Documents(source, settings, self._gate, cache, is_online=is_online)
        state.tried_at = time.monotonic()
        state.stamp = await asyncio.to_thread(_stamp, source) if source.is_local else ()
        try:
            whole = await READERS[source.kind](documents, source, settings, state.whole.updated)
        except Failure as failure:
            state.trouble = about(failure, source.name).reason
            if is_online:
                log.warning(
                    "catalogue.unusable", catalogue=source.name, code=failure.code, detail=str(failure)
                )
            return
        state.whole, state.trouble = within_hosts(whole, source), ""
        if is_online and not source.is_local:
            await asyncio.to_thread(cache.leave_only, documents.urls)
        count, left_out = len(state.whole.entries), state.whole.left_out
        log.info("catalogue.read", catalogue=source.name, images=count, left_out=left_out)


def _origin(state: CatalogueState, entry: Entry) -> CatalogueOrigin:
    whole = state.whole
    assert isinstance(whole.fetched_at, datetime)
    return CatalogueOrigin(
        catalogue=state.source.name,
        name=entry.name,
        serial=entry.serial,
        arch=entry.arch,
        signer=", ".join(whole.signers) or None,
        fetched_at=whole.fetched_at,
        released=entry.released,
        end_of_life=entry.end_of_life,
    )


def _stamp(source: CatalogueSource) -> tuple[int, ...]:
    """Return when the files of a local catalogue were changed."""
    path = Path(source.url)
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return tuple(file.stat().st_mtime_ns for file in files)
    except OSError:
        return ()
