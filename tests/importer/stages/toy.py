"""A toy stage that reads every complete body, refuses one word, and tells how much it has read."""

from dataclasses import replace

from fetcher.errors import FormatUnsafe
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.staged_peer import StagedPeer
from fetcher.importer.stages.stage import Carrier, Stage

WORD = b"ABRACADABRA"
REASON = "it holds the word"


class Toy:
    """The stage's declaration, and the bodies that it has seen."""

    def __init__(self, *needs: str) -> None:
        self.seen: list[bytes] = []
        self.stage = Stage(name="toy", run=self._run, needs=needs, adds=("toy",), judges=True)

    async def _run(self, carrier: Carrier, body: Complete) -> Complete:
        store = carrier.context.store
        await store.settle(body.staged)
        peer = StagedPeer(store, body.staged, is_whole=True)
        read = b""
        while chunk := await peer.read():
            read += chunk
        self.seen.append(read)
        if WORD in read:
            raise FormatUnsafe(format="toy", rule="word", reason=REASON)
        return replace(body, stages={**body.stages, "toy": {"read_bytes": len(read)}})
