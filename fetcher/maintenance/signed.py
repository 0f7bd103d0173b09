"""Verification of what was signed: keys, statements, and the chain of the audit trail."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from fetcher.attest import KeyFolder, PublicKey, read_envelope
from fetcher.attest.folder import SIGNING
from fetcher.errors import AttestationInvalid, StoreFailed
from fetcher.index.protocol import Index
from fetcher.index.values import Signed

Kind = Literal["key-unusable", "attestation-invalid", "audit-broken"]


async def signed_findings(index: Index, keys: KeyFolder) -> AsyncIterator[tuple[Kind, str, str]]:
    """Find what proves nothing any more: its kind, its name, and why; nothing is made or changed.

    Raises:
        StoreFailed: The index cannot be read.
    """
    known: dict[str, PublicKey] = {}
    try:
        known = {key.key_id: key.public for key in await asyncio.to_thread(keys.known)}
        if await asyncio.to_thread((keys.path / SIGNING).exists):
            await asyncio.to_thread(keys.signing_key)
    except StoreFailed as failure:
        yield "key-unusable", str(keys.path.name), failure.reason
    after = ""
    while page := await index.attestations.page(after=after):
        for signed in page:
            why = await asyncio.to_thread(_fault, signed, known)
            if why:
                yield "attestation-invalid", signed.image_id, why
        after = page[-1].image_id
    for fault in (await index.audit.verify()).faults:
        yield "audit-broken", "audit", fault


def _fault(signed: Signed, known: dict[str, PublicKey]) -> str:
    """Return why a statement proves nothing; empty where it does."""
    key = known.get(signed.key_id)
    if key is None:
        return f"the public key {signed.key_id} is not in the store's folder"
    try:
        read_envelope(signed.envelope.encode()).open([key])
    except AttestationInvalid as failure:
        return failure.reason
    return ""
