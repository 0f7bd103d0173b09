"""The receivers of one download: empty ones, and the one that an earlier process left."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from fetcher.config import Settings
from fetcher.errors import Shortage
from fetcher.guards import Chain, GuardContext, Headroom, Purpose
from fetcher.importer.context import Context
from fetcher.importer.receive.checkpoints import Checkpoint
from fetcher.importer.receive.layers import converts_pull
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.replay import replay
from fetcher.importer.receive.unpacking import unpacks_pull
from fetcher.importer.records.subscribers import Subscribers
from fetcher.index.values import ResumeState
from fetcher.model import FormatVerdict, Submission, algorithm_of
from fetcher.store.protocol import Staged
from fetcher.store.reservation import Reservation


@dataclass(kw_only=True)
class ReceiverFactory:
    """Makes receivers whose files are named after their pull.

    Args:
        pull_id: Under which fresh bytes are staged: those that were adopted from another host have its own.
        claims: What is said of the bytes, equal for all imports of the pull.
        promised: Which digests were promised of what is received; asked when a receiver is made.
        subscribers: Shown how many bytes passed the guards, and what they are, as often as there is news.
        marked: Called at every checkpoint, in a thread of the worker pool.
        headroom: Tells what the quota leaves; None where each import is held to its own at its end.
        streams: Whether images are converted while they come in, where their heads say that they can be.
    """

    context: Context
    settings: Settings
    pull_id: str
    resume_state: ResumeState
    claims: Submission
    reservation: Reservation
    promised: Callable[[], Collection[str]]
    subscribers: Subscribers
    marked: Callable[[], None]
    headroom: Callable[[], Awaitable[Headroom | None]]
    streams: bool = True
    _shown_format: FormatVerdict | None = field(default=None, init=False)
    _number: int | None = field(default=None, init=False)

    async def fresh(self, stated: Collection[str] = ()) -> Receiver:
        """Return an empty one.

        Args:
            stated: Algorithms of the digests that the source states itself.

        Raises:
            StoreFull: There is no room for even one more file.
            StoreFailed: The store refuses.
        """
        if self._number is None:  # Goes on counting files where an earlier process stopped.
            self._number = int(self.resume_state.staged.rpartition(".")[2] or 0)
        self._number += 1
        # Before there is a file that a failure here would leave behind.
        chain = await self._chain(Purpose.PULL)
        return self._make(await self.context.store.stage(self.pull_id, self._number), chain, stated)

    async def restore(self) -> Receiver | None:
        """Return the receiver of an earlier process, brought to where it was; None where nothing was kept.

        Raises:
            Failure: A guard refuses its bytes by the limits of today.
        """
        if not self.resume_state.staged:
            return None
        points = [Checkpoint(self.resume_state.kept_bytes, self.resume_state.kept_digest)]
        mark = await self.context.store.mark_of(self.resume_state.staged)
        if mark is not None:
            points.append(Checkpoint(*mark))
        for point in sorted(set(points), reverse=True):
            receiver = await self._restore(point) if point.size else None
            if receiver is not None:
                return receiver
        await self.context.store.remove_staged(self.resume_state.staged)
        return None

    async def _restore(self, point: Checkpoint) -> Receiver | None:
        chain = await self._chain(Purpose.REPLAY)
        staged = await self.context.store.reopen(self.resume_state.staged, point.size)
        if staged is None:
            return None
        try:
            receiver = self._make(staged, chain, begun_with=algorithm_of(point.digest))
        except BaseException:
            await self.context.store.discard(staged)
            raise
        try:
            is_same = await replay(self.context.store, receiver, point)
        except Shortage:  # The bytes may be as good as before: they are read once more.
            await receiver.close(is_kept=True)
            raise
        except BaseException:
            await receiver.close()
            raise
        if is_same:
            return receiver
        await receiver.close(is_kept=True)
        return None

    async def _chain(self, purpose: Purpose) -> Chain:
        return Chain(
            GuardContext(
                purpose=purpose,
                settings=self.settings,
                submission=self.claims,
                headroom=await self.headroom(),
            )
        )

    def _make(
        self, staged: Staged, chain: Chain, stated: Collection[str] = (), begun_with: str = ""
    ) -> Receiver:
        if self.subscribers.progress.received_bytes:
            self.subscribers.progress.restart()

        def count(size: int) -> None:
            self.subscribers.receive(size)
            found = receiver.format
            if found is not None and found is not self._shown_format:
                self._shown_format = found
                self.subscribers.change(format=found)

        promised, checksum = self.promised(), self.settings.checksum
        computed = checksum.algorithms
        # What is promised is compared, and one that the source states; another host may have begun with
        # another digest than ours.
        of_the_source = _source_digest(stated, checksum.accepted, computed)
        expected = [*sorted(promised), *of_the_source, *([begun_with] if begun_with else [])]
        algorithms = list(dict.fromkeys([*computed, *expected]))
        # Of what was received: what verifies, what was promised, what names it.
        wanted = {checksum.address, *checksum.accepted, *promised, *stated}
        receiver = Receiver(
            staged=staged,
            store=self.context.store,
            worker_pool=self.context.worker_pool,
            settings=self.settings,
            chain=chain,
            unpacks=not staged.size and unpacks_pull(self.settings, self.claims),
            converts=not staged.size and self.streams and converts_pull(self.settings, self.claims),
            algorithms=algorithms,
            address=checksum.address,
            received=[name for name in algorithms if name in wanted],
            reservation=self.reservation,
            count=count,
            times=self.context.guard_times,
            marked=self.marked,
        )
        return receiver


def _source_digest(
    stated: Collection[str], accepted: Collection[str], computed: Collection[str]
) -> list[str]:
    """Return one strong digest of those that the source states, where none of them is computed anyway."""
    strong = [name for name in accepted if name in stated]
    return [] if set(strong) & set(computed) else strong[:1]
