"""Signatures in registries, as cosign keeps them: a tag beside the image, and referrers of OCI 1.1."""

import base64
import binascii
import hashlib
import json
import re
from typing import Any

from fetcher.model import Digest
from fetcher.parsers.oci_manifests import Descriptor, parse_digest

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"
SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
PROMISE = "dev.sigstore.cosign/bundle"
MAX_ANNOTATION = 65_536  # A certificate and a log's promise have some 3 KB each.
BUNDLE_0_1 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
_KEY_ID = re.compile(r"[0-9a-f]{64}")
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
    if layer.media_type != SIMPLE_SIGNING or not _is_base64(text):
        return None
    return text.encode()


def promised_bundle(layer: Descriptor, payload: bytes) -> bytes | None:
    """Return a layer's signature, certificate and log entry as one bundle; None where it has not all of them.

    The entry has the log's promise to take it in (a signed timestamp) and no proof that it did: that is
    what cosign keeps beside an image before its version 3.

    Source: sigstore/cosign, specs/SIGNATURE_SPEC.md ("Properties"); sigstore/protobuf-specs, bundle 0.1.
    """
    signature, promise = signature_of(layer), read_json(_annotation(layer, PROMISE))
    pem = _PEM.fullmatch(_annotation(layer, CERTIFICATE))
    entry = promise.get("Payload") if isinstance(promise, dict) else None
    if signature is None or pem is None or not isinstance(entry, dict):
        return None
    texts = [promise.get("SignedEntryTimestamp"), entry.get("body"), "".join(pem[1].split())]
    numbers = [entry.get("integratedTime"), entry.get("logIndex")]
    key_id = entry.get("logID")
    if not all(_is_base64(one) for one in texts) or not all(_is_count(one) for one in numbers):
        return None
    if not isinstance(key_id, str) or _KEY_ID.fullmatch(key_id) is None:
        return None
    logged = {
        "logIndex": str(numbers[1]),
        "logId": {"keyId": base64.b64encode(bytes.fromhex(key_id)).decode()},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
        "integratedTime": str(numbers[0]),
        "inclusionPromise": {"signedEntryTimestamp": texts[0]},
        "canonicalizedBody": texts[1],
    }
    digest = base64.b64encode(hashlib.sha256(payload).digest()).decode()
    document = {
        "mediaType": BUNDLE_0_1,
        "verificationMaterial": {
            "x509CertificateChain": {"certificates": [{"rawBytes": texts[2]}]},
            "tlogEntries": [logged],
        },
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
            "signature": signature.decode(),
        },
    }
    return json.dumps(document).encode()


def _annotation(layer: Descriptor, name: str) -> str:
    text = layer.annotations.get(name, "")
    return text if len(text) <= MAX_ANNOTATION else ""


def _is_base64(text: object) -> bool:
    if not isinstance(text, str) or not text or not text.isascii():
        return False
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number + 1 < 2**53


def read_json(body: bytes | str) -> Any:
    """Read JSON; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
