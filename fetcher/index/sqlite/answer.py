"""Answers of the index's threads to those who wait in the loop."""

import asyncio
from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

R = TypeVar("R")


class Answer(msgspec.Struct, Generic[R], eq=False):
    """The outcome of a write or a read, for the one who waits for it in the loop; given by a thread.

    A caller that is cancelled gives up its future alone: the write is not taken back.

    Args:
        future: Of the loop that waits, which is the same for all calls of one index.
        is_given: Nothing else can be given.
    """

    future: asyncio.Future[R]
    is_given: bool = False

    def set_result(self, result: R) -> None:
        """Give what was found."""
        self._give(result, None)

    def set_exception(self, error: Exception) -> None:
        """Give why it does not count."""
        self._give(None, error)

    def _give(self, result: Any, error: Exception | None) -> None:
        self.is_given = True
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            self.future.get_loop().call_soon_threadsafe(self.deliver, result, error)

    def deliver(self, result: Any, error: Exception | None) -> None:
        """Wake the waiting caller; in the loop."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


def give_all(results: list[tuple[Answer[Any], Any]]) -> None:
    """Give what the writes of one commit returned, once they are durable: the loop is woken once for all."""
    if not results:
        return
    for answer, _result in results:
        answer.is_given = True
    with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
        results[0][0].future.get_loop().call_soon_threadsafe(_deliver_all, results)


def _deliver_all(results: list[tuple[Answer[Any], Any]]) -> None:
    for answer, result in results:
        answer.deliver(result, None)
