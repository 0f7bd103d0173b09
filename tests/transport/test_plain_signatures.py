"""Signatures by plain public keys, as cosign and openssl make them: on checksum files, for publishers."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import ChecksumFileUnusable
from fetcher.transport.signed.plain_signatures import read_key, verify_plain
from fetcher.transport.signed.signatures import verify
from tests.images import raw
from tests.lab.behaviours import serve
from tests.lab.origin import Origin
from tests.lab.settings import lab_settings
from tests.service import Running
from tests.transport.test_sums import CLEAR, DETACHED, DIGEST, FILE, Signer, fetch

P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
SIGNERS = {
    "p256": (P256, lambda text: P256.sign(text, ec.ECDSA(SHA256()))),
    "p384": (P384, lambda text: P384.sign(text, ec.ECDSA(SHA384()))),
    "ed25519": (ED, ED.sign),
}


def pem_of(key: object) -> bytes:
    """The public half, as `cosign public-key` prints it."""
    public = key.public_key()  # type: ignore[attr-defined] # both kinds of key have one
    return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def pinned(folder: Path, key: object = P256, name: str = "cosign.pub") -> str:
    """A file with a key that the operator trusts."""
    (folder / name).write_bytes(pem_of(key))
    return str(folder / name)


def signed(text: bytes = FILE, kind: str = "p256") -> bytes:
    """What `cosign sign-blob --key` writes."""
    return base64.b64encode(SIGNERS[kind][1](text))


@pytest.mark.parametrize("kind", SIGNERS)
def test_a_pinned_key_vouches_for_the_text(tmp_path: Path, kind: str) -> None:
    """Each kind of key; the proof names the key by its digest, and any other byte proves nothing."""
    key = pinned(tmp_path, SIGNERS[kind][0])
    proof = verify(FILE, [key], signed(kind=kind) + b"\n")
    assert proof is not None
    assert (proof.standing, proof.text, (proof.signer or "")[:7]) == ("good", FILE, "sha256:")
    for text, signature in ((FILE + b"x", signed(kind=kind)), (FILE, signed(b"other", kind))):
        other = verify(text, [key], signature)
        assert other is not None
        assert other.standing == "unknown-key"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_what_openssl_signs_holds(tmp_path: Path) -> None:
    """Another tool makes the key and the signature, by the commands in the documents."""

    def openssl(*words: str) -> bytes:
        return subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True).stdout

    (tmp_path / "SUMS").write_bytes(FILE)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    openssl("ec", "-in", "key.pem", "-pubout", "-out", "key.pub")
    made = base64.b64encode(openssl("dgst", "-sha256", "-sign", "key.pem", "SUMS"))
    proof = verify(FILE, [str(tmp_path / "key.pub")], made)
    assert proof is not None
    assert proof.standing == "good"


def test_plain_keys_and_certificates_stand_side_by_side(tmp_path: Path) -> None:
    """Each kind of signature is judged by its own kind of key."""
    friend = Signer(tmp_path, "friend")
    keys = [pinned(tmp_path), str(friend.file)]
    for text, apart, signer in (
        (FILE, friend.sign(FILE, DETACHED), friend.fingerprint),
        (friend.sign(FILE, CLEAR), None, friend.fingerprint),
        (FILE, signed(), "sha256:"),
    ):
        proof = verify(text, keys, apart)
        assert proof is not None
        assert proof.standing == "good"
        assert (proof.signer or "").startswith(signer)
    for apart in (friend.sign(FILE, DETACHED), None):
        proof = verify(friend.sign(FILE, CLEAR), keys[:1], apart)
        assert proof is not None
        assert proof.standing == "unknown-key"


def test_every_key_of_a_file_counts(tmp_path: Path) -> None:
    """A publisher's next key stands behind the one that it replaces; certificates have their own file."""
    file = tmp_path / "keys.pem"
    file.write_bytes(pem_of(ED) + b"the next one:\n" + pem_of(P256))
    for kind in ("ed25519", "p256"):
        proof = verify(FILE, [str(file)], signed(kind=kind))
        assert proof is not None
        assert proof.standing == "good"
    file.write_bytes(pem_of(ED) + pem_of(ec.generate_private_key(ec.SECP256K1())))
    with pytest.raises(ChecksumFileUnusable, match="neither ECDSA"):
        verify(FILE, [str(file)], signed(kind="ed25519"))
    file.write_bytes(pem_of(ED) + b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    with pytest.raises(ChecksumFileUnusable, match="a file of their own"):
        verify(FILE, [str(file)], signed(kind="ed25519"))


def test_a_weak_or_broken_key_stops_everything(tmp_path: Path) -> None:
    """RSA, other curves and private keys do not count, and are not passed over in silence."""
    weak = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())]
    for key in weak:
        with pytest.raises(ChecksumFileUnusable, match="neither ECDSA"):
            read_key(pem_of(key))
    for text in (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b""):
        with pytest.raises(ChecksumFileUnusable):
            read_key(text)
    private = P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ChecksumFileUnusable):
        read_key(private)
    with pytest.raises(ChecksumFileUnusable):
        verify(FILE, [str(tmp_path / "none")], signed())


