"""What a guard is: the protocol of a check on a stream, and of a published limit."""

from dataclasses import dataclass
from typing import Protocol


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


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit in force, in words and a number that a submitter can read.

    Args:
        name: Stable, with its unit last: `max_bytes`, `idle_seconds`.
        type: JSON type of the value: integer, number, boolean, string, array.
        value: What is in force now.
        description: One sentence that tells what is limited and why.
        guard: Which guard enforces it.
    """

    name: str
    type: str
    value: object
    description: str
    guard: str
