"""Every sender; a further one is a file and a line here."""

from fetcher.errors import InvalidUrl
from fetcher.exporter.senders.base import Sender
from fetcher.exporter.senders.image_api import ImageServiceSender
from fetcher.exporter.senders.oci import RegistrySender
from fetcher.exporter.senders.put import SignedPut
from fetcher.exporter.senders.s3 import BucketSender
from fetcher.exporter.senders.signed_parts import SignedParts
from fetcher.index.values import ReceiverSecrets

# The last one takes any URL.
SENDERS: tuple[Sender, ...] = (
    SignedParts(),
    BucketSender(),
    RegistrySender(),
    ImageServiceSender(),
    SignedPut(),
)


def sender_for(secrets: ReceiverSecrets) -> Sender:
    """Return who sends to a receiver.

    Raises:
        InvalidUrl: Nobody does.
    """
    found = next((sender for sender in SENDERS if sender.is_for(secrets)), None)
    if found is None:
        forms = ", ".join(sender.form for sender in SENDERS)
        raise InvalidUrl(rule="scheme", reason=f"a receiver is written as one of {forms}")
    return found


def named(name: str) -> Sender:
    """Return the sender that an export was submitted for."""
    return next(sender for sender in SENDERS if sender.name == name)
