"""Dialects: what a service expects of its clients beyond HTTP, such as signatures and tokens.

A dialect speaks at the origin of the submitted URL alone. It never opens a
connection by itself: the gate sends what it signs, and shows it what comes
back; what it has to ask elsewhere goes through the gate as well.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

# Errors of services are a few hundred bytes; a page that stands in for one is of no use.
MAX_ANSWER_BYTES = 65_536


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer without bytes of the image.

    Args:
        headers: By lower-case name; repeated ones are joined by commas.
        body: At most its first MAX_ANSWER_BYTES.
        url: What was asked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Dialect(Protocol):
    """The dialect of one kind of service."""

    def fields(self, method: str, url: str, fields: dict[str, str], /) -> dict[str, str]:
        """Return the header fields of one request, with what the service wants to see of it.

        Args:
            fields: Those of any request.
        """

    def accept(self) -> None:
        """Note that the service has given bytes for what it was sent."""

    async def consult(self, answer: Answer) -> str | None:
        """Read an answer without bytes.

        Returns:
            The URL to ask next, as an absolute one, perhaps the same; None where HTTP says what follows.

        Raises:
            Failure: What the service says, in our words.
        """
