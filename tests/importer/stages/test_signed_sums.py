"""Checksum files that somebody signed, from the submission to the image's story; every key is made here."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pysequoia
import pytest
from pysequoia import SignatureMode

from tests.images import raw
from tests.lab import Canary, Origin, behaviours
from tests.lab.behaviours import Behaviour, serve
from tests.service import Running

BODY = raw(60_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
SUMS = f"{'0' * 64} *other.img\n{SHA256} *disk.img\n".encode()
OTHER_SUMS = f"{'0' * 64} *disk.img\n".encode()
CLEAR, DETACHED, INLINE = SignatureMode.CLEAR, SignatureMode.DETACHED, SignatureMode.INLINE


class Publisher:
    """Somebody who signs; the operator pins the certificate, or does not."""

    def __init__(self, name: str) -> None:
        self.key = pysequoia.Tsk.generate(f"{name} <{name}@lab.example>")
        self.certificate = self.key.extract_certificate()

    def sign(self, text: bytes, mode: SignatureMode = DETACHED, *, armor: bool = True) -> bytes:
        return pysequoia.sign(self.key.signer(), text, mode=mode, armor=armor)


FRIEND, STRANGER, SECOND = Publisher("friend"), Publisher("stranger"), Publisher("second")


def pinned(folder: Path, *certificates: pysequoia.Cert, **more: Any) -> dict[str, Any]:
    """The operator's [sums], with a key ring of these."""
    ring = folder / "ring.pgp"
    ring.write_bytes(b"".join(bytes(certificate) for certificate in certificates))
    return {"sums": {"keys": [str(ring)], **more}}


def asked(origin: Origin, signature: str | None = "/d/SHA256SUMS.gpg") -> dict[str, Any]:
    """A submission with a checksum file, and its signature."""
    fields = {"url": origin.url("/d/disk.img"), "checksum_url": origin.url("/d/SHA256SUMS")}
    return fields if signature is None else fields | {"checksum_signature_url": origin.url(signature)}


APART = {
    "armored": FRIEND.sign(SUMS),
    "binary": FRIEND.sign(SUMS, armor=False),
    "beside a stranger's": STRANGER.sign(SUMS, armor=False) + FRIEND.sign(SUMS, armor=False),
    "by the second of the ring": SECOND.sign(SUMS),
}


@pytest.mark.parametrize("name", APART)
async def test_signature_apart_is_fetched_and_verified(name: str, tmp_path: Path) -> None:
    """The publisher whom the operator trusts vouches for the digest, and is named in the story."""
    routes = {
        "/d/disk.img": serve(BODY),
        "/d/SHA256SUMS": serve(SUMS),
        "/d/SHA256SUMS.gpg": serve(APART[name]),
    }
    rules = pinned(tmp_path, FRIEND.certificate, SECOND.certificate, require_signature=True)
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        fields = asked(origin, "/d/SHA256SUMS.gpg?key=hush")
        ended = await service.run(**fields, headers={"X-Token": "hush"})
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-sums")
        assert ended["submission"]["checksum_signature_url"].endswith("SHA256SUMS.gpg?key=REDACTED")
        story = await service.get(f"/imports/{ended['id']}/provenance")
        signer = SECOND if name == "by the second of the ring" else FRIEND
        assert story["sums"]["signer"] == signer.certificate.fingerprint
        assert [hop["url"].rpartition("/")[2] for hop in story["sums"]["hops"]] == [
            "SHA256SUMS",
            "SHA256SUMS.gpg?key=REDACTED",
        ]
        assert [request.header("X-Token") for request in origin.requests] == ["hush"] * 3
        assert "hush" not in str(story) + str(ended)


async def test_clear_signed_file_is_verified(tmp_path: Path) -> None:
    """As Fedora's CHECKSUM: text and signature in one file."""
    text = f"# disk.img: {len(BODY)} bytes\nSHA256 (disk.img) = {SHA256}\n".encode()
    routes = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS": serve(FRIEND.sign(text, CLEAR))}
    rules = pinned(tmp_path, FRIEND.certificate, require_signature=True)
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        ended = await service.run(**asked(origin, None))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-sums")
        origin.routes["/d/disk.img"] = serve(BODY[:-1] + b"x")
        ended = await service.run(**asked(origin, None))
        assert (ended["verdict"]["code"], ended["verdict"]["fields"]["source"]) == (
            "checksum-mismatch",
            "sums",
        )


