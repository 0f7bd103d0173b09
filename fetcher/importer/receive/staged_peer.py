"""The bytes of a staged file, read back: to go on from them, or to judge and digest a converted disk."""

import asyncio
import hashlib
from collections.abc import Sequence

from fetcher.errors import Truncated
from fetcher.guards import Chain
from fetcher.pipeline import PeerClock, WorkerPool, pull
from fetcher.store.protocol import Staged, Store

READ_BYTES = 1_048_576


class StagedPeer:
    """The bytes of a staged file, up to where they count.

    Args:
        is_whole: They are all there are: the end is an honest one.
    """

    def __init__(self, store: Store, staged: Staged, *, is_whole: bool) -> None:
        self._store = store
        self._staged = staged
        self._size = staged.size
        self._offset = 0
        self._is_whole = is_whole

    async def read(self) -> bytes:
        """Return the next bytes.

        Raises:
            Truncated: At the end, when more have to come from elsewhere.
            StoreFailed: The disk has lost them.
        """
        length = min(READ_BYTES, self._size - self._offset)
        if not length and not self._is_whole:
            raise Truncated(received_bytes=self._size)
        chunk = await self._store.read_back(self._staged, self._offset, length) if length else b""
        self._offset += len(chunk)
        return chunk


async def read_back(
    store: Store, staged: Staged, chain: Chain, algorithms: Sequence[str], worker_pool: WorkerPool
) -> dict[str, str]:
    """Take a complete staged file through guards; return its digests.

    Raises:
        Failure: A guard refuses it.
        StoreFailed: The disk has lost it.
    """
    hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    lanes = worker_pool.lanes([hasher.update for hasher in hashers.values()])
    clock = PeerClock(asyncio.get_running_loop().time)
    peer = StagedPeer(store, staged, is_whole=True)
    try:
        await pull(peer, chain.guards, lanes, clock, piece_bytes=worker_pool.piece_bytes)
    finally:
        await lanes.close()
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}
