"""Signers of images in a registry: a bundle that refers to an image, or what cosign keeps beside it.

A signature is about a manifest's digest, which binds every byte below. Looked at only where the operator
pinned somebody for the registry; without one that holds, an image that has to be signed is refused.

Source: sigstore/cosign, specs/SIGNATURE_SPEC.md and BUNDLE_SPEC.md; OCI Distribution Specification 1.1.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence

from fetcher.config import Settings
from fetcher.errors import ChecksumFileUnusable, RegistryUnusable, SignatureRequired, SourceStatus
from fetcher.guards.request.publishers import in_force, rule_of
from fetcher.importer.schemes.oci_registry import Registry
from fetcher.model import Digest, Submission
from fetcher.parsers.oci_manifests import ACCEPT, MEDIA_TYPES, Descriptor, parse_manifest
from fetcher.parsers.oci_signatures import (
    BUNDLE_TYPE,
    bundles_in,
    is_about,
    promised_bundle,
    read_json,
    referrers_tag,
    signature_of,
    signature_tag,
)
from fetcher.settings.guards.publishers import PublisherRule
from fetcher.transport.signed.plain_signatures import Key, split_keys, verify_plain
from fetcher.transport.signed.sigstore_bundles import MAX_BYTES, verify_bundle
from fetcher.transport.signed.sigstore_promises import verify_promised

MAX_SIGNATURES = 16  # Looked at of one image, of each kind; whoever may push could leave any number.
_IMAGE, _INDEX = MEDIA_TYPES[1], MEDIA_TYPES[0]


def needs_signature(located: Submission, settings: Settings) -> bool:
    """Return whether an image of a registry is taken with a signature in that registry alone."""
    rule = rule_of([located.url], settings)
    return rule is not None and rule.required and located.checksum is None and located.checksum_url is None


async def find_signer(registry: Registry, manifests: Sequence[bytes]) -> str | None:
    """Return who signed one of these manifests; None where nobody did whom the operator pinned.

    Args:
        manifests: The one that was named first; each names the next by its digest.

    Raises:
        SignatureRequired: Nobody did, and the operator takes no other image of this registry.
        Failure: As from the gate.
    """
    asked = registry.asked
    rule = rule_of([asked.secrets.url], asked.settings)
    if rule is None:
        return None
    keys, _ = await asyncio.to_thread(split_keys, in_force([asked.secrets.url], asked.settings).sums.keys)
    for body in manifests:
        digest = Digest(algorithm="sha256", value=hashlib.sha256(body).hexdigest())
        if rule.identities and (signer := await _by_identity(registry, digest, rule)) is not None:
            return signer
        if keys and (signer := await _by_key(registry, digest, keys)) is not None:
            return signer
    if rule.required and asked.submission.checksum_url is None:
        raise SignatureRequired(publisher=rule.name)
    return None


async def _by_identity(registry: Registry, digest: Digest, rule: PublisherRule) -> str | None:
    async for text in _bundles(registry, digest):
        try:
            proven = await asyncio.to_thread(verify_bundle, text, rule.identities, rule.trusted_root)
        except ChecksumFileUnusable:
            continue  # Whoever may push may leave what proves nothing; another one may hold.
        if proven.holds(digest.value):
            return proven.signer
    async for layer, payload in _beside(registry, digest):
        promised = promised_bundle(layer, payload)
        if promised is None:
            continue
        try:
            return await asyncio.to_thread(verify_promised, promised, rule.identities, rule.trusted_root)
        except ChecksumFileUnusable:
            continue
    return None


async def _bundles(registry: Registry, digest: Digest) -> AsyncIterator[bytes]:
    """Go through the bundles that refer to a manifest."""
    listed = await _listed(registry, digest)
    for one in bundles_in(read_json(listed))[:MAX_SIGNATURES]:
        body = await _manifest(registry, str(one), _IMAGE)
        if body is None or hashlib.new(one.algorithm, body).hexdigest() != one.value:
            continue
        for layer in _layers(body):
            if layer.media_type.startswith(BUNDLE_TYPE):
                text = await _whole(registry, layer)
                if text is not None:
                    yield text


async def _listed(registry: Registry, digest: Digest) -> bytes:
    """Return the registry's list of referrers, or what stands in for it where it keeps none."""
    try:
        return await registry.referrers(str(digest), _INDEX)
    except SourceStatus as failure:
        if failure.is_retryable():
            raise
    return await _manifest(registry, referrers_tag(digest), _INDEX) or b""


async def _by_key(registry: Registry, digest: Digest, keys: Sequence[Key]) -> str | None:
    async for layer, payload in _beside(registry, digest):
        proof = verify_plain(payload, keys, signature_of(layer) or b"")
        if proof is not None and proof.standing == "good":
            return proof.signer
    return None


async def _beside(registry: Registry, digest: Digest) -> AsyncIterator[tuple[Descriptor, bytes]]:
    """Go through what cosign keeps under the tag beside a manifest, if it is about that manifest."""
    body = await _manifest(registry, signature_tag(digest), ACCEPT)
    for layer in _layers(body)[:MAX_SIGNATURES] if body is not None else ():
        payload = await _whole(registry, layer) if signature_of(layer) is not None else None
        if payload is not None and is_about(payload, digest):
            yield layer, payload


async def _manifest(registry: Registry, name: str, accept: str) -> bytes | None:
    try:
        return await registry.manifest(name, accept)
    except RegistryUnusable as failure:
        if failure.rule != "name":
            raise
        return None


def _layers(body: bytes) -> tuple[Descriptor, ...]:
    try:
        return parse_manifest(body).layers
    except RegistryUnusable:
        return ()


async def _whole(registry: Registry, layer: Descriptor) -> bytes | None:
    """Return a small blob; None where it is larger, or other bytes than its digest says."""
    if layer.size > MAX_BYTES:
        return None
    body = await registry.blob(layer, MAX_BYTES)
    digest = layer.digest
    return body if hashlib.new(digest.algorithm, body).hexdigest() == digest.value else None