def expired() -> tuple[Publisher, pysequoia.Cert]:
    """A publisher whose certificate has run out since."""
    publisher = Publisher("late")
    past = datetime.now(UTC) + timedelta(seconds=-1)
    return publisher, publisher.certificate.set_expiration(past, publisher.key.certifier())


def revoked() -> tuple[Publisher, pysequoia.Cert]:
    """A publisher who has taken the key back."""
    publisher = Publisher("gone")
    revocation = bytes(publisher.certificate.revoke(publisher.key.certifier()))
    return publisher, pysequoia.Cert.from_bytes(bytes(publisher.certificate) + revocation)


LATE, GONE = expired(), revoked()


async def ran_out_since(text: bytes) -> tuple[Publisher, pysequoia.Cert, bytes, bytes]:
    """A publisher who signed in good time, apart and clear, with a certificate that has run out since."""
    publisher = Publisher("former")
    apart, clear = publisher.sign(text), publisher.sign(text, CLEAR)
    end = datetime.now(UTC) + timedelta(seconds=1)
    certificate = publisher.certificate.set_expiration(end, publisher.key.certifier())
    while datetime.now(UTC) <= end:
        await asyncio.sleep(0.1)
    return publisher, certificate, apart, clear


async def test_key_that_has_expired_since_it_signed_vouches_for_nothing(tmp_path: Path) -> None:
    """Refused where a signature has to hold, with what to do; told where it does not; good once renewed."""
    publisher, certificate, apart, clear = await ran_out_since(SUMS)
    routes = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS": serve(SUMS), "/d/SHA256SUMS.gpg": serve(apart)}
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, **pinned(tmp_path, certificate)) as service,
    ):
        verdict = (await service.run(**asked(origin)))["verdict"]
        assert (verdict["code"], verdict["fields"]["kind"]) == ("checksum-file-unusable", "expired-key")
        assert "expired" in verdict["title"]
        assert "renewed" in verdict["advice"]
        assert "/d/disk.img" not in {request.path for request in origin.requests}
        origin.routes["/d/SHA256SUMS"] = serve(clear)
        ended = await service.run(**asked(origin, None))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "sums")
        assert ended["sums_signature"] == "expired-key"
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert (story["sums"]["signer"], story["sums"]["signature"]) == (None, "expired-key")
        renewed = certificate.set_expiration(datetime.now(UTC) + timedelta(days=1), publisher.key.certifier())
        pinned(tmp_path, certificate, renewed)
        ended = await service.run(**asked(origin, None))
        assert (ended["verified_by"], ended["sums_signature"]) == ("signed-sums", "good")


async def test_signature_that_no_trusted_key_made_is_told(tmp_path: Path) -> None:
    """In the import, in its provenance and on its page: the file counts, the signature on it does not."""
    clear = STRANGER.sign(SUMS, CLEAR)
    routes = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS": serve(clear)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        for rules in ({}, pinned(tmp_path, FRIEND.certificate)):
            service.write_config(**rules)
            service.service.reload()
            ended = await service.run(**asked(origin, None))
            assert (ended["verified_by"], ended["sums_signature"]) == ("sums", "unknown-key")
            story = await service.get(f"/imports/{ended['id']}/provenance")
            assert story["sums"]["signature"] == story["sums_signature"] == "unknown-key"
            _, page, _ = await service.call("GET", f"/page/imports/{ended['id']}")
            assert "signed by a key that is not trusted here" in page
        origin.routes["/d/SHA256SUMS"] = serve(SUMS)
        assert (await service.run(**asked(origin, None)))["sums_signature"] is None
        # Whoever brings a digest was not served by the checksum file, so nothing is told of it.
        ended = await service.run(url=origin.url("/d/disk.img"), checksum=f"sha256:{SHA256}")
        assert ended["sums_signature"] is None


WORTHLESS: dict[str, tuple[bytes, bytes]] = {
    "of a stranger": (SUMS, STRANGER.sign(SUMS)),
    "on another text": (SUMS, FRIEND.sign(OTHER_SUMS)),
    "with a blank added": (SUMS + b"\n", FRIEND.sign(SUMS)),
    "none": (SUMS, b""),
    "a page": (SUMS, b"<html>not found</html>"),
    "a signed message": (SUMS, FRIEND.sign(SUMS, INLINE)),
    "a clear-signed message": (SUMS, FRIEND.sign(SUMS, CLEAR)),
    "of a key that ran out": (SUMS, LATE[0].sign(SUMS)),
    "of a key taken back": (SUMS, GONE[0].sign(SUMS)),
    "larger than any": (SUMS, FRIEND.sign(SUMS) + b"\n" * 70_000),
    "the text itself signed": (FRIEND.sign(SUMS, CLEAR), STRANGER.sign(SUMS)),
}


