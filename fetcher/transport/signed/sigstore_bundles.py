"""Sigstore bundles: which digests an identity signed, as a transparency log has it.

bundle = JSON( mediaType, material( certificate, log entry, timestamps ), messageSignature | dsseEnvelope )

Nothing is asked: authorities and logs are those of the operator's trusted root, which is a file.

Source: sigstore/protobuf-specs, "sigstore_bundle.proto"; sigstore, "Client Specification".
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import structlog

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files.values import Entry
from fetcher.settings.identities import Identity

if TYPE_CHECKING:
    from sigstore.models import Bundle, TrustedRoot  # an extra: not everybody has it

MEDIA_TYPE = b"application/vnd.dev.sigstore.bundle"
STATEMENT = "application/vnd.in-toto+json"
# Statements that say "this is ours": the same identity may sign others, such as that an image has a flaw.
PREDICATES = (
    "https://sigstore.dev/cosign/sign/v1",
    "https://slsa.dev/provenance/v1",
    "https://slsa.dev/provenance/v0.2",
)
MAX_BYTES = 1_048_576  # A bundle has some 10 KB; one with a large statement may have a few hundred.
MAX_SUBJECTS = 10_000
_HEX = frozenset("0123456789abcdef")

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ProvenDigests:
    """The digests that a bundle proves.

    Args:
        entries: With the names that a statement gives them; a signature alone names nothing.
        signer: The identity that signed.
    """

    entries: tuple[Entry, ...]
    signer: str

    def holds(self, sha256: str) -> bool:
        """Return whether it proves this digest."""
        return any(entry.value == sha256 for entry in self.entries)


def is_bundle(text: bytes) -> bool:
    """Return whether a text is meant as a bundle."""
    return text.lstrip()[:1] == b"{" and MEDIA_TYPE in text


def verify_bundle(text: bytes, identities: Sequence[Identity], trusted_root: str) -> ProvenDigests:
    """Return what a bundle proves; blocks for some milliseconds.

    Certificate, its entry in the certificate log, the entry in the transparency log with proof and
    checkpoint, the time of signing, the identity and the signature all have to hold.

    Args:
        identities: Who may have signed; none of them proves nothing.
        trusted_root: The operator's file.

    Raises:
        ChecksumFileUnusable: It proves nothing.
    """
    if not identities:
        raise ChecksumFileUnusable(
            reason="it is a sigstore bundle, and the operator names no identity for this source",
            kind="unsigned",
        )
    if len(text) > MAX_BYTES:
        raise ChecksumFileUnusable(reason=f"as a sigstore bundle it is larger than {MAX_BYTES:,} bytes")
    root = read_root(trusted_root)
    try:
        return _verify(text, identities, root)
    except ChecksumFileUnusable:
        raise
    except Exception as error:
        # The library says what is wrong with a hostile file in whichever exception its parts happen to raise.
        log.info("bundle.refused", error=repr(error)[:500])
        raise ChecksumFileUnusable(
            reason="its sigstore bundle does not hold: certificate, log and signature do not fit together",
            kind="unsigned",
        ) from error


def read_root(file: str) -> "TrustedRoot":
    """Read the operator's trusted root.

    Raises:
        ChecksumFileUnusable: It cannot be read.
    """
    from sigstore.models import TrustedRoot

    try:
        return TrustedRoot.from_file(file)
    except Exception as error:  # Whatever its parser raises, the operator has to look at the file.
        log.warning("trusted_root.unusable", file=file, error=repr(error)[:500])
        reason = "the operator's trusted root cannot be read"
        raise ChecksumFileUnusable(reason=reason, kind="unsigned") from error


def _verify(text: bytes, identities: Sequence[Identity], root: "TrustedRoot") -> ProvenDigests:
    from sigstore.hashes import Hashed
    from sigstore.models import Bundle
    from sigstore.verify import Verifier
    from sigstore_models.common.v1 import HashAlgorithm

    bundle = Bundle.from_json(text)
    document = json.loads(text)
    policy = IdentityPolicy(identities)
    verifier = Verifier(trusted_root=root)
    check_log_key(bundle, root)
    if document.get("dsseEnvelope") is not None:
        kind, payload = verifier.verify_dsse(bundle, policy)
        entries = read_subjects(kind, payload)
    else:
        digest = _claimed(document)
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
        verifier.verify_artifact(hashed, bundle, policy)
        entries = (Entry(algorithm="sha256", value=digest.hex()),)
    return ProvenDigests(entries=entries, signer=policy.signer)


def _claimed(document: dict[str, Any]) -> bytes:
    """Return the digest that the signature is said to be over; the signature is verified with it."""
    stated = cast("dict[str, Any]", document["messageSignature"]["messageDigest"])
    digest = base64.b64decode(stated["digest"], validate=True)
    if stated["algorithm"] != "SHA2_256" or len(digest) != 32:
        raise ChecksumFileUnusable(reason="its sigstore bundle is over no SHA-256 digest", kind="unsigned")
    return digest


def read_subjects(kind: str, payload: bytes) -> tuple[Entry, ...]:
    """Return what a signed statement is about.

    Raises:
        ChecksumFileUnusable: It is no in-toto statement of a signature or of provenance with SHA-256.

    Source: in-toto Attestation Framework, "Statement".
    """
    try:
        found = json.loads(payload) if kind == STATEMENT else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("predicateType") not in PREDICATES:
        found = {}
    subjects = found.get("subject")
    entries = []
    for subject in subjects[:MAX_SUBJECTS] if isinstance(subjects, list) else ():
        digests = subject.get("digest") if isinstance(subject, dict) else None
        value = digests.get("sha256") if isinstance(digests, dict) else None
        if isinstance(value, str) and len(value) == 64 and set(value) <= _HEX:
            name = subject.get("name")
            entries.append(Entry(algorithm="sha256", value=value, name=name if isinstance(name, str) else ""))
    if len(entries) == 1:  # It can be about nothing else, whatever the file is called here.
        entries = [Entry(algorithm="sha256", value=entries[0].value)]
    if not entries:
        reason = "its sigstore bundle holds no signature or provenance of a SHA-256 digest"
        raise ChecksumFileUnusable(reason=reason, kind="unsigned")
    return tuple(entries)


def check_log_key(bundle: "Bundle", root: "TrustedRoot") -> None:
    """Refuse an entry that a log's key signed after its time; the library takes retired keys at any time.

    Raises:
        ChecksumFileUnusable: The trusted root retired the key before, or has no such log.
    """
    inner = bundle.log_entry._inner  # noqa: SLF001 - the library tells it nowhere else
    logs = [one for one in root._inner.tlogs if one.log_id.key_id == inner.log_id.key_id]  # noqa: SLF001 - likewise
    if not logs:
        raise ChecksumFileUnusable(
            reason="its sigstore bundle is in a log that the operator's trusted root does not have",
            kind="unsigned",
        )
    if (
        not inner.integrated_time
    ):  # Its time is that of a signed timestamp, whose authority has a period, too.
        return
    at = datetime.fromtimestamp(inner.integrated_time, tz=UTC)
    for one in logs:
        period = one.public_key.valid_for
        if period is None or (period.start <= at and (period.end is None or at <= period.end)):
            return
    raise ChecksumFileUnusable(
        reason="its sigstore bundle was logged when the log's key was not valid", kind="unsigned"
    )


class IdentityPolicy:
    """The library's policy: one of the operator's identities, word for word."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities = identities
        self.signer = ""

    def verify(self, cert: Any) -> None:
        """Note whose certificate it is.

        Raises:
            ChecksumFileUnusable: It is somebody else's.
        """
        from sigstore.errors import VerificationError
        from sigstore.verify.policy import Identity as Wanted

        for one in self._identities:
            try:
                Wanted(identity=one.subject, issuer=one.issuer).verify(cert)
            except VerificationError:
                continue
            self.signer = f"{one.subject} ({one.issuer})"
            return
        raise ChecksumFileUnusable(
            reason="its sigstore bundle was signed by an identity that the operator does not name",
            kind="unsigned",
        )
