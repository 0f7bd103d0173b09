"""The bytes of an image on their way out: digested as they go, so that damaged ones never arrive whole."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

from fetcher.errors import BytesDamaged
from fetcher.store.protocol import Store


class Reading:
    """Reads an image for one attempt.

    Attributes:
        failure: What kept its bytes from being read; the transport tells only that its body broke off.

    Args:
        sent: Told how many bytes have been asked for, now and then.
    """

    def __init__(self, store: Store, sha256: str, size: int, sent: Callable[[int], Awaitable[None]]) -> None:
        self._store = store
        self._sha256 = sha256
        self._size = size
        self._sent = sent
        self.failure: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read from the first byte; the last chunk comes only if all of them have the right digest.

        Raises:
            BytesDamaged: They have not: what the receiver has is shorter than it was told.
            StoreFailed: They cannot be read.
        """
        try:
            async for chunk in self._judged():
                yield chunk
        except Exception as error:
            self.failure = error
            raise

    async def _judged(self) -> AsyncIterator[bytes]:
        digest, held, count = hashlib.sha256(), b"", 0
        async for chunk in self._store.read(self._sha256):
            if held:
                yield held
                await self._sent(count)
            digest.update(chunk)
            held, count = chunk, count + len(chunk)
        if count != self._size or digest.hexdigest() != self._sha256:
            raise BytesDamaged(fault="rotten")
        if held:
            yield held
        await self._sent(count)
