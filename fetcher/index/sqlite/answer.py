"""Answers of the writer's thread to those who wait in the loop."""

import asyncio
from contextlib import suppress
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Answer(Generic[R]):
    """The result of a write, for the one who waits for it in the loop; made there, given by the writer.

    A caller that is cancelled gives up its future alone: the write is not taken back.
    """

    __slots__ = ("_is_given", "_loop", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[R] = self._loop.create_future()
        self._is_given = False

    def done(self) -> bool:
        """Return whether it was given."""
        return self._is_given

    def set_result(self, result: R) -> None:
        """Give what the write returned, once it is durable."""
        self._give(result, None)

    def set_exception(self, error: Exception) -> None:
        """Give why it does not count."""
        self._give(None, error)

    def _give(self, result: Any, error: Exception | None) -> None:
        self._is_given = True
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            self._loop.call_soon_threadsafe(self._deliver, result, error)

    def _deliver(self, result: Any, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
