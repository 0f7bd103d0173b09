"""The protocol of a sender."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fetcher.config import Settings
from fetcher.transport import Gate


@dataclass(frozen=True, kw_only=True)
class SendJob:
    """One image for one receiver.

    Args:
        url: With its secrets.
        headers: The submitter's own, for this receiver alone.
        project: Whose export it is.
        size: Of the image in bytes.
        sha256: Of the image, as lower-case hex.
        read: Begins reading its bytes at an offset; the last ones come only once all of them have had
            the right digest.
        gate: The one way to the network.
        settings: In force for this attempt.
    """

    url: str
    headers: Mapping[str, str]
    project: str
    size: int
    sha256: str
    read: Callable[[], AsyncIterator[bytes]]
    gate: Gate
    settings: Settings


class Sender(Protocol):
    """A way to send an image.

    Attributes:
        name: What exports call it.
        schemes: Of the URLs that it sends to.
    """

    name: str
    schemes: frozenset[str]

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send all of it, and return what the receiver said of it.

        Raises:
            Failure: The receiver has not got it.
        """
