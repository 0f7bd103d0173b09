"""OpenPGP signatures on checksum files, by certificates that the operator pinned."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files import SIGNED
from fetcher.parsers.signature_packets import split_signatures

if TYPE_CHECKING:
    import pysequoia  # an extra: not everybody has it


def verify(text: bytes, keys: Sequence[str], signature: bytes | None = None) -> tuple[bytes, str] | None:
    """Find out whether a text is signed by one of the pinned certificates.

    Args:
        text: Clear-signed, or plain with its signature apart.
        keys: Files with the certificates, one or several in each.
        signature: The file with the signatures, where that is apart; one good one is enough.

    Returns:
        What was signed and the fingerprint of who did; None where nothing
        proves anything.

    Raises:
        ChecksumFileUnusable: A pinned certificate cannot be read.

    Source: RFC 9580. Other signed messages may hold compressed data, so only these two forms are read.
    """
    if not keys or (signature is None and not text.startswith(SIGNED.encode())):
        return None
    certificates = _read(keys)
    if signature is None:
        return _verify(text, certificates, None)
    proofs = (_verify(text, certificates, one) for one in split_signatures(signature))
    return next((proof for proof in proofs if proof is not None), None)


def _read(keys: Sequence[str]) -> "list[pysequoia.Cert]":
    import pysequoia

    try:
        return [
            certificate for key in keys for certificate in pysequoia.Cert.split_bytes(Path(key).read_bytes())
        ]
    except (OSError, RuntimeError) as error:
        raise ChecksumFileUnusable(reason="the operator's keys cannot be read") from error


def _verify(
    text: bytes, certificates: "list[pysequoia.Cert]", signature: bytes | None
) -> tuple[bytes, str] | None:
    import pysequoia

    try:
        apart = None if signature is None else pysequoia.Sig.from_bytes(signature)
        result = pysequoia.verify(bytes=text, store=lambda _: certificates, signature=apart)
    except RuntimeError:  # what sequoia says fills pages and is of use to nobody
        return None
    signed = result.bytes
    return (signed, result.valid_sigs[0].certificate) if result.valid_sigs and signed is not None else None
