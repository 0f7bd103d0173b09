"""Slices of what a client sent: one piece of it may hold tens of thousands of chunks of one byte."""

import asyncio
from collections.abc import Callable
from typing import Protocol

SLICE_BYTES = 16_384  # Of chunks of one byte, three milliseconds' worth.
TURN_SECONDS = 0.002


class Reading(Protocol):
    """A transport, as far as reading from it is concerned."""

    def is_closing(self) -> bool:
        """Return whether nothing more comes of it."""

    def pause_reading(self) -> None:
        """Leave with the kernel what comes."""

    def resume_reading(self) -> None:
        """Take what comes."""


class Slices:
    """Hands on what comes, and lets everybody else have the loop where that turns out to be dear.

    The loop reads a quarter of a mebibyte at a time, whatever is in it. While
    some of that is left, nothing more is read.

    Args:
        feed: Takes one slice; says by itself when it wants no more.
        may_read: Whether, beside this, more is wanted of the client now.
    """

    def __init__(self, feed: Callable[[bytes], None], may_read: Callable[[], bool]) -> None:
        self._feed = feed
        self._may_read = may_read
        self._left = b""
        self._transport: Reading | None = None

    def take(self, data: bytes, transport: Reading) -> None:
        """Hand on a piece, after what is left of those before it."""
        if self._transport is not None:  # Somebody else had the reading go on.
            self._left += data
            transport.pause_reading()
        elif len(data) <= SLICE_BYTES:
            self._feed(data)
        else:
            self._hand_on(data, transport)

    def _go_on(self) -> None:
        transport, self._transport = self._transport, None
        left, self._left = self._left, b""
        if transport is None or transport.is_closing():
            return
        if self._hand_on(left, transport) and self._may_read():
            transport.resume_reading()

    def _hand_on(self, data: bytes, transport: Reading) -> bool:
        """Return whether nothing is left, and more may come."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN_SECONDS
        for begin in range(0, len(data), SLICE_BYTES):
            if begin and loop.time() >= until:
                self._left, self._transport = data[begin:], transport
                transport.pause_reading()
                loop.call_soon(self._go_on)
                return False
            self._feed(data[begin : begin + SLICE_BYTES])
            if transport.is_closing():
                return False
        return True
