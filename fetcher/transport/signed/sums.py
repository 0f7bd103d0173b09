"""Fetching a checksum file: through the same gate, small, and with its signature where there is one.

A sigstore bundle stands in for one: it lists the digests that it proves.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import ChecksumFileUnusable
from fetcher.guards.request.checksum_file import check_size
from fetcher.guards.request.publishers import in_force, rule_of
from fetcher.model import Digest, Hop
from fetcher.parsers.checksum_files import ACCEPTED, Listing, choose, decode, known, read_listing
from fetcher.settings.guards.publishers import PublisherRule
from fetcher.transport.gate import Gate
from fetcher.transport.request import SourceRequest
from fetcher.transport.signed.proof import Proof, Standing
from fetcher.transport.signed.signatures import verify
from fetcher.transport.signed.sigstore_bundles import is_bundle, verify_bundle

Vouching = Literal["signed-sums", "sigstore"]


class SumsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The digest that is wanted, and the file that is said to have it.

    Args:
        file: For the checksum file.
        name: Of the image, as the file would list it.
        path: Of the image's URL, unquoted, where folders may distinguish files of one name.
        signature: For the file's signature, where that is apart.
        sources: The URLs of the image, whose publisher may have to sign.
    """

    file: SourceRequest
    name: str
    path: str = ""
    signature: SourceRequest | None = None
    sources: tuple[str, ...] = ()


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """A checksum file's entry for one image.

    Args:
        digest: The strongest it gives.
        verified_by: `signed-sums` where a pinned certificate vouches for it, `sigstore` where a pinned
            identity does, else `sums`.
        signer: That certificate's fingerprint, or that identity.
        signature: What the signature on it is worth; None where it has none.
    """

    digest: Digest
    verified_by: Literal["sums", "signed-sums", "sigstore"]
    signer: str | None = None
    signature: Standing | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A checksum file that has been read; which of its entries is the image's may not be known yet.

    Args:
        listing: All that it lists.
        signer: The certificate's fingerprint that vouches for it.
        signature: What the signature on it is worth; None where it has none.
        accepted: The algorithms that count.
        vouching: What a digest of it is verified by, where it is signed.
    """

    listing: Listing
    signer: str | None
    signature: Standing | None
    accepted: tuple[str, ...]
    vouching: Vouching = "signed-sums"

    @property
    def algorithms(self) -> frozenset[str]:
        """Return those that the image's digest may turn out to be of."""
        return frozenset(entry.algorithm for entry in self.listing.entries) & set(self.accepted)

    def known(self, name: str) -> Sums | None:
        """Find what it says under the very name that was submitted; None where other names have to be tried.

        Raises:
            ChecksumFileUnusable: No name could help, or the file contradicts itself.
        """
        digest = known(self.listing, name, self.accepted)
        return None if digest is None else self._sums(digest)

    def choose(self, names: Sequence[str]) -> Sums:
        """Find what it says of an image of several names, best first.

        Raises:
            ChecksumFileUnusable: Nothing, or nothing clear.
        """
        return self._sums(choose(self.listing, names, self.accepted))

    def _sums(self, digest: Digest) -> Sums:
        return Sums(
            digest=digest,
            verified_by=self.vouching if self.signer else "sums",
            signer=self.signer,
            signature=self.signature,
        )


async def fetch_sums(
    gate: Gate, wanted: SumsRequest, settings: Settings, on_hop: Callable[[Hop], None]
) -> Sums:
    """Fetch a checksum file and find the digest that it gives for the submitted name alone.

    Raises:
        Failure: As from `fetch_listed`; ChecksumFileUnusable where it has no digest for the name.
    """
    return (await fetch_listed(gate, wanted, settings, on_hop)).choose([wanted.path or wanted.name])


