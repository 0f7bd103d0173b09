"""Taking up the bytes that an earlier process left: read again, digested again, judged again."""

import asyncio
from contextlib import suppress

import structlog

from fetcher.errors import Truncated
from fetcher.importer.receive.checkpoints import Checkpoint
from fetcher.importer.receive.receiver import Receiver
from fetcher.pipeline import PeerClock
from fetcher.store.protocol import Staged, Store

log = structlog.get_logger()

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


async def replay(store: Store, receiver: Receiver, point: Checkpoint) -> bool:
    """Bring a new intake to where an earlier one was; False when the bytes are not those of then.

    Raises:
        Failure: A guard refuses them by the limits of today.
    """
    peer = StagedPeer(store, receiver.staged, is_whole=False)
    clock = PeerClock(asyncio.get_running_loop().time)
    with suppress(Truncated):  # That is where the network goes on.
        await receiver.replay(peer, clock)
    is_same = point == (receiver.received_bytes, receiver.digests()["sha256"])
    log.info("pull.replayed", staged=receiver.staged.name, bytes=point.size, is_same=is_same)
    return is_same
