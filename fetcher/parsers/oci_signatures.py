"""Signatures in registries, as cosign keeps them: a tag beside the image, and referrers of OCI 1.1."""

import base64
import binascii
import json
from typing import Any

from fetcher.model import Digest
from fetcher.parsers.oci_manifests import Descriptor, parse_digest

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"
SIGNATURE = "dev.cosignproject.cosign/signature"
_KIND = "cosign container image signature"


def signature_tag(digest: Digest) -> str:
    """Return the tag that cosign keeps signatures under.

    Source: sigstore/cosign, specs/SIGNATURE_SPEC.md ("Tag-based discovery").
    """
    return f"{digest.algorithm}-{digest.value}.sig"


def referrers_tag(digest: Digest) -> str:
    """Return the tag that stands in for a registry's list of referrers.

    Source: OCI Distribution Specification 1.1, "Referrers Tag Schema".
    """
    return f"{digest.algorithm}-{digest.value[:64]}"


def bundles_in(document: object) -> list[Digest]:
    """Return the manifests in a list of referrers that hold a bundle, or may."""
    listed = document.get("manifests") if isinstance(document, dict) else None
    found = []
    for one in listed if isinstance(listed, list) else ():
        kind = one.get("artifactType") if isinstance(one, dict) else ""
        digest = parse_digest(one.get("digest")) if isinstance(one, dict) else None
        # What stands in for the list may leave the type out.
        if digest is not None and (not kind or str(kind).startswith(BUNDLE_TYPE)):
            found.append(digest)
    return found


def is_about(payload: bytes, digest: Digest) -> bool:
    """Return whether what was signed is this very manifest.

    Source: containers/image, "containers-signature(5)", the JSON data format.
    """
    document = read_json(payload)
    critical = document.get("critical") if isinstance(document, dict) else None
    if not isinstance(critical, dict) or critical.get("type") != _KIND:
        return False
    named = critical.get("image")
    return isinstance(named, dict) and named.get("docker-manifest-digest") == str(digest)


def signature_of(layer: Descriptor) -> bytes | None:
    """Return the signature that a layer's annotation holds; None where it is no signed payload."""
    text = layer.annotations.get(SIGNATURE, "")
    if layer.media_type != SIMPLE_SIGNING or not text.isascii():
        return None
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return text.encode() or None


def read_json(body: bytes) -> Any:
    """Read JSON; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