async def fetch_listed(
    gate: Gate, wanted: SumsRequest, settings: Settings, on_hop: Callable[[Hop], None]
) -> Listed:
    """Fetch a checksum file and read all that it lists.

    Args:
        gate: The way to the network.
        wanted: Which file.
        settings: For its size, its time and the keys that count.
        on_hop: Called once for each request.

    Raises:
        Failure: As from `Gate.open` and `Source.read`; ChecksumFileUnusable
            where the file is too large, too slow, not signed as it must be,
            or is no checksum file.
    """
    rule = rule_of(wanted.sources, settings)
    settings = in_force(wanted.sources, settings)
    called = [wanted.file.text]

    def note(hop: Hop) -> None:
        called.append(hop.url)
        on_hop(hop)

    text, apart = await _fetch_both(gate, wanted, settings, note)
    if is_bundle(text):
        return await asyncio.to_thread(_read_bundle, text, rule, _accepted(settings))
    proof = verify(text, settings.sums.keys, apart)
    if apart is not None and not _holds(proof):
        # Two files cannot be replaced at once: perhaps one is of before and one of after.
        text, apart = await _fetch_both(gate, wanted, settings, note)
        proof = verify(text, settings.sums.keys, apart)
    if not _holds(proof) and (apart is not None or settings.sums.require_signature):
        raise _refusal(proof)
    signed = proof.text if proof is not None and _holds(proof) else text
    names = dict.fromkeys(unquote(urlsplit(url).path.rpartition("/")[2]) for url in called)
    text_of = decode(signed, max_bytes=settings.sums.max_bytes)
    listing = read_listing(text_of, file_names=tuple(names), max_lines=settings.sums.max_lines)
    return Listed(
        listing=listing,
        signer=proof.signer if proof else None,
        signature=proof.standing if proof else None,
        accepted=_accepted(settings),
    )


def _accepted(settings: Settings) -> tuple[str, ...]:
    return tuple(one for one in settings.checksum.accepted if one in ACCEPTED)


def _read_bundle(text: bytes, rule: PublisherRule | None, accepted: tuple[str, ...]) -> Listed:
    """Return what a sigstore bundle proves, by the identities that the operator pinned for the source.

    Raises:
        ChecksumFileUnusable: It proves nothing, or nobody is pinned.
    """
    proven = verify_bundle(text, rule.identities if rule else (), rule.trusted_root if rule else "")
    listing = Listing(entries=proven.entries)
    return Listed(
        listing=listing, signer=proven.signer, signature="good", accepted=accepted, vouching="sigstore"
    )


def _holds(proof: Proof | None) -> bool:
    return proof is not None and proof.standing == "good"


def _refusal(proof: Proof | None) -> ChecksumFileUnusable:
    """Return the failure where a signature is required and none holds."""
    if proof is not None and proof.standing == "expired-key":
        return ChecksumFileUnusable(reason="the key that signed it has expired", kind="expired-key")
    if proof is not None and proof.standing == "revoked-key":
        return ChecksumFileUnusable(reason="the key that signed it was revoked", kind="revoked-key")
    reason = "no signature on it is by a key that the operator trusts"
    return ChecksumFileUnusable(reason=reason, kind="unsigned")


async def _fetch_both(
    gate: Gate, wanted: SumsRequest, settings: Settings, on_hop: Callable[[Hop], None]
) -> tuple[bytes, bytes | None]:
    text = await fetch_small(gate, wanted.file, settings, on_hop)
    if wanted.signature is None:
        return text, None
    return text, await fetch_small(gate, wanted.signature, settings, on_hop)


async def fetch_small(
    gate: Gate, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]
) -> bytes:
    """Fetch a small file whole.

    Raises:
        Failure: As from `Gate.open` and `Source.read`; ChecksumFileUnusable
            where the file is too large or too slow.
    """
    rules = settings.sums
    held = bytearray()
    try:
        async with asyncio.timeout(rules.total_seconds), gate.open(request, settings, on_hop) as source:
            check_size(source.declared_bytes or 0, settings)
            while chunk := await source.read():
                held += chunk
                check_size(len(held), settings)
    except TimeoutError as error:
        reason = f"it did not arrive within {rules.total_seconds:g} seconds"
        raise ChecksumFileUnusable(reason=reason) from error
    return bytes(held)
