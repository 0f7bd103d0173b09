"""An object read from a byte on, over as many answers as that takes."""

import asyncio
from typing import Any

import structlog

from fetcher.errors import Failure, Shortage
from fetcher.store.s3.wire import faults
from fetcher.store.s3.wire.connection import FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS
from fetcher.store.s3.wire.objects import Objects

PIECE_BYTES = 1_048_576

log = structlog.get_logger()


class Reader:
    """Reads a part of an object; an answer that breaks off is asked for again from the byte after.

    An object never changes, so parts of different answers are parts of the same bytes. Its
    coroutines run on the bucket's loop.

    Args:
        end: The byte after the last one.
    """

    def __init__(self, bucket: Objects, key: str, offset: int, end: int) -> None:
        self._bucket = bucket
        self.key = key
        self._offset = offset
        self._end = end
        self._body: Any = None

    async def read(self) -> bytes:
        """Return the next bytes, nothing at the end.

        Raises:
            Shortage: The server is busy or away for too long.
            StoreFailed: The object is gone or shorter than it was.
        """
        want = min(PIECE_BYTES, self._end - self._offset)
        pieces: list[bytes] = []
        wait = FIRST_WAIT_SECONDS
        loop = asyncio.get_running_loop()
        until = loop.time() + self._bucket.place.patience_seconds
        while want > 0:
            try:
                piece = await self._some(want)
            except Exception as error:
                await self.close()
                failure = error if isinstance(error, Failure) else faults.translate(error, "read")
                if not isinstance(failure, Shortage) or loop.time() + wait > until:
                    if failure is error:
                        raise
                    raise failure from error
                log.info("bucket.again", doing="read", detail=str(failure), at=self._offset)
                await asyncio.sleep(wait)
                wait = min(2 * wait, MAX_WAIT_SECONDS)
                continue
            pieces.append(piece)
            self._offset += len(piece)
            want -= len(piece)
        return b"".join(pieces)

    async def _some(self, most: int) -> bytes:
        if self._body is None:
            self._body = await self._bucket.open_stream(self.key, self._offset)
            if self._body is None:
                faults.raise_damaged("read")
        async with asyncio.timeout(self._bucket.place.request_seconds):
            piece: bytes = await self._body.read(most)
        if not piece:
            raise EOFError("the body broke off")
        return piece

    async def close(self) -> None:
        """Let go of the connection; closing twice is nothing."""
        body, self._body = self._body, None
        if body is not None:
            body.close()


async def read_whole(bucket: Objects, key: str, offset: int, end: int) -> bytes:
    """Return a part of an object; it has to fit into memory."""
    reader = Reader(bucket, key, offset, end)
    pieces = []
    try:
        while piece := await reader.read():
            pieces.append(piece)
    finally:
        await reader.close()
    return b"".join(pieces)
