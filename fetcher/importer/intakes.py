"""The intakes of one pull: empty ones, and the one that an earlier process left."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fetcher.config import Settings
from fetcher.guards.base import Guard
from fetcher.importer.checkpoints import Checkpoint
from fetcher.importer.intake import Intake
from fetcher.importer.parts import Parts
from fetcher.importer.resume import replay
from fetcher.index import Kept
from fetcher.model import FormatVerdict, Submission
from fetcher.store import Staged
from fetcher.store.store import Reservation


@dataclass(kw_only=True)
class Intakes:
    """Makes intakes whose files are named after their pull.

    Args:
        claims: What is said of the bytes, equal for all imports of the pull.
        algorithms: Which digests to compute; asked when an intake is made.
        restart: Told that counting begins anew.
        count: Told the size of every chunk that passed the guards.
        found: Told what the bytes are, as soon and as often as there is news.
        marked: Told of every checkpoint, in a thread of the workshop.
        cap: Makes the guard of the quota; None where each import is held to its own at its end.
    """

    parts: Parts
    settings: Settings
    kept: Kept
    claims: Submission
    reservation: Reservation
    algorithms: Callable[[], Sequence[str]]
    restart: Callable[[], None]
    count: Callable[[int], None]
    found: Callable[[FormatVerdict], None]
    marked: Callable[[], None]
    cap: Callable[[], Awaitable[Guard | None]]

    def __post_init__(self) -> None:
        """Go on counting files where an earlier process stopped."""
        self._told: FormatVerdict | None = None
        self._number = int(self.kept.staged.rpartition(".")[2] or 0)

    async def fresh(self) -> Intake:
        """An empty one.

        Raises:
            StoreFull: There is no room for even one more file.
            StoreFailed: The store refuses.
        """
        self._number += 1
        cap = await self.cap()  # Before there is a file that a failure here would leave behind.
        return self._make(await self.parts.store.stage(self.kept.id, self._number), cap)

    async def restore(self) -> Intake | None:
        """The one of an earlier process, brought to where it was; None where nothing can be gone on from.

        Raises:
            Failure: A guard refuses its bytes by the limits of today.
        """
        if not self.kept.staged:
            return None
        points = [Checkpoint(self.kept.kept_bytes, self.kept.kept_sha256)]
        mark = await self.parts.store.mark_of(self.kept.staged)
        if mark is not None:
            points.append(Checkpoint(*mark))
        for point in sorted(set(points), reverse=True):
            intake = await self._restore(point) if point.size else None
            if intake is not None:
                return intake
        await self.parts.store.remove_staged(self.parts.store.staging / self.kept.staged)
        return None

    async def _restore(self, point: Checkpoint) -> Intake | None:
        staged = await self.parts.store.reopen(self.kept.staged, point.size)
        if staged is None:
            return None
        try:
            intake = self._make(staged, await self.cap())
        except BaseException:
            await self.parts.store.discard(staged)
            raise
        try:
            is_same = await replay(self.parts.store, intake, point)
        except BaseException:
            await intake.close()
            raise
        if is_same:
            return intake
        await intake.close(is_kept=True)
        return None

    def _make(self, staged: Staged, cap: Guard | None) -> Intake:
        self.restart()

        def count(size: int) -> None:
            self.count(size)
            if intake.format is not None and intake.format is not self._told:
                self._told = intake.format
                self.found(intake.format)

        intake = Intake(
            staged=staged,
            store=self.parts.store,
            workshop=self.parts.workshop,
            settings=self.settings,
            submission=self.claims,
            algorithms=self.algorithms(),
            reservation=self.reservation,
            count=count,
            times=self.parts.guard_times,
            marked=self.marked,
        )
        if cap is not None:
            intake.also(cap)
        return intake
