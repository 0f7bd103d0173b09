"""The first bytes of a peer, looked at before it is known what becomes of them."""

from collections import deque
from collections.abc import Sequence

from fetcher.guards.base import Guard
from fetcher.pipeline import Peer, PeerClock
from fetcher.unpack import HEAD_BYTES, recognise


class HeadPeer:
    """A peer whose first bytes have been looked at.

    Args:
        chunks: Already read.
    """

    def __init__(self, chunks: Sequence[bytes], peer: Peer) -> None:
        self._chunks = deque(chunks)
        self._peer = peer

    async def read(self) -> bytes:
        """Return what was read first, then what comes."""
        return self._chunks.popleft() if self._chunks else await self._peer.read()


async def read_head(
    chunks: list[bytes], peer: Peer, clock: PeerClock, guards: Sequence[Guard], enough: int = HEAD_BYTES
) -> bytes:
    """Add to `chunks` until there are enough bytes; they hold less only where the peer has no more.

    Raises:
        SourceFailure: The peer broke off first; another may go on with the byte after.
        Failure: What a guard of the peer raised.
    """
    size = sum(map(len, chunks))
    while size < enough and (not chunks or chunks[-1]):
        clock.start()
        try:
            chunk = await peer.read()
        finally:
            clock.stop()
        chunks.append(chunk)
        size += len(chunk)
        for guard in guards if chunk else ():
            guard.feed(chunk)
    return b"".join(chunks)[:enough]


def is_packed(head: bytes) -> bool:
    """Return whether a body that begins so is packed in a way that is known."""
    return recognise(head[:HEAD_BYTES]) is not None
