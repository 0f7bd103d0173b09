"""Taking up the bytes that an earlier process left: read again, digested again, judged again."""

import asyncio
from contextlib import suppress

import structlog

from fetcher.errors import Truncated
from fetcher.importer.receive.checkpoints import Checkpoint
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.staged_peer import StagedPeer
from fetcher.model import algorithm_of
from fetcher.pipeline import PeerClock
from fetcher.store.protocol import Store

log = structlog.get_logger()


async def replay(store: Store, receiver: Receiver, point: Checkpoint) -> bool:
    """Bring a new receiver to where an earlier one was; False when the bytes are not those of then.

    Raises:
        Failure: A guard refuses them by the limits of today.
    """
    peer = StagedPeer(store, receiver.staged, is_whole=False)
    clock = PeerClock(asyncio.get_running_loop().time)
    with suppress(Truncated):  # That is where the network goes on.
        await receiver.replay(peer, clock)
    is_same = point == (receiver.received_bytes, receiver.digests()[algorithm_of(point.digest)])
    log.info("pull.replayed", staged=receiver.staged.name, bytes=point.size, is_same=is_same)
    return is_same
