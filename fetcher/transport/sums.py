"""Fetching a checksum file: through the same gate, and small."""

import asyncio
from collections.abc import Callable

from fetcher.config import Settings
from fetcher.errors import ChecksumFileUnusable
from fetcher.guards.sums import parse_sums
from fetcher.model import Digest, Hop
from fetcher.transport.gate import Gate
from fetcher.transport.request import SourceRequest


async def fetch_sums(
    gate: Gate, request: SourceRequest, name: str, settings: Settings, on_hop: Callable[[Hop], None]
) -> Digest:
    """Fetch a checksum file and find the digest that it gives for a name.

    Args:
        gate: The way to the network.
        request: For the checksum file.
        name: Of the image, as the file would list it.
        settings: For its size and time.
        on_hop: Called once for each request.

    Raises:
        Failure: As from `Gate.open` and `Source.read`; ChecksumFileUnusable
            where the file is too large, too slow or of no use.
    """
    text = await fetch_text(gate, request, settings, on_hop)
    accepted = [name for name in settings.checksum.accepted if name in {"sha256", "sha384", "sha512"}]
    return parse_sums(text, name, accepted=accepted, max_lines=settings.sums.max_lines)


async def fetch_text(
    gate: Gate, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]
) -> str:
    """Fetch a small file.

    Raises:
        Failure: As from `Gate.open` and `Source.read`; ChecksumFileUnusable
            where the file is too large or too slow.
    """
    rules = settings.sums
    try:
        async with asyncio.timeout(rules.total_seconds), gate.open(request, settings, on_hop) as source:
            held = bytearray()
            too_large = ChecksumFileUnusable(reason=f"it is larger than {rules.max_bytes:,} bytes")
            if (source.declared_bytes or 0) > rules.max_bytes:
                raise too_large
            while chunk := await source.read():
                held += chunk
                if len(held) > rules.max_bytes:
                    raise too_large
    except TimeoutError as error:
        reason = f"it did not arrive within {rules.total_seconds:g} seconds"
        raise ChecksumFileUnusable(reason=reason) from error
    # File names need not be UTF-8; what is not stays as it is and equals no name of a URL.
    return held.decode("utf-8", "surrogateescape")
