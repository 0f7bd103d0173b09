"""Signatures without certificates: by a pinned public key, as `cosign sign-blob --key` and openssl make them.

signature = base64( DER( ECDSA or Ed25519 over the text ) ), alone in its file
key       = PEM( SubjectPublicKeyInfo ), as `cosign public-key` prints it

Source: sigstore/cosign, specs/SIGNATURE_SPEC.md ("Signature"); RFC 5915, RFC 8410.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fetcher.errors import ChecksumFileUnusable
from fetcher.settings.base import PLAIN_KEY
from fetcher.transport.signed.proof import Proof

if TYPE_CHECKING:  # Loaded with the first key: a start does not wait for it.
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CERTIFICATE = b"-----BEGIN PGP"
MAX_SIGNATURE = 1024  # In base64; the largest that counts has some 140 characters.

Key: TypeAlias = "EllipticCurvePublicKey | Ed25519PublicKey"


def split_keys(files: Sequence[str]) -> tuple[list[Key], list[str]]:
    """Return the plain keys of these files, and the files that have certificates.

    Raises:
        ChecksumFileUnusable: One cannot be read, or is of a kind that does not count.
    """
    keys: list[Key] = []
    certificates: list[str] = []
    for file in files:
        try:
            held = Path(file).read_bytes()
        except OSError as error:
            raise ChecksumFileUnusable(reason="the operator's keys cannot be read") from error
        if PLAIN_KEY in held:
            keys += read_keys(held)
        else:
            certificates.append(file)
    return keys, certificates


def read_keys(held: bytes) -> list[Key]:
    """Read every public key of a file.

    Raises:
        ChecksumFileUnusable: One is of a kind that does not count, or there are certificates beside them.
    """
    before, *blocks = held.split(PLAIN_KEY)
    if any(CERTIFICATE in part for part in (before, *blocks)):
        raise ChecksumFileUnusable(
            reason="the operator's certificates and plain keys each need a file of their own"
        )
    return [read_key(PLAIN_KEY + block) for block in blocks]


def read_key(pem: bytes) -> Key:
    """Read a public key: ECDSA on P-256 or P-384, or Ed25519.

    Raises:
        ChecksumFileUnusable: It is none of these.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ChecksumFileUnusable(reason="the operator's keys cannot be read") from error
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1 | SECP384R1):
        return key
    raise ChecksumFileUnusable(
        reason="one of the operator's keys is neither ECDSA on P-256 or P-384 nor Ed25519"
    )


def verify_plain(text: bytes, keys: Sequence[Key], signature: bytes) -> Proof | None:
    """Find out whether one of the keys made this signature; None where it is no plain one at all."""
    try:
        made = base64.b64decode(signature.strip(), validate=True) if len(signature) <= MAX_SIGNATURE else b""
    except (binascii.Error, ValueError):
        return None
    if not made:
        return None
    for key in keys:
        if _is_by(key, made, text):
            return Proof(standing="good", text=text, signer=fingerprint(key))
    return Proof(standing="unknown-key")


def fingerprint(key: Key) -> str:
    """Return what names a key: the sha256 of its DER form."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def _is_by(key: Key, made: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384

    try:
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(made, text, ECDSA(SHA256() if isinstance(key.curve, SECP256R1) else SHA384()))
        else:
            key.verify(made, text)
    except InvalidSignature:
        return False
    return True
