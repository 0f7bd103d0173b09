"""The memory of request bodies that are read as a whole: one sum over all of them."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fetcher.errors import TooManyBodies

BODY = "fetcher.body"  # In the scope of a request: its `Body`.


class BodyRoom:
    """Counts the bytes of all bodies that are held, from their arrival until their requests are answered.

    When there is no room for a piece, the largest body that still comes has to go: honest ones are
    small or soon complete, and the client that holds most room is the first to lose it.

    Args:
        most: How many bytes there may be in all, now.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._coming: dict[Body, None] = {}
        self.held_bytes = 0

    def body(self) -> "Body":
        """Give a place to the body of one request."""
        return Body(self)

    def begin(self, body: "Body") -> None:
        """Note a body that comes."""
        self._coming[body] = None

    def end(self, body: "Body") -> None:
        """Note a body that comes no more; what has come of it is held on."""
        self._coming.pop(body, None)

    def take(self, body: "Body", size: int) -> None:
        """Hold so many more bytes; others may have to go for them.

        Raises:
            TooManyBodies: This one is the largest, or none of the others can go.
        """
        while self.held_bytes + size > self._most():
            largest = max(self._coming, key=lambda one: one.held_bytes, default=body)
            if largest is body or not largest.held_bytes:
                raise TooManyBodies
            largest.give_up()
        self.held_bytes += size

    def give_back(self, size: int) -> None:
        """Hold so many bytes no more."""
        self.held_bytes -= size


class Body:
    """One request's share of the room for bodies."""

    def __init__(self, room: BodyRoom) -> None:
        self._room = room
        self._waiting: asyncio.Timeout | None = None
        self._is_given_up = False
        self.held_bytes = 0

    def coming(self) -> Self:
        """Return what the body is read within; no generator, as nearly every request has one."""
        return self

    async def __aenter__(self) -> Self:
        """Begin to read it."""
        self._room.begin(self)
        self._waiting = await asyncio.timeout(None).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the reading.

        Raises:
            TooManyBodies: The room was needed for others.
        """
        assert self._waiting is not None
        try:
            await self._waiting.__aexit__(kind, error, trace)
        except TimeoutError as late:
            if self._is_given_up:
                raise TooManyBodies from late
            raise
        finally:
            self._room.end(self)
        if self._is_given_up and error is None:  # Its end came in the very turn in which its room went.
            raise TooManyBodies

    def take(self, size: int) -> None:
        """Hold so many more bytes.

        Raises:
            TooManyBodies: There is no room for them.
        """
        if self._is_given_up:
            raise TooManyBodies
        self._room.take(self, size)
        self.held_bytes += size

    def give_up(self) -> None:
        """Let go of what has come, and end the reading."""
        self._is_given_up = True
        self._room.end(self)
        self.release()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def release(self) -> None:
        """Let go of all of it: the request is answered."""
        self._room.give_back(self.held_bytes)
        self.held_bytes = 0
