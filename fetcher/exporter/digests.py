"""Digests as header fields have them, and those of what a receiver gives back."""

import asyncio
import hashlib
from base64 import b64encode

from fetcher.errors import ReceiverMismatch, SourceTooSlow
from fetcher.exporter.reading import feed
from fetcher.exporter.senders.base import ReadBackRequest, SendJob
from fetcher.transport import no_hops


def as_base64(sha256: str) -> str:
    """Write a digest as services of buckets do."""
    return b64encode(bytes.fromhex(sha256)).decode()


def digest_field(sha256: str) -> str:
    """Write a digest as a field of HTTP.

    Source: RFC 9530 section 2.
    """
    return f"sha-256=:{as_base64(sha256)}:"


async def read_back(job: SendJob, wanted: ReadBackRequest) -> None:
    """Read what a receiver has, all of it; what it says of its digest is not asked.

    Raises:
        ReceiverMismatch: It has other bytes, or more or fewer of them.
        Failure: As from the gate.
    """
    seconds, digest, count = job.settings.exports.total_seconds, hashlib.sha256(), 0
    try:
        async with (
            asyncio.timeout(seconds),
            job.gate.open(wanted.request, job.settings, no_hops) as source,
        ):
            while chunk := await source.read():
                await feed(chunk, digest)
                count += len(chunk)
                if count > wanted.size:
                    raise _mismatch("the size", wanted.size, f"more than {wanted.size}")
    except TimeoutError as error:
        reason = f"its bytes did not come back within {seconds:g} seconds"
        raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error
    if count != wanted.size:
        raise _mismatch("the size", wanted.size, count)
    if digest.hexdigest() != wanted.sha256:
        raise _mismatch("the sha256", wanted.sha256, digest.hexdigest())


def _mismatch(what: str, expected: object, actual: object) -> ReceiverMismatch:
    return ReceiverMismatch(what=what, expected=str(expected), actual=str(actual))
