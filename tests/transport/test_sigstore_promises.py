"""Keyless signatures of cosign before version 3: certificate, signature, and a log's promise."""

import base64
import json
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.errors import ChecksumFileUnusable
from fetcher.model import Digest
from fetcher.parsers.oci_manifests import Descriptor
from fetcher.parsers.oci_signatures import (
    CERTIFICATE,
    MAX_ANNOTATION,
    PROMISE,
    SIGNATURE,
    SIMPLE_SIGNING,
    promised_bundle,
)
from fetcher.settings.identities import Identity
from fetcher.transport.signed.sigstore_promises import verify_promised
from tests.lab.sigstore import ISSUER, SUBJECT, Sigstore, b64, new_key

LAB, STRANGER = Sigstore(), Sigstore()
WANTED = [Identity(subject=SUBJECT, issuer=ISSUER)]
PAYLOAD = b'{"critical":{}}'
Annotations = dict[str, str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The operator's file."""
    return LAB.root(tmp_path_factory.mktemp("root"))


def layer(annotations: Annotations, media_type: str = SIMPLE_SIGNING) -> Descriptor:
    """As a manifest has it."""
    digest = Digest(algorithm="sha256", value="0" * 64)
    return Descriptor(digest=digest, size=1, media_type=media_type, annotations=annotations)


def judged(annotations: Annotations, root: str, payload: bytes = PAYLOAD) -> str:
    """Return who signed it; a bundle that cannot even be made proves nothing, either."""
    bundle = promised_bundle(layer(annotations), payload)
    if bundle is None:
        raise ChecksumFileUnusable(reason="it is no bundle")
    return verify_promised(bundle, WANTED, root)


def changed(change: Callable[[dict[str, Any]], None]) -> Annotations:
    """A signature whose promise was changed after the log gave it."""
    annotations = LAB.annotations(PAYLOAD)
    promise = json.loads(annotations[PROMISE])
    change(promise)
    return annotations | {PROMISE: json.dumps(promise)}


def at(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Put a value into a promise."""

    def change(promise: dict[str, Any]) -> None:
        for name in path[:-1]:
            promise = promise[name]
        promise[path[-1]] = value

    return change


def test_what_holds_names_its_signer(root: str) -> None:
    """Also an old one: what counts is the time that the log signed."""
    assert judged(LAB.annotations(PAYLOAD), root) == f"{SUBJECT} ({ISSUER})"
    before = LAB.now - timedelta(days=100)
    assert judged(LAB.annotations(PAYLOAD, begins=before, at=before), root)


def test_nothing_is_asked(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification opens no connection and looks up no name: the trusted root is a file."""

    def refuse(*_words: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert judged(LAB.annotations(PAYLOAD), root) == f"{SUBJECT} ({ISSUER})"


HOSTILE: dict[str, Callable[[], Annotations]] = {
    "another identity": lambda: LAB.annotations(PAYLOAD, subject="https://evil.example"),
    "another issuer": lambda: LAB.annotations(PAYLOAD, issuer="https://evil.example"),
    "an identity with more behind it": lambda: LAB.annotations(PAYLOAD, subject=SUBJECT + ".evil.example"),
    "another authority": lambda: LAB.annotations(PAYLOAD, ca=new_key()),
    "a stranger's everything": lambda: STRANGER.annotations(PAYLOAD),
    "another log of certificates": lambda: LAB.annotations(PAYLOAD, ctlog=new_key()),
    "in no log of certificates": lambda: LAB.annotations(PAYLOAD, without_sct=True),
    "a certificate for servers": lambda: LAB.annotations(PAYLOAD, usage=ExtendedKeyUsageOID.SERVER_AUTH),
    "another transparency log": lambda: LAB.annotations(PAYLOAD, rekor=new_key()),
    "signed before the certificate": lambda: LAB.annotations(PAYLOAD, at=LAB.now - timedelta(minutes=5)),
    "signed after the certificate": lambda: LAB.annotations(PAYLOAD, at=LAB.now + timedelta(hours=1)),
    "about another payload": lambda: LAB.annotations(b"another"),
    "logged for another payload": lambda: LAB.annotations(PAYLOAD, logged=b"another"),
    "another's promise": lambda: LAB.annotations(PAYLOAD) | {PROMISE: LAB.annotations(PAYLOAD)[PROMISE]},
    "another's certificate": lambda: (
        LAB.annotations(PAYLOAD) | {CERTIFICATE: LAB.annotations(PAYLOAD)[CERTIFICATE]}
    ),
    "another's signature": lambda: (
        LAB.annotations(PAYLOAD) | {SIGNATURE: LAB.annotations(PAYLOAD)[SIGNATURE]}
    ),
    "a moved time": lambda: changed(at("Payload", "integratedTime", value=int(LAB.now.timestamp()) + 1)),
    "no time": lambda: changed(at("Payload", "integratedTime", value=0)),
    "a time that is true": lambda: changed(at("Payload", "integratedTime", value=True)),
    "a moved place": lambda: changed(at("Payload", "logIndex", value=2)),
    "a negative place": lambda: changed(at("Payload", "logIndex", value=-1)),
    "no log": lambda: changed(at("Payload", "logID", value="")),
    "another body": lambda: changed(at("Payload", "body", value=b64(b"{}"))),
    "no promise": lambda: changed(at("SignedEntryTimestamp", value="")),
    "a promise that is none": lambda: changed(at("SignedEntryTimestamp", value=b64(b"x" * 70))),
    "a promise of no text": lambda: changed(at("SignedEntryTimestamp", value=["x"])),
    "no payload": lambda: changed(at("Payload", value=[])),
    "without a promise": lambda: {k: v for k, v in LAB.annotations(PAYLOAD).items() if k != PROMISE},
    "without a certificate": lambda: {k: v for k, v in LAB.annotations(PAYLOAD).items() if k != CERTIFICATE},
    "the authority's certificate": lambda: (
        LAB.annotations(PAYLOAD) | {CERTIFICATE: LAB.annotations(PAYLOAD)["dev.sigstore.cosign/chain"]}
    ),
    "two certificates": lambda: (
        LAB.annotations(PAYLOAD) | {CERTIFICATE: LAB.annotations(PAYLOAD)[CERTIFICATE] * 2}
    ),
    "a deep promise": lambda: LAB.annotations(PAYLOAD) | {PROMISE: "[" * 50_000},
    "an endless promise": lambda: LAB.annotations(PAYLOAD) | {PROMISE: " " * MAX_ANNOTATION + "{}"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_k14_what_does_not_fit_together_proves_nothing(name: str, root: str) -> None:
    """Exchanged, moved, left out, of somebody else."""
    with pytest.raises(ChecksumFileUnusable):
        judged(HOSTILE[name](), root)


def test_k14_a_log_key_that_was_retired_promises_nothing(tmp_path: Path) -> None:
    """Earlier promises hold; and another payload or another kind of layer is not looked at."""
    retired = LAB.root(tmp_path, rekor_until=LAB.now - timedelta(days=1))
    with pytest.raises(ChecksumFileUnusable, match="when the log's key was not valid"):
        judged(LAB.annotations(PAYLOAD), retired)
    before = LAB.now - timedelta(days=2)
    assert judged(LAB.annotations(PAYLOAD, begins=before, at=before), retired)
    with pytest.raises(ChecksumFileUnusable):
        judged(LAB.annotations(PAYLOAD), LAB.root(tmp_path), b"other")
    assert promised_bundle(layer(LAB.annotations(PAYLOAD), "text/plain"), PAYLOAD) is None
    with pytest.raises(ChecksumFileUnusable, match="trusted root cannot be read"):
        judged(LAB.annotations(PAYLOAD), str(tmp_path / "none"))


def test_k14_the_proof_of_another_entry_is_no_promise(root: str) -> None:
    """A bundle with an inclusion proof in place of the promise is not taken on this way."""
    made = promised_bundle(layer(LAB.annotations(PAYLOAD)), PAYLOAD)
    assert made is not None
    document = json.loads(made)
    entry = document["verificationMaterial"]["tlogEntries"][0]
    del entry["inclusionPromise"]
    for entries in ([entry], [], [entry, entry]):
        document["verificationMaterial"]["tlogEntries"] = entries
        with pytest.raises(ChecksumFileUnusable):
            verify_promised(json.dumps(document).encode(), WANTED, root)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from([PROMISE, CERTIFICATE, SIGNATURE]),
    text=st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode())),
)
def test_k11_any_text_in_place_of_a_part_proves_nothing(root: str, name: str, text: str) -> None:
    """Nor does it break anything."""
    with pytest.raises(ChecksumFileUnusable):
        judged(GOOD | {name: text}, root)


GOOD = LAB.annotations(PAYLOAD)
