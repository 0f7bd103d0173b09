"""Every sender; a further one is a file and a line here."""

from fetcher.config import Settings
from fetcher.errors import InvalidUrl
from fetcher.exporter.senders.base import Sender
from fetcher.exporter.senders.image_api import ImageServiceSender
from fetcher.exporter.senders.oci import RegistrySender
from fetcher.exporter.senders.put import SignedPut
from fetcher.exporter.senders.s3 import BucketSender
from fetcher.exporter.senders.signed_parts import SignedParts
from fetcher.index.values import ReceiverSecrets
from fetcher.settings.base import Mistake, printed

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


def unknown_kinds(settings: Settings) -> list[Mistake]:
    """Return each entry of `exports.kinds` that is the name of no sender."""
    known = sorted({sender.name for sender in SENDERS})
    return [
        Mistake(key="exports.kinds", value=printed(kind), expected=f"one of {', '.join(known)}")
        for kind in settings.exports.kinds
        if kind not in known
    ]


def named(name: str) -> Sender:
    """Return the sender that an export was submitted for."""
    return next(sender for sender in SENDERS if sender.name == name)
