"""Every sender; a further one is a file and a line here."""

from fetcher.exporter.senders.base import Sender
from fetcher.exporter.senders.put import SignedPut

SENDERS: tuple[Sender, ...] = (SignedPut(),)


def sender_for(scheme: str) -> Sender | None:
    """Return who sends to URLs of a scheme; None where nobody does."""
    return next((sender for sender in SENDERS if scheme in sender.schemes), None)


def named(name: str) -> Sender:
    """Return the sender that an export was submitted for."""
    return next(sender for sender in SENDERS if sender.name == name)
