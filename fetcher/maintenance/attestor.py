"""Signing what is known of every image: at once where it can be, and again until it could be."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.attest import PAYLOAD_TYPE, KeyFolder, KnownKey, seal, signer_of, statement
from fetcher.errors import Failure, NoAttestation
from fetcher.importer.context import Context
from fetcher.index.values import Unsigned
from fetcher.model import Actor

log = structlog.get_logger()

PAGE = 100
ROUND_SECONDS = 60.0


class Attestor:
    """Signs statements on images, one after the other; one that is asked for and missing is signed first.

    An import never waits for it: a service that keeps keys may be slow, or away.
    """

    def __init__(
        self, context: Context, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._context = context
        self._sleep = sleep
        self.folder = KeyFolder.of(context.folder)
        self._turn = asyncio.Lock()

    async def keys(self) -> list[KnownKey]:
        """Return every key that has signed here, the newest first; one is made where there is none.

        Raises:
            StoreFailed: They cannot be read.
            AttestationUnavailable: The operator's key cannot be read.
        """
        await signer_of(self._context.current.settings, self.folder).key_id()
        return await asyncio.to_thread(self.folder.known)

    async def of_image(self, image_id: str, actor: Actor) -> str:
        """Return an image's envelope as JSON.

        Raises:
            UnknownImage: There is no such image, or it is not the actor's to see.
            NoAttestation: Its bytes have no story.
            AttestationUnavailable: It cannot be signed now.
        """
        story = await self._context.index.attestations.story(image_id, actor)
        if story is None:
            raise NoAttestation(id=image_id)
        found = await self._context.index.attestations.find(image_id)
        if found is None:
            await self._sign(story)
            found = await self._context.index.attestations.find(image_id)
        if found is None:
            raise NoAttestation(id=image_id)
        return found.envelope

    async def run(self) -> None:
        """Sign for ever what is not signed yet."""
        with suppress(Failure):  # The rounds say so, and try again.
            await self.keys()
        while True:
            self._context.unsigned.clear()
            try:
                await self.sign_pending()
            except Failure as failure:
                log.error("attestation.failed", code=failure.code, detail=str(failure))  # noqa: TRY400 - a fact
                await self._sleep(ROUND_SECONDS)
                continue
            await self._context.unsigned.wait()

    async def sign_pending(self) -> int:
        """Sign all that is not signed yet; how many were.

        Raises:
            AttestationUnavailable: It cannot be done now.
            StoreFailed: The key or the index cannot be used.
        """
        signed = 0
        while unsigned := await self._context.index.attestations.unsigned(limit=PAGE):
            for one in unsigned:
                signed += await self._sign(one)
        return signed

    async def _sign(self, unsigned: Unsigned) -> bool:
        settings = self._context.current.settings
        builder_id = settings.attestation.builder_id or settings.server.public_url
        payload = statement(unsigned.image_id, unsigned.story, builder_id)
        signer = signer_of(settings, self.folder)
        async with self._turn:
            key_id = await signer.key_id()
            envelope = await seal(PAYLOAD_TYPE, payload, key_id, signer.sign)
            text = msgspec.json.encode(envelope).decode()
            return await self._context.index.attestations.keep(unsigned, key_id, text, datetime.now(UTC))
