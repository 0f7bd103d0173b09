"""One transaction as a verb needs it, and the few words in which dialects of SQL differ."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Words of SQL that databases write in different ways.

    Attributes:
        row_lock: Ends a SELECT whose rows nobody else may change until the transaction ends; empty where
            writers come one after the other anyway.
        text_bytes: An image's name, tags and properties, in bytes of UTF-8.
        byte_length: Given `{}`, a text's length in bytes of UTF-8.
        seconds: Given `{}`, a moment's seconds since a fixed one.
        detail_code: The `code` in the detail of a line of the audit trail.
    """

    row_lock: str
    text_bytes: str
    byte_length: str
    seconds: str
    detail_code: str


class Session(Protocol):
    """One transaction."""

    @property
    def dialect(self) -> Dialect:
        """Return where this database's SQL differs."""

    async def select(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        """Read rows as dictionaries; parameters are `?` or `:name`."""

    async def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run a statement; return how many rows it wrote."""

    async def insert(self, table: str, row: dict[str, Any]) -> None:
        """Add a row."""

    async def note_line(self, line: dict[str, Any]) -> None:
        """Add a line to the audit trail, inside the write that it records."""

    async def lock_name(self, name: str) -> None:
        """Keep others who ask for the same name waiting until the transaction ends."""


class Connection(Protocol):
    """Runs functions on the index, each in a transaction of its own.

    A function waits for nothing but its session: SQLite runs it from beginning to end in one thread.
    """

    async def write(
        self, work: Callable[Concatenate[Session, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(session, ...)` in a transaction that is durable when this returns.

        Raises:
            StoreFailed: The index cannot be written.
        """

    async def read(
        self, work: Callable[Concatenate[Session, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(session, ...)` on one picture of the records, which it cannot change.

        Raises:
            StoreFailed: The index cannot be read.
            ReadGivenUp: It takes longer than the request may, or nobody waits for it any more.
        """
