"""The worth of a signature."""

from dataclasses import dataclass
from typing import Literal

Standing = Literal["good", "expired-key", "revoked-key", "invalid", "unknown-key"]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The worth of a signature.

    Args:
        standing: `good`, or why it proves nothing.
        text: What was signed, where it is good.
        signer: The fingerprint of the certificate that made it, likewise.
    """

    standing: Standing
    text: bytes = b""
    signer: str | None = None