@pytest.mark.parametrize("name", WORTHLESS)
async def test_signature_that_proves_nothing_ends_it_before_the_image(name: str, tmp_path: Path) -> None:
    """Whoever names a signature wants it to hold: without one that does, the image is not asked for."""
    text, signature = WORTHLESS[name]
    routes = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS": serve(text), "/d/SHA256SUMS.gpg": serve(signature)}
    rules = pinned(tmp_path, FRIEND.certificate, LATE[1], GONE[1])
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        ended = await service.run(**asked(origin))
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "checksum-file-unusable")
        assert "/d/disk.img" not in {request.path for request in origin.requests}
        assert service.traces() == []


async def test_two_files_that_were_just_replaced_are_asked_for_again(tmp_path: Path) -> None:
    """The checksum file of before and the signature of after do not fit; a moment later they do."""
    routes: dict[str, Behaviour] = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS.gpg": serve(FRIEND.sign(SUMS))}
    routes["/d/SHA256SUMS"] = behaviours.in_turn(serve(OTHER_SUMS), serve(SUMS))
    rules = pinned(tmp_path, FRIEND.certificate)
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        ended = await service.run(**asked(origin))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-sums")
        origin.routes["/d/SHA256SUMS"] = serve(OTHER_SUMS)
        before = len(origin.requests)
        assert (await service.run(**asked(origin)))["verdict"]["code"] == "checksum-file-unusable"
        assert len(origin.requests) - before == 4


async def test_signature_goes_through_the_gate(tmp_path: Path) -> None:
    """Its URL is one more that a stranger chose: judged at once, and at every redirect."""
    routes = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS": serve(SUMS)}
    rules = pinned(tmp_path, FRIEND.certificate)
    async with Canary() as bird, Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        inside = f"http://127.0.0.2:{bird.port}/"
        origin.routes["/d/SHA256SUMS.gpg"] = behaviours.redirect(inside)
        assert (await service.run(**asked(origin)))["verdict"]["code"] == "bad-redirect"
        fields = asked(origin) | {"checksum_signature_url": inside}
        status, problem, _ = await service.call("POST", "/imports", json=fields)
        assert (status, problem["code"]) == (400, "url-invalid")
        origin.routes["/d/SHA256SUMS.gpg"] = behaviours.endless()
        assert (await service.run(**asked(origin)))["verdict"]["code"] == "checksum-file-unusable"
        assert bird.accepted == 0


async def test_signature_that_cannot_be_verified_is_refused_at_once(tmp_path: Path) -> None:
    """Without keys of the operator's, without the file that it is on, or elsewhere."""
    async with Origin() as origin, Running(tmp_path, origin) as service:
        status, problem, _ = await service.call("POST", "/imports", json=asked(origin))
        assert (status, problem["code"]) == (400, "request-invalid")
        service.write_config(**pinned(tmp_path, FRIEND.certificate))
        service.service.reload()
        for elsewhere in (None, "https://a.example/SHA256SUMS"):
            fields = asked(origin) | {"checksum_url": elsewhere}
            status, problem, _ = await service.call("POST", "/imports", json=fields)
            assert (status, problem["code"]) == (400, "request-invalid")


async def test_unsigned_file_is_no_way_around_a_required_signature(tmp_path: Path) -> None:
    """Where the operator asks for a digest and for signatures, neither is had without the other."""
    routes = {"/d/disk.img": serve(BODY), "/d/SHA256SUMS": serve(SUMS)}
    rules = pinned(tmp_path, FRIEND.certificate, require_signature=True) | {"checksum": {"required": True}}
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        ended = await service.run(**asked(origin, None))
        assert ended["verdict"]["code"] == "checksum-file-unusable"
        status, problem, _ = await service.call("POST", "/imports", json={"url": origin.url("/d/disk.img")})
        assert (status, problem["code"]) == (400, "checksum-required")
        ended = await service.run(url=origin.url("/d/disk.img"), checksum=f"sha256:{SHA256}")
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter")
