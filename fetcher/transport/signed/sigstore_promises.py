"""Signatures by an identity as cosign keeps them beside an image before its version 3: promised to a log.

The log's entry has a signed timestamp, which is its promise to take the entry in, and no proof that it
did. Everything else is judged as of any bundle, by the same library.

Source: sigstore, "Client Specification"; sigstore/cosign, specs/SIGNATURE_SPEC.md.
"""

import base64
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import structlog

from fetcher.errors import ChecksumFileUnusable
from fetcher.settings.identities import Identity
from fetcher.transport.signed.sigstore_bundles import IdentityPolicy, check_log_key, read_root

# The model wants one; nothing reads it.
NO_PROOF = {"logIndex": "0", "rootHash": "", "treeSize": "1", "hashes": [], "checkpoint": {"envelope": ""}}

log = structlog.get_logger()


def verify_promised(text: bytes, identities: Sequence[Identity], trusted_root: str) -> str:
    """Return who signed the digest that a bundle without an inclusion proof names; blocks for milliseconds.

    Certificate, its entry in the certificate log, the transparency log's promise, the time of signing,
    the identity and the signature all have to hold.

    Args:
        text: As `promised_bundle` makes it.
        identities: Who may have signed.
        trusted_root: The operator's file.

    Raises:
        ChecksumFileUnusable: It proves nothing.
    """
    root = read_root(trusted_root)
    try:
        return _verify(text, identities, root)
    except ChecksumFileUnusable:
        raise
    except Exception as error:
        # The library says what is wrong with a hostile file in whichever exception its parts happen to raise.
        log.info("promise.refused", error=repr(error)[:500])
        reason = "certificate, promise of the log and signature do not fit together"
        raise ChecksumFileUnusable(reason=reason, kind="unsigned") from error


def _verify(text: bytes, identities: Sequence[Identity], root: Any) -> str:
    from cryptography.x509 import load_der_x509_certificate
    from sigstore.hashes import Hashed
    from sigstore.models import Bundle, TransparencyLogEntry
    from sigstore.verify import Verifier
    from sigstore_models.bundle.v1 import Bundle as Inner
    from sigstore_models.common.v1 import HashAlgorithm

    class PromisedEntry(TransparencyLogEntry):
        """An entry of which the promise is verified, and nothing else there is."""

        def _validate(self) -> None:
            if not self._inner.inclusion_promise or not self._inner.integrated_time:
                raise ChecksumFileUnusable(reason="its log promises nothing", kind="unsigned")

        def _verify(self, keyring: Any) -> None:
            self._verify_set(keyring)

    document = json.loads(text)
    for entry in document["verificationMaterial"]["tlogEntries"]:
        entry["inclusionProof"] = NO_PROOF
    inner = Inner.from_json(json.dumps(document))
    assert inner.verification_material.x509_certificate_chain is not None
    held = inner.verification_material.x509_certificate_chain.certificates[0].raw_bytes
    (logged,) = inner.verification_material.tlog_entries
    # What the verifier reads of a bundle; the library's own refuses an entry without a proof.
    bundle = SimpleNamespace(
        signing_certificate=load_der_x509_certificate(held),
        log_entry=PromisedEntry(logged),
        verification_material=SimpleNamespace(timestamp_verification_data=None),
        _inner=inner,
    )
    check_log_key(cast(Bundle, bundle), root)
    digest = base64.b64decode(document["messageSignature"]["messageDigest"]["digest"], validate=True)
    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
    policy = IdentityPolicy(identities)
    Verifier(trusted_root=root).verify_artifact(hashed, cast(Bundle, bundle), policy)
    return policy.signer
