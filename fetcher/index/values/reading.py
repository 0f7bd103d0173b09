"""The bounds of a read, and the caller that it is for."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

import msgspec

T = TypeVar("T")

ANSWER_BYTES = 4_194_304  # Where the caller does not say how much fits.


class Rows(list[T]):
    """The rows that were read, and whether more did not fit.

    Attributes:
        has_more: The next ones would have made it too large.
    """

    has_more = False


class Reader(msgspec.Struct, frozen=True):
    """The caller who waits for a read.

    Args:
        seconds: For one read.
        is_gone: Whether nobody waits any more; called from threads.
        task: The request's own. Tasks that it starts inherit its context, and may outlive it: an import does.
    """

    seconds: float
    is_gone: Callable[[], bool]
    task: asyncio.Task[object] | None


# Of the request that is being answered. Maintenance and imports read for themselves, and take their time.
READER: ContextVar[Reader | None] = ContextVar("reader", default=None)