@given(st.binary(max_size=200))
def test_k08_no_other_bytes_are_a_signature(made: bytes) -> None:
    """Whatever stands in the file of the signature is judged without a fault of ours."""
    keys = [read_key(pem_of(P256))]
    for signature in (made, base64.b64encode(made)):
        proof = verify_plain(FILE, keys, signature)
        assert proof is None or proof.standing == "unknown-key"


async def test_a_checksum_file_is_signed_with_cosign(tmp_path: Path) -> None:
    """The digest is `signed-sums`; a stranger's signature is refused."""
    stranger = base64.b64encode(ec.generate_private_key(ec.SECP256R1()).sign(FILE, ec.ECDSA(SHA256())))
    routes = {"/plain": serve(FILE), "/sig": serve(signed()), "/bad": serve(stranger)}
    async with Origin(routes) as origin:
        settings = lab_settings(origin, sums={"keys": [pinned(tmp_path)], "require_signature": True})
        sums = await fetch(origin, settings, "/plain", "/sig")
        assert (sums.verified_by, sums.digest.value, sums.signature) == ("signed-sums", DIGEST, "good")
        for path in ("/bad", "/plain"):
            with pytest.raises(ChecksumFileUnusable):
                await fetch(origin, settings, "/plain", path)


async def test_a_publisher_may_have_to_sign_with_cosign(tmp_path: Path) -> None:
    """The policy of a host takes its pinned key; import, provenance and attestation say who signed."""
    import hashlib

    disk = raw(3000)
    sums = f"{hashlib.sha256(disk).hexdigest()}  disk.img\n".encode()
    routes = {"/disk.img": serve(disk), "/SHA256SUMS": serve(sums), "/SHA256SUMS.sig": serve(signed(sums))}
    async with Origin(routes) as origin:
        rule = {"name": "lab", "hosts": [origin.host], "keys": [pinned(tmp_path)]}
        async with Running(tmp_path, origin, publisher={"rules": [rule]}) as service:
            fields = {"url": origin.url("/disk.img"), "disk_format": "raw"}
            status, refused, _ = await service.call("POST", "/imports", json=fields)
            assert (status, refused["code"]) == (400, "signature-required")
            fields |= {"checksum_url": origin.url("/SHA256SUMS")}
            ended = await service.run(**fields, checksum_signature_url=origin.url("/SHA256SUMS.sig"))
            assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-sums"), ended
            story = await service.get(f"/imports/{ended['id']}/provenance")
            assert story["sums_signature"] == "good"
            assert "sha256:" in str(story)
            assert (await service.run(**fields))["verdict"]["code"] == "checksum-file-unusable"
