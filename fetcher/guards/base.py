"""Protocols of the guards: a check on a stream, and a published limit."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class Guard(Protocol):
    """A check on the bytes of one import while they stream past.

    A guard sees every byte once and in order. It never keeps a chunk longer
    than its own stated bound, does no I/O and asks nobody for the time.
    """

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes.

        Raises:
            Failure: The import ends here; the chunk must not be kept.
        """

    def finish(self) -> None:
        """Judge the whole, after the last byte.

        Raises:
            Failure: The import ends here; nothing may become visible.
        """


class EachChunk:
    """A guard that judges each chunk by itself or with those before: at the end it is not asked."""

    def finish(self) -> None:
        """Pass: what was wrong has been refused."""


@runtime_checkable
class DividedGuard(Guard, Protocol):
    """A guard whose work on hostile bytes can be too long for an event loop, and comes in slices.

    `feed` does all of it at once, for callers that have the time.
    """

    def skim(self, chunk: bytes) -> bool:
        """Look at the next bytes as far as that is quick; return whether that is all of them.

        Raises:
            Failure: The import ends here; the chunk must not be kept.
        """

    def go_on(self) -> bool:
        """Look at a slice of what `skim` left, in any thread; return whether nothing is left.

        Raises:
            Failure: The import ends here; the chunk must not be kept.
        """


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit in force, in words and a number that a submitter can read.

    Args:
        name: Stable, with its unit last: `max_bytes`, `idle_seconds`.
        type: JSON type of the value: integer, number, boolean, string, array.
        value: What is in force now.
        description: One sentence that says what is limited and why.
        guard: Which guard enforces it.
    """

    name: str
    type: str
    value: object
    description: str
    guard: str


def limits_of(guard: str, *rows: tuple[str, str, object, str]) -> tuple[Limit, ...]:
    """Return the limits of a guard that publishes many: name, type, value and description of each."""
    return tuple(
        Limit(name=name, type=kind, value=value, description=description, guard=guard)
        for name, kind, value, description in rows
    )
