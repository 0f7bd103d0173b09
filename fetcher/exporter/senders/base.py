"""The protocol of a sender."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from fetcher.config import Settings
from fetcher.exporter.reading import Reading
from fetcher.index.values import Export, ExportOptions, ReceiverSecrets
from fetcher.model import Image
from fetcher.transport import Gate, SourceRequest


class AcceptedReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver as it will be called.

    Args:
        secrets: With URLs of http and https alone.
        shown: The receiver for everybody to read, without secrets.
    """

    secrets: ReceiverSecrets
    shown: str


@dataclass(frozen=True, kw_only=True)
class SendJob:
    """One image for one receiver.

    Args:
        secrets: The receiver, and who we are to it.
        image: Its record; None where nothing is sent any more.
        disk_format: Of the bytes that are sent.
        reading: Those bytes.
        remember: Keeps how far the sender is, for a later attempt or process, and how many bytes the receiver
            has acknowledged; comes back as `resume` of the secrets.
        gate: The one way to the network.
        settings: In force for this attempt.
    """

    export: Export
    secrets: ReceiverSecrets
    image: Image | None
    disk_format: str | None
    reading: Reading
    remember: Callable[[dict[str, Any], int], Awaitable[None]]
    gate: Gate
    settings: Settings


class ReadBackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The question that reads the bytes back, and their expected digest."""

    request: SourceRequest
    size: int
    sha256: str


class Sender(Protocol):
    """A way to send an image.

    Attributes:
        name: What exports call it, and the operator in `exports.kinds`.
        form: What its URLs look like, for people.
        fields: Of an export, which are of use with it alone.
    """

    name: str
    form: str
    fields: frozenset[str]

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Return whether a receiver is of this kind."""

    def take(self, secrets: ReceiverSecrets, options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Judge a receiver and say how it will be called.

        Raises:
            Failure: Nothing can or may be sent there.
        """

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send all of it, going on from `job.secrets.resume`; return what the receiver said of it.

        Raises:
            Failure: The receiver has not got it.
        """

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Say how the bytes are read back once they were sent; a reason where they cannot be.

        Raises:
            Failure: The receiver does not say.
        """

    async def abort(self, job: SendJob) -> None:
        """Remove what an unfinished sending has left at the receiver.

        Raises:
            Failure: It is still there.
        """
