"""Signatures on checksum files and catalogues, by keys that the operator pinned: OpenPGP or plain."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files import SIGNED
from fetcher.parsers.signature_packets import split_signatures
from fetcher.transport.signed.plain_signatures import split_keys, verify_plain
from fetcher.transport.signed.proof import Proof, Standing

if TYPE_CHECKING:
    import pysequoia  # an extra: not everybody has it

# Of several signatures that prove nothing, the one is reported that publisher or operator can correct.
_MOST_USEFUL_FIRST: tuple[Standing, ...] = ("good", "expired-key", "revoked-key", "invalid", "unknown-key")


def verify(text: bytes, keys: Sequence[str], signature: bytes | None = None) -> Proof | None:
    """Find out whether a text is signed by one of the pinned certificates.

    The finder of an old key may date a signature back, so a key that has
    expired or was revoked vouches for nothing, whenever it signed.

    Args:
        text: Clear-signed, or plain with its signature apart.
        keys: Files with certificates, or with plain public keys (PEM); one or several in each.
        signature: The file with the signatures, where that is apart; one good one is enough.

    Returns:
        What the best signature proves; None where there is none.

    Raises:
        ChecksumFileUnusable: A pinned certificate cannot be read.

    Source: RFC 9580. Other signed messages may hold compressed data, so only these two forms are read.
    """
    if signature is None and not text.startswith(SIGNED.encode()):
        return None
    if not keys:
        return Proof(standing="unknown-key")
    plain, keys = split_keys(keys)
    if signature is not None and (proof := verify_plain(text, plain, signature)) is not None:
        return proof
    if not keys:
        return Proof(standing="unknown-key")
    certificates = _read(keys)
    apart = [None] if signature is None else split_signatures(signature)
    best: Proof | None = None
    for one in apart:
        proof = _verify(text, certificates, one)
        if best is None or _MOST_USEFUL_FIRST.index(proof.standing) < _MOST_USEFUL_FIRST.index(best.standing):
            best = proof
        if best.standing == "good":
            break
    return best


def _read(keys: Sequence[str]) -> "list[pysequoia.Cert]":
    import pysequoia

    found: dict[str, pysequoia.Cert] = {}
    try:
        for key in keys:
            for one in pysequoia.Cert.split_bytes(Path(key).read_bytes()):
                # A renewed certificate may stand beside its older self.
                known = found.get(one.fingerprint)
                found[one.fingerprint] = one if known is None else known.merge(one)
    except (OSError, RuntimeError) as error:
        raise ChecksumFileUnusable(reason="the operator's keys cannot be read") from error
    return list(found.values())


def _verify(text: bytes, certificates: "list[pysequoia.Cert]", signature: bytes | None) -> Proof:
    import pysequoia

    named: list[str] = []

    def find(ids: list[str]) -> "list[pysequoia.Cert]":
        named.extend(ids)
        return certificates

    now = datetime.now(UTC)
    try:
        apart = None if signature is None else pysequoia.Sig.from_bytes(signature)
        result = pysequoia.verify(bytes=text, store=find, signature=apart)
    except RuntimeError:  # what sequoia says fills pages and is of use to nobody
        return Proof(standing=_failed_standing(named, certificates, now))
    standing: Standing = "invalid"
    for made in result.valid_sigs:
        signer = next(one for one in certificates if one.fingerprint == made.certificate)
        standing = _judge_key(signer, made.signing_key, now)
        if standing == "good" and result.bytes is not None:
            return Proof(standing="good", text=result.bytes, signer=made.certificate)
    return Proof(standing=standing)


def _failed_standing(named: Sequence[str], certificates: "list[pysequoia.Cert]", now: datetime) -> Standing:
    """Tell why no signature holds, by the keys that the signatures name."""
    for certificate in certificates:
        for key, _ in _components(certificate):
            if any(key.endswith(one) or key.startswith(one) for one in named):  # A fingerprint or a key ID.
                standing = _judge_key(certificate, key, now)
                return "invalid" if standing == "good" else standing
    return "unknown-key"


def _judge_key(certificate: "pysequoia.Cert", key: str, now: datetime) -> Standing:
    """Tell whether a key may vouch for anything today: neither its certificate nor itself has ended."""
    from pysequoia.packet import SignatureType

    try:
        is_revoked, expiration = certificate.is_revoked, certificate.expiration
    except RuntimeError:  # Made by means that count no more, such as SHA-1.
        return "invalid"
    if is_revoked:
        return "revoked-key"
    if expiration is not None and expiration <= now:
        return "expired-key"
    for fingerprint, packets in _components(certificate):
        if fingerprint != key:
            continue
        if any(packet.signature_type == SignatureType.SubkeyRevocation for packet in packets):
            return "revoked-key"
        bindings = [one for one in packets if one.signature_type == SignatureType.SubkeyBinding]
        newest = max(
            bindings, key=lambda one: one.signature_created or datetime.min.replace(tzinfo=UTC), default=None
        )
        created = packets[0].key_created or now
        if newest is not None and newest.key_validity_period and created + newest.key_validity_period <= now:
            return "expired-key"
    return "good"


def _components(certificate: "pysequoia.Cert") -> "Iterator[tuple[str, list[pysequoia.packet.Packet]]]":
    """Go through a certificate's keys, each with its own packet and what follows until the next key."""
    from pysequoia.packet import PacketPile

    packets: list[pysequoia.packet.Packet] = []
    for packet in PacketPile.from_bytes(bytes(certificate)):
        if packet.fingerprint is not None and packets:
            yield packets[0].fingerprint or "", packets
            packets = []
        packets.append(packet)
    if packets:
        yield packets[0].fingerprint or "", packets
