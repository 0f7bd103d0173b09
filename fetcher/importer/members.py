"""The imports that share one download: who is about to join, who leaves, how each ends."""

import asyncio

from fetcher.config import Settings
from fetcher.errors import Cancelled, Failure
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer import tracing
from fetcher.importer.context import Context
from fetcher.importer.place import Place
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.subscribers import Subscribers
from fetcher.importer.records.verdicts import fail
from fetcher.index.values import Secrets


class Members:
    """Lets imports join until the last byte is in, and leave at any moment.

    Attributes:
        subscribers: Those that are in; they see how far the download is.
        secrets: Of the latest that came in; what decides which bytes come is alike in all.
        urls: Its URLs, as far as they were judged under the settings of the download.
    """

    def __init__(self, context: Context, settings: Settings, place: Place) -> None:
        self._context = context
        self._settings = settings
        self._place = place
        self.subscribers = Subscribers(context.index, place.ended)
        self.secrets = Secrets(url="")
        self.urls: CheckedUrls  # There as soon as one is in.
        self._coming = 0
        self._settled = asyncio.Event()
        self._is_open = True

    def expect(self) -> None:
        """One more import is about to join."""
        self._coming += 1
        self._settled.clear()

    def arrive(
        self, running: RunningImport | None, secrets: Secrets | None, urls: CheckedUrls | None
    ) -> bool:
        """Let an expected import join, unless it came to nothing; False when it comes too late.

        Args:
            urls: What its URLs were judged to be when it was submitted.
        """
        self._coming -= 1
        if not self._coming:
            self._settled.set()
        if running is None or secrets is None:
            return True
        if self._is_open:
            self.secrets = secrets
            self.urls = CheckedUrls(self._settings) if urls is None else urls.under(self._settings)
            self.subscribers.add(running)
        return self._is_open

    def leave(self, import_id: str, *, is_lost: bool = False) -> bool:
        """Let an import go that ended elsewhere; True when it was the last one, and the download ends too.

        Args:
            is_lost: Another host has it now, which must not begin before it can have the bytes, too.
        """
        self.subscribers.drop(import_id)
        self._place.ended(import_id)
        is_last = not self.subscribers.followers and not self._coming
        if is_last and is_lost:
            self._is_open = False
        elif is_last:
            self._close()
        return is_last

    async def settle(self) -> None:
        """Wait for those that are about to join."""
        await self._settled.wait()

    async def shut(self) -> None:
        """Let nobody join any more, after those that are about to."""
        self._place.seal()
        await self._settled.wait()
        self._is_open = False

    async def end(self, running: RunningImport, failure: Failure | None) -> None:
        """Give an import its verdict; without a failure it has it already."""
        if failure is not None and not isinstance(failure, Cancelled):
            await fail(self._context.index, running, failure)
        if self._context.is_traced:
            code = "ok" if failure is None else failure.code
            ids = {"import_id": running.record.id, "image_id": running.record.image_id}
            tracing.event("import.ended", **ids, code=code)
        self._drop(running)

    async def end_all(self, failure: Failure) -> None:
        """Give all their verdict, also those that are about to join."""
        if self._context.is_traced:
            tracing.fail(failure.code)
        await self.shut()
        for running in list(self.subscribers.followers.values()):
            await self.end(running, failure)

    def let_go(self) -> None:
        """Let go of the members that are left, without a verdict."""
        self._close()
        for running in list(self.subscribers.followers.values()):
            self._drop(running)

    def _drop(self, running: RunningImport) -> None:
        self.subscribers.drop(running.record.id)
        self._place.ended(running.record.id)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._place.seal()
