"""Cancellations that a library loses on the way."""

import asyncio
from types import TracebackType
from typing import Self


class KeepCancellation:
    """Raises, at the end of what is done inside, a cancellation that was asked for there and got lost.

    `asyncio.wait_for` of Python 3.11 forgets one that comes in the very moment at which it has what it waits
    for, and its caller goes on as if it had not been cancelled.

    with KeepCancellation():
        await library.work()
    """

    def __enter__(self) -> Self:
        """Note what was asked for before."""
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task is not None else 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Compare; any failure gives way to the cancellation."""
        is_lost = kind is None or issubclass(kind, Exception)
        if is_lost and self._task is not None and self._task.cancelling() > self._before:
            raise asyncio.CancelledError from error
