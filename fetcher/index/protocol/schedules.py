"""Images that are kept new, as verbs."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from fetcher.index.values import ANSWER_BYTES, Rows, Schedule, ScheduleProgress
from fetcher.model import Actor


class Schedules(Protocol):
    """Verbs on schedules."""

    async def create(self, schedule: Schedule, *, most: int) -> None:
        """Write a new schedule.

        Raises:
            Conflict: The project has as many as it may.
        """

    async def find(self, schedule_id: str, actor: Actor) -> Schedule:
        """Return one schedule.

        Raises:
            UnknownSchedule: There is none, or it is another project's.
        """

    async def page(
        self, actor: Actor, *, limit: int = 1000, marker: str | None = None, max_bytes: int = ANSWER_BYTES
    ) -> Rows[Schedule]:
        """Return those that the actor may see, the oldest first, as far as they fit; one at least.

        Args:
            limit: How many at most.
            marker: The last one of the page before.
            max_bytes: About how much they may hold together.

        Raises:
            UnknownSchedule: The marker is none, or is another project's.
        """

    async def edit(self, schedule_id: str, actor: Actor, change: Callable[[Schedule], Schedule]) -> Schedule:
        """Replace a schedule by what `change` makes of it, all at once; return it as it is now.

        An image that has the stable name takes the new one. What `change` raises takes the write back.

        Raises:
            UnknownSchedule: There is none, or it is another project's.
        """

    async def remove(self, schedule_id: str, actor: Actor) -> None:
        """Forget a schedule; its images stay.

        Raises:
            UnknownSchedule: There is none, or it is another project's.
        """

    async def due(self, now: datetime, *, limit: int = 100) -> list[Schedule]:
        """Return those whose turn it is, the longest due first; also those that a wrong clock put off.

        No interval is longer than a year: a turn that is further away was noted while the clock was ahead.
        """

    async def note(self, schedule: Schedule, progress: ScheduleProgress, next_at: datetime) -> bool:
        """Write down how far one is, and when its next turn is.

        False when it is gone, was edited, or had its turn since it was read: nothing is written then.
        """

    async def promote(self, schedule: Schedule, image_id: str, serial: str, now: datetime) -> list[str]:
        """Give the stable name to a new image, and retire those that had it before, all at once.

        The rules are those in the index, which may have been edited since the schedule was read.
        Nothing changes where another turn has ended the import that this one followed.

        Returns:
            The images that are more than are kept, the oldest first; none that is protected.
        """
