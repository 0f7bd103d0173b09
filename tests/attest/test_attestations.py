"""Signed statements on images: made for every image, and checked by anybody, also by other people's tools."""

import asyncio
import base64
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from fetcher.attest import KeyFolder
from tests.api.image_v2.cloud import Cloud
from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

DISK = raw(9000)


def standard_key(pem: str) -> Any:
    """Read a key as in-toto's own tools do."""
    return SSlibKey.from_crypto(load_pem_public_key(pem.encode()))


def by_standard_tools(envelope: dict[str, Any], pem: str) -> dict[str, Any]:
    """Verify an envelope with securesystemslib; the statement comes back."""
    opened = Envelope.from_dict(json.loads(json.dumps(envelope)))
    key = standard_key(pem)
    # Key ids are hints that differ from tool to tool: verification matches on them, so both get the same.
    key.keyid = envelope["signatures"][0]["keyid"]
    opened.verify([key], 1)
    return dict(json.loads(opened.payload))


async def attested(service: Running, origin: Origin, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Import, and fetch the attestation from beside the image."""
    made = await service.submit(url=origin.url("/disk?sig=secret"), **fields)
    ended = await service.ended(made["id"])
    assert ended["state"] == "succeeded", ended
    text = await service.get(f"/v2/images/{made['image_id']}/attestation")
    return ended, text


async def test_standard_tools_verify_what_an_import_made(tmp_path: Path) -> None:
    """The envelope holds, and its statement names the kept bytes, their source and their judges."""
    promised = f"sha256:{hashlib.sha256(DISK).hexdigest()}"
    async with Origin({"/disk": behaviours.serve(DISK)}) as origin, Running(tmp_path, origin) as service:
        ended, envelope = await attested(service, origin, checksum=promised)
        [key] = (await service.get("/keys"))["keys"]
        own = await service.get(f"/imports/{ended['id']}/attestation")
    assert own == envelope
    statement = by_standard_tools(envelope, key["pem"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    [subject] = statement["subject"]
    assert subject["name"] == ended["image_id"]
    assert subject["digest"] == {
        "sha256": hashlib.sha256(DISK).hexdigest(),
        "sha512": hashlib.sha512(DISK).hexdigest(),
    }
    definition = statement["predicate"]["buildDefinition"]
    [received] = definition["resolvedDependencies"]
    assert received["digest"]["sha256"] == hashlib.sha256(DISK).hexdigest()
    assert received["annotations"]["verified_by"] == "submitter"
    assert "secret" not in base64.b64decode(envelope["payload"]).decode()
    assert received["uri"] == f"{origin.url('/disk')}?sig=REDACTED"
    assert "size" in definition["internalParameters"]["guards"]
    assert definition["internalParameters"]["limits"]["max_bytes"] > 0
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"] == ended["id"]


async def test_a_changed_envelope_is_refused_by_standard_tools(tmp_path: Path) -> None:
    """One other byte in the payload, or another key, and the signature is worth nothing."""
    async with Origin({"/disk": behaviours.serve(DISK)}) as origin, Running(tmp_path, origin) as service:
        _ended, envelope = await attested(service, origin)
        [key] = (await service.get("/keys"))["keys"]
    payload = base64.b64decode(envelope["payload"]).replace(b"glance-fetcher", b"glance-forger!")
    forged = {**envelope, "payload": base64.b64encode(payload).decode()}
    with pytest.raises(VerificationError):
        by_standard_tools(forged, key["pem"])
    other = KeyFolder(tmp_path / "others").rotate()
    with pytest.raises(VerificationError):
        by_standard_tools(envelope, other.pem)


async def test_materials_are_what_was_received_and_subject_what_is_kept(tmp_path: Path) -> None:
    """A converted image's statement has both digests, and the conversion between them."""
    disk = qcow2(1 << 20)
    async with Origin({"/disk": behaviours.serve(disk)}) as origin, Running(tmp_path, origin) as service:
        ended, envelope = await attested(service, origin, disk_format="qcow2", convert_to="raw")
    statement = json.loads(base64.b64decode(envelope["payload"]))
    definition = statement["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0]["digest"]["sha256"] == hashlib.sha256(disk).hexdigest()
    assert statement["subject"][0]["digest"]["sha256"] == ended["digests"]["sha256"]
    assert ended["digests"]["sha256"] != hashlib.sha256(disk).hexdigest()
    assert "converted" in definition["internalParameters"]["stages"]


async def test_sent_bytes_are_attested_too(tmp_path: Path) -> None:
    """An upload has its statement, too; a queued image has none, and a stranger sees none."""
    async with Cloud(tmp_path) as cloud:
        image = await cloud.make_active(DISK)
        envelope = await cloud.want(200, "alice", "GET", f"/images/{image['id']}/attestation")
        statement = json.loads(base64.b64decode(envelope["payload"]))
        assert statement["subject"][0]["digest"]["sha512"] == image["os_hash_value"]
        assert statement["predicate"]["buildDefinition"]["externalParameters"]["method"] == "upload"
        await cloud.want(404, "bob", "GET", f"/images/{image['id']}/attestation")
        queued = await cloud.make()
        fault = await cloud.want(404, "alice", "GET", f"/images/{queued['id']}/attestation")
        assert fault["error"]["type"] == "attestation-missing"
        await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}")
        await cloud.want(404, "alice", "GET", f"/images/{image['id']}/attestation")
        status, _document, _headers = await cloud.call("GET", "/keys")
        assert status == 200  # Without a token: whoever checks needs none.


async def test_it_is_signed_without_being_asked_for(tmp_path: Path) -> None:
    """The background signs each image soon after it became active."""
    async with Origin({"/disk": behaviours.serve(DISK)}) as origin, Running(tmp_path, origin) as service:
        made = await service.submit(url=origin.url("/disk"))
        await service.ended(made["id"])
        index = service.service.app.state.services.index
        async with asyncio.timeout(30):
            while (signed := await index.attestations.find(made["image_id"])) is None:
                await asyncio.sleep(0)  # Yields to the service, whose turn it is.
        assert json.loads(signed.envelope) == await service.get(f"/v2/images/{made['image_id']}/attestation")


async def test_a_rotated_key_signs_and_the_old_one_still_verifies(tmp_path: Path) -> None:
    """After a rotation beside a running server both keys are served; each image names its own."""
    async with Origin({"/disk": behaviours.serve(DISK)}) as origin, Running(tmp_path, origin) as service:
        _ended, first = await attested(service, origin)
        folder = KeyFolder.of(service.data)
        private = (folder.path / "signing.pem").read_bytes()
        made = await asyncio.to_thread(folder.rotate)
        _ended, second = await attested(service, origin)
        keys = (await service.get("/keys"))["keys"]
        status, pem, headers = await service.call("GET", "/keys/current")
        assert (status, pem, headers["content-type"]) == (200, made.pem, "application/x-pem-file")
        assert (await service.call("GET", f"/keys/{keys[1]['key_id']}"))[1] == keys[1]["pem"]
        assert (await service.call("GET", "/keys/unknown"))[0] == 404
    assert [key["key_id"] for key in keys] == [made.key_id, first["signatures"][0]["keyid"]]
    assert [key["retired_at"] is None for key in keys] == [True, False]
    by_standard_tools(first, keys[1]["pem"])
    by_standard_tools(second, keys[0]["pem"])
    assert private not in [file.read_bytes() for file in folder.path.iterdir()]


async def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The first start makes the key with mode 0600; one that others can read signs nothing."""
    async with Origin({"/disk": behaviours.serve(DISK)}) as origin, Running(tmp_path, origin) as service:
        await attested(service, origin)
        folder = service.data / "keys"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
        (folder / "signing.pem").chmod(0o644)
        status, problem, _headers = await service.call("GET", "/keys")
        assert (status, problem["code"]) == (503, "store-failed")


SIGN = """#!/usr/bin/env python3
import base64, sys
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open({key!r}, "rb").read(), None)
print(base64.b64encode(key.sign(sys.stdin.buffer.read(), ECDSA(SHA256()))).decode())
"""


def kms(folder: Path, body: str | None = None) -> dict[str, Any]:
    """Make a key and a command that signs with it, as the section that names them."""
    import sys

    key = generate_private_key(SECP256R1())
    private, public, command = folder / "kms.pem", folder / "kms.pub", folder / "sign.py"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    command.write_text(SIGN.format(key=str(private)) if body is None else body)
    return {"sign_command": [sys.executable, str(command)], "sign_public_key": str(public)}


async def test_a_command_of_the_operators_signs_in_place_of_the_key(tmp_path: Path) -> None:
    """With a key service, no private key lies in the store, and standard tools verify its signatures."""
    async with (
        Origin({"/disk": behaviours.serve(DISK)}) as origin,
        Running(tmp_path, origin, attestation=kms(tmp_path)) as service,
    ):
        _ended, envelope = await attested(service, origin)
        [key] = (await service.get("/keys"))["keys"]
        assert key["algorithm"] == "ecdsa-p256-sha256"
        assert not (service.data / "keys" / "signing.pem").exists()
    by_standard_tools(envelope, key["pem"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("print('no base64!')", "no base64"),
        ("print('AAAA')", "another key"),
        ("import signal; signal.pause()", "longer than"),
    ],
    ids=["fails", "prints-words", "signs-with-another-key", "hangs"],
)
async def test_a_command_that_does_not_sign_keeps_no_image_from_being_made(
    tmp_path: Path, body: str, reason: str
) -> None:
    """The import succeeds; its attestation is unavailable until the command works, and says so."""
    section = kms(tmp_path, body) | {"sign_seconds": 2.0}
    async with (
        Origin({"/disk": behaviours.serve(DISK)}) as origin,
        Running(tmp_path, origin, attestation=section) as service,
    ):
        made = await service.submit(url=origin.url("/disk"))
        assert (await service.ended(made["id"]))["state"] == "succeeded"
        status, problem, headers = await service.call("GET", f"/imports/{made['id']}/attestation")
        assert (status, problem["code"]) == (503, "attestation-unavailable")
        assert reason in problem["detail"]
        assert int(headers["retry-after"]) > 0
