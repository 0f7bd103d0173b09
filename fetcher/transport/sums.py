"""Fetching a checksum file: through the same gate, small, and with its signature where there is one."""

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from fetcher.config import Settings
from fetcher.errors import ChecksumFileUnusable
from fetcher.guards.request.checksum_file import check_size
from fetcher.model import Digest, Hop
from fetcher.parsers.sums import ALGORITHMS, parse_sums
from fetcher.transport.gate import Gate
from fetcher.transport.request import SourceRequest
from fetcher.transport.signatures import verify


class SumsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which digest is wanted, and where it is said to be.

    Args:
        file: For the checksum file.
        name: Of the image, as the file would list it.
        signature: For the file's signature, where that is apart.
    """

    file: SourceRequest
    name: str
    signature: SourceRequest | None = None


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a checksum file says of one image.

    Args:
        digest: The strongest it gives.
        verified_by: `signed-sums` where a pinned certificate vouches for it, else `sums`.
        signer: That certificate's fingerprint.
    """

    digest: Digest
    verified_by: Literal["sums", "signed-sums"]
    signer: str | None = None


async def fetch_sums(
    gate: Gate, wanted: SumsRequest, settings: Settings, on_hop: Callable[[Hop], None]
) -> Sums:
    """Fetch a checksum file and find the digest that it gives for a name.

    Args:
        gate: The way to the network.
        wanted: Which file and which name.
        settings: For its size, its time and the keys that count.
        on_hop: Called once for each request.

    Raises:
        Failure: As from `Gate.open` and `Source.read`; ChecksumFileUnusable
            where the file is too large, too slow, not signed as it must be,
            or has no digest for the name.
    """
    text, apart = await _fetch_both(gate, wanted, settings, on_hop)
    proof = verify(text, settings.sums.keys, apart)
    if proof is None and apart is not None:
        # Two files cannot be replaced at once: perhaps one is of before and one of after.
        text, apart = await _fetch_both(gate, wanted, settings, on_hop)
        proof = verify(text, settings.sums.keys, apart)
    if proof is None and (apart is not None or settings.sums.require_signature):
        raise ChecksumFileUnusable(reason="no signature on it is by a key that the operator trusts")
    signed, signer = proof or (text, None)
    digest = parse_sums(
        # File names need not be UTF-8; what is not stays as it is and equals no name of a URL.
        signed.decode("utf-8", "surrogateescape"),
        wanted.name,
        accepted=[accepted for accepted in settings.checksum.accepted if accepted in ALGORITHMS.values()],
        max_lines=settings.sums.max_lines,
    )
    return Sums(digest=digest, verified_by="signed-sums" if signer else "sums", signer=signer)


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
