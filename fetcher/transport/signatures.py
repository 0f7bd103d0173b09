"""OpenPGP signatures on checksum files, by certificates that the operator pinned."""

from collections.abc import Sequence
from pathlib import Path

from fetcher.errors import ChecksumFileUnusable
from fetcher.guards.sums import SIGNED


def verify(text: bytes, keys: Sequence[str], signature: bytes | None = None) -> tuple[bytes, str] | None:
    """Find out whether a text is signed by one of the pinned certificates.

    Args:
        text: Clear-signed, or plain with its signature apart.
        keys: Files with the certificates.
        signature: Where it is apart.

    Returns:
        What was signed and the fingerprint of who did; None where nothing
        proves anything.

    Raises:
        ChecksumFileUnusable: A pinned certificate cannot be read.

    Source: RFC 9580. Other signed messages may hold compressed data, so only these two forms are read.
    """
    if not keys or (signature is None and not text.startswith(SIGNED.encode())):
        return None
    import pysequoia

    try:
        certificates = [pysequoia.Cert.from_bytes(Path(key).read_bytes()) for key in keys]
    except (OSError, RuntimeError) as error:
        raise ChecksumFileUnusable(reason="the operator's keys cannot be read") from error
    try:
        apart = None if signature is None else pysequoia.Sig.from_bytes(signature)
        result = pysequoia.verify(bytes=text, store=lambda _: certificates, signature=apart)
    except RuntimeError:  # what sequoia says fills pages and is of use to nobody
        return None
    signed = result.bytes
    return (signed, result.valid_sigs[0].certificate) if result.valid_sigs and signed is not None else None
