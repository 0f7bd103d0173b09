"""Sigstore bundles, against an authority and logs of the test's own: what holds, and every forgery of it."""

import base64
import copy
import hashlib
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
from fetcher.settings.identities import Identity, unusable_identities
from fetcher.transport.signed.sigstore_bundles import (
    MAX_BYTES,
    STATEMENT,
    ProvenDigests,
    is_bundle,
    read_subjects,
    verify_bundle,
)
from tests.lab.sigstore import ISSUER, SIGN, SUBJECT, Sigstore, b64, new_key, sign

LAB, STRANGER = Sigstore(), Sigstore()
IMAGE = b"the bytes of an image"
SHA256 = hashlib.sha256(IMAGE).hexdigest()
OTHER = hashlib.sha256(b"other bytes").hexdigest()
WANTED = [Identity(subject=SUBJECT, issuer=ISSUER)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The operator's trusted root."""
    return LAB.root(tmp_path_factory.mktemp("sigstore"))


def judged(bundle: Any, root: str, identities: list[Identity] = WANTED) -> ProvenDigests:
    """What a bundle proves."""
    return verify_bundle(json.dumps(bundle).encode(), identities, root)


def entry_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """The entry of the log."""
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def test_a_signed_digest_is_proven(root: str) -> None:
    """The digest alone, by whom, and nothing of its name."""
    proven = judged(LAB.bundle(IMAGE), root)
    assert proven.holds(SHA256)
    assert not proven.holds(OTHER)
    assert proven.signer == f"{SUBJECT} ({ISSUER})"
    assert [entry.name for entry in proven.entries] == [None]


def test_a_statement_proves_its_subjects(root: str) -> None:
    """With their names where there are several; one alone can be about nothing else."""
    one = judged(LAB.statement({"disk.qcow2": SHA256}), root)
    assert [(entry.value, entry.name) for entry in one.entries] == [(SHA256, None)]
    two = judged(LAB.statement({"a": SHA256, "b": OTHER}), root)
    assert [(entry.value, entry.name) for entry in two.entries] == [(SHA256, "a"), (OTHER, "b")]


def test_nothing_is_asked(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification opens no connection and looks up no name: the trusted root is a file."""

    def refuse(*_words: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert judged(LAB.bundle(IMAGE), root).holds(SHA256)


def test_one_of_several_identities_is_enough(root: str) -> None:
    """And the proof names that one."""
    others = [Identity(subject="mail@lab.example", issuer="https://accounts.example"), *WANTED]
    assert judged(LAB.bundle(IMAGE), root, others).signer == f"{SUBJECT} ({ISSUER})"


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    """Remove a part of the log's entry."""

    def forge(bundle: dict[str, Any]) -> None:
        found = entry_of(bundle)
        for name in path[:-1]:
            found = found[name]
        del found[path[-1]]

    return forge


def put(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    """Replace a part of the bundle."""

    def forge(bundle: dict[str, Any]) -> None:
        found: Any = bundle
        for name in path[:-1]:
            found = found[0] if name == "0" else found[name]
        found[path[-1]] = value

    return forge


def swap_digest(bundle: dict[str, Any]) -> None:
    """Say that the signature is over another image."""
    bundle["messageSignature"]["messageDigest"]["digest"] = b64(bytes.fromhex(OTHER))


def swap_all_digests(bundle: dict[str, Any]) -> None:
    """Say so in the log's entry as well."""
    swap_digest(bundle)
    entry = entry_of(bundle)
    body = json.loads(base64.b64decode(entry["canonicalizedBody"]))
    body["spec"]["data"]["hash"]["value"] = OTHER
    entry["canonicalizedBody"] = b64(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def other_key(bundle: dict[str, Any]) -> None:
    """Sign with a key that the certificate does not name."""
    bundle["messageSignature"]["signature"] = b64(sign(new_key(), IMAGE))


def other_entry(bundle: dict[str, Any]) -> None:
    """Show the entry of another signature by the same identity."""
    bundle["verificationMaterial"]["tlogEntries"] = LAB.bundle(b"other bytes")["verificationMaterial"][
        "tlogEntries"
    ]


def other_certificate(bundle: dict[str, Any]) -> None:
    """Show another certificate of the same identity."""
    bundle["verificationMaterial"]["certificate"] = LAB.bundle(IMAGE)["verificationMaterial"]["certificate"]


def two_entries(bundle: dict[str, Any]) -> None:
    """Show an entry twice."""
    bundle["verificationMaterial"]["tlogEntries"] *= 2


def other_root_hash(bundle: dict[str, Any]) -> None:
    """Show a proof for a tree that the log never signed."""
    entry = entry_of(bundle)
    entry["inclusionProof"]["rootHash"] = b64(bytes(32))


def other_tree(bundle: dict[str, Any]) -> None:
    """Show a checkpoint that somebody else signed."""
    mine, theirs = entry_of(bundle), entry_of(STRANGER.bundle(IMAGE))
    mine["inclusionProof"]["checkpoint"] = theirs["inclusionProof"]["checkpoint"]


def later(bundle: dict[str, Any]) -> None:
    """Date the entry to another time than the one that was promised."""
    entry = entry_of(bundle)
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)


AFTER = LAB.now + timedelta(hours=1)
FORGED: dict[str, Callable[[], dict[str, Any]]] = {
    "another subject": lambda: LAB.bundle(IMAGE, subject=f"{SUBJECT}x"),
    "a subject that begins alike": lambda: LAB.bundle(IMAGE, subject=SUBJECT[:-1]),
    "another issuer": lambda: LAB.bundle(IMAGE, issuer="https://issuer.evil.example"),
    "an authority of a stranger": lambda: LAB.bundle(IMAGE, ca=new_key()),
    "all by a stranger": lambda: STRANGER.bundle(IMAGE),
    "no certificate log": lambda: LAB.bundle(IMAGE, without_sct=True),
    "another certificate log": lambda: LAB.bundle(IMAGE, ctlog=new_key()),
    "another transparency log": lambda: LAB.bundle(IMAGE, rekor=STRANGER.rekor),
    "signed after the certificate's time": lambda: LAB.bundle(IMAGE, at=AFTER),
    "signed before the certificate's time": lambda: LAB.bundle(IMAGE, at=LAB.now - timedelta(hours=1)),
    "no certificate for signing": lambda: LAB.bundle(IMAGE, usage=ExtendedKeyUsageOID.SERVER_AUTH),
    "a statement of a flaw": lambda: LAB.statement(
        {"x": SHA256}, "https://cosign.sigstore.dev/attestation/vuln/v1"
    ),
    "a statement about nothing": lambda: LAB.statement({}),
    "a statement by somebody else": lambda: LAB.statement({"x": SHA256}, subject="https://evil.example"),
}
CHANGED: dict[str, Callable[[dict[str, Any]], None]] = {
    "another digest": swap_digest,
    "another digest everywhere": swap_all_digests,
    "another key": other_key,
    "the entry of another blob": other_entry,
    "another certificate": other_certificate,
    "two entries": two_entries,
    "another root hash": other_root_hash,
    "a checkpoint of another log": other_tree,
    "a time that nobody promised": later,
    "no inclusion proof": drop("inclusionProof"),
    "no checkpoint": drop("inclusionProof", "checkpoint"),
    "no promise and no timestamp": drop("inclusionPromise"),
    "no time": drop("integratedTime"),
    "no log": drop("logId"),
    "no digest": put(None, "messageSignature", "messageDigest"),
    "a short digest": put(b64(b"x"), "messageSignature", "messageDigest", "digest"),
    "another algorithm": put("SHA2_512", "messageSignature", "messageDigest", "algorithm"),
    "no signature": put(None, "messageSignature"),
    "an empty signature": put("", "messageSignature", "signature"),
    "no certificate": put(None, "verificationMaterial", "certificate"),
    "no entry": put([], "verificationMaterial", "tlogEntries"),
    "another kind of bundle": put("application/vnd.dev.sigstore.bundle+json;version=9", "mediaType"),
    "a huge index": put(str(2**63), "verificationMaterial", "tlogEntries", "0", "logIndex"),
    "a negative size": put("-1", "verificationMaterial", "tlogEntries", "0", "inclusionProof", "treeSize"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_k09_a_forged_bundle_proves_nothing(root: str, forgery: str) -> None:
    """Whoever signed otherwise, at another time, or with other logs."""
    with pytest.raises(ChecksumFileUnusable) as caught:
        judged(FORGED[forgery](), root)
    assert caught.value.kind == "unsigned"


@pytest.mark.parametrize("change", CHANGED)
def test_k10_a_changed_bundle_proves_nothing(root: str, change: str) -> None:
    """Each part is bound to all others; what was changed afterwards holds no more."""
    bundle = copy.deepcopy(LAB.bundle(IMAGE))
    CHANGED[change](bundle)
    with pytest.raises(ChecksumFileUnusable):
        judged(bundle, root)


def test_an_expired_certificate_holds_for_what_it_signed_in_time(tmp_path: Path) -> None:
    """The log's time counts, not today's: certificates live for minutes, bundles for years."""
    then = LAB.now - timedelta(days=200)
    bundle = LAB.bundle(IMAGE, begins=then - timedelta(minutes=1), at=then)
    assert judged(bundle, LAB.root(tmp_path)).holds(SHA256)


def test_a_retired_log_key_vouches_for_nothing_later(tmp_path: Path) -> None:
    """A log's key that leaks after its time signs no new entries."""
    retired = LAB.root(tmp_path, rekor_until=LAB.now - timedelta(days=1))
    with pytest.raises(ChecksumFileUnusable, match="when the log's key was not valid"):
        judged(LAB.bundle(IMAGE), retired)
    before = LAB.now - timedelta(days=2)
    assert judged(LAB.bundle(IMAGE, begins=before, at=before), retired).holds(SHA256)


def test_a_bundle_needs_an_identity_and_a_root(tmp_path: Path, root: str) -> None:
    """Without them nobody could say who must have signed."""
    text = json.dumps(LAB.bundle(IMAGE)).encode()
    with pytest.raises(ChecksumFileUnusable, match="names no identity"):
        verify_bundle(text, [], root)
    broken = tmp_path / "root.json"
    broken.write_text("{}")
    for file in (str(broken), str(tmp_path / "none")):
        with pytest.raises(ChecksumFileUnusable, match="trusted root cannot be read"):
            verify_bundle(text, WANTED, file)
    with pytest.raises(ChecksumFileUnusable, match="larger than"):
        verify_bundle(text + b" " * MAX_BYTES, WANTED, root)


def test_what_is_no_bundle_is_read_as_a_checksum_file() -> None:
    """By its media type, whatever the file is called."""
    assert is_bundle(json.dumps(LAB.bundle(IMAGE)).encode())
    assert not is_bundle(b"{}")
    assert not is_bundle(f"{SHA256}  application/vnd.dev.sigstore.bundle".encode())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.binary(max_size=200))
def test_k11_no_other_text_is_a_bundle(root: str, text: bytes) -> None:
    """Whatever stands in the file is judged without a fault of ours; deep nesting, too."""
    for one in (text, b'{"mediaType":' + text, b"[" * 100_000):
        with pytest.raises(ChecksumFileUnusable):
            verify_bundle(one, WANTED, root)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"[" * 100_000, b'{"subject":5}', b'{"subject":[5,{"digest":5},{"digest":{"sha256":"x"}}]}'],
)
def test_a_statement_has_to_name_digests(payload: bytes) -> None:
    """Nothing in it is taken for a digest that is none."""
    told = payload.replace(b"{", b'{"predicateType":"%s",' % SIGN.encode(), 1)
    for kind, text in ((STATEMENT, told), ("text/plain", told)):
        with pytest.raises(ChecksumFileUnusable):
            read_subjects(kind, text)


def test_the_configuration_is_judged_at_once(tmp_path: Path) -> None:
    """Identities need a trusted root, that file has to be one, and it is of no use alone."""
    root = LAB.root(tmp_path)
    other = tmp_path / "other.json"
    other.write_text("[" * 100_000)
    keys = {
        name: [one.key for one in unusable_identities("p", *given)]
        for name, given in {
            "good": (WANTED, root),
            "none": ([], ""),
            "no root": (WANTED, ""),
            "no identity": ([], root),
            "not there": (WANTED, "/none.json"),
            "no root at all": (WANTED, str(other)),
        }.items()
    }
    assert keys == {
        "good": [],
        "none": [],
        "no root": ["p.trusted_root"],
        "no identity": ["p.identities"],
        "not there": ["p.trusted_root"],
        "no root at all": ["p.trusted_root"],
    }
