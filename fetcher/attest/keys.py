"""Public keys, and what a signature by one of them is worth."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fetcher.errors import AttestationInvalid

if TYPE_CHECKING:  # Loaded with the first key: a start does not wait for it.
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_PEM_BYTES = 65_536
MAX_KEYS = 256
_END = b"-----END PUBLIC KEY-----"


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with.

    Args:
        key: Ed25519, or ECDSA on P-256 or P-384 as services that keep keys have it.
    """

    key: "Ed25519PublicKey | EllipticCurvePublicKey"

    @property
    def key_id(self) -> str:
        """Return the sha256 of the key as DER (SubjectPublicKeyInfo, RFC 5280)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    @property
    def pem(self) -> str:
        """Return the key as others read it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def algorithm(self) -> str:
        """Name what it signs with."""
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

        if not isinstance(self.key, EllipticCurvePublicKey):
            return "ed25519"
        return "ecdsa-p256-sha256" if isinstance(self.key.curve, SECP256R1) else "ecdsa-p384-sha384"

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Return whether a signature on a text is by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.hashes import SHA256, SHA384

        try:
            if isinstance(self.key, EllipticCurvePublicKey):
                digest = SHA256() if isinstance(self.key.curve, SECP256R1) else SHA384()
                self.key.verify(signature, text, ECDSA(digest))
            else:
                self.key.verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_public_key(pem: bytes) -> PublicKey:
    """Read one key.

    Raises:
        AttestationInvalid: It is none that is known here.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AttestationInvalid(reason="the key is no public key in PEM") from error
    is_known = isinstance(key, Ed25519PublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1 | SECP384R1)
    )
    if not is_known:
        raise AttestationInvalid(reason="the key is neither Ed25519 nor ECDSA on P-256 or P-384")
    return PublicKey(key)  # type: ignore[arg-type] # as was just checked


def read_public_keys(text: bytes) -> list[PublicKey]:
    """Read a file with one key or several, one after the other.

    Raises:
        AttestationInvalid: It has none, or one that is unknown here.
    """
    if len(text) > MAX_PEM_BYTES * 4:
        raise AttestationInvalid(reason="the file with the keys is too large")
    parts = [part + _END for part in text.split(_END)[:-1]]
    if not parts or len(parts) > MAX_KEYS:
        raise AttestationInvalid(reason="the file has no public key in PEM")
    return [read_public_key(part.strip()) for part in parts]
