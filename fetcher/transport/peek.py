"""A look at a source before anything is imported: through the same gate, and at the first bytes alone."""

import asyncio
from collections.abc import Callable

import msgspec

from fetcher.config import Settings
from fetcher.errors import SourceTooSlow
from fetcher.guards.request.redaction import redact_url
from fetcher.model import Hop
from fetcher.parsers.disposition import name_of_chain
from fetcher.transport.gate import Gate
from fetcher.transport.request import SourceRequest, is_strong
from fetcher.transport.source import Source

HEAD_BYTES = 65_536


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """The first bytes and the facts of a source.

    Args:
        url: Where the redirects end, redacted.
        hops: All requests that led there.
        declared_bytes: Of the whole, where the source says so.
        name: What the file is called, where anything says so.
        is_resumable: A broken download can go on where it ended.
        coding: The content coding that has to be undone, if any.
        headers: Those that describe the bytes.
        head: The first bytes, at most 64 KiB.
        is_whole: There are no more.
        length_verified: Its end can be distinguished from a broken connection.
        digests: What the source says the whole is.
    """

    url: str
    hops: tuple[Hop, ...]
    declared_bytes: int | None
    name: str | None
    is_resumable: bool
    coding: str | None
    headers: dict[str, str]
    head: bytes
    is_whole: bool
    length_verified: bool = True
    digests: dict[str, str] = {}


async def peek(gate: Gate, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]) -> Peek:
    """Ask as an import would, and hang up after the first bytes.

    Raises:
        Failure: As from `Gate.open` and `Source.read`; SourceTooSlow where the first bytes drip.
    """
    async with gate.open(request, settings, on_hop) as source:
        head, is_whole = await _read_head(source, settings.pace.idle_seconds)
        final = source.further.text
        return Peek(
            url=redact_url(final),
            hops=source.hops,
            declared_bytes=source.declared_bytes,
            name=name_of_chain(
                [request.text, *(hop.url for hop in source.hops)], source.headers.get("content-disposition")
            ),
            is_resumable=source.accepts_ranges and is_strong(source.etag),
            coding=source.undone,
            headers=source.headers,
            head=head[:HEAD_BYTES],
            is_whole=is_whole and len(head) <= HEAD_BYTES,
            length_verified=source.length_verified,
            digests=source.digests,
        )


async def _read_head(source: Source, seconds: float) -> tuple[bytes, bool]:
    head, is_whole = b"", False
    try:
        async with asyncio.timeout(seconds):
            while len(head) < HEAD_BYTES and not is_whole:
                chunk = await source.read()
                head += chunk
                is_whole = not chunk
    except TimeoutError as error:
        reason = f"its first bytes took longer than {seconds:g} seconds"
        raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error
    return head, is_whole
