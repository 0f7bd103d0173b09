"""`fetcher verify`, `fetcher keys` and `fetcher images attestation`: checking bytes without a network."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from fetcher.attest import KeyFolder, PublicKey, read_envelope, read_statement
from fetcher.attest.dsse import pae
from fetcher.attest.statement import PAYLOAD_TYPE
from fetcher.cli.exits import Exit
from fetcher.errors import AttestationInvalid
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

__all__ = ["fetcher"]  # The fixture of the command line.

DISK = raw(9000)


async def downloaded(fetcher: Fetcher, folder: Path) -> dict[str, Path]:
    """Import, download and stop the service: what is left is an image, its statement and the key."""
    files = {"image": folder / "disk.img", "statement": folder / "disk.att", "key": folder / "key.pem"}
    async with Origin({"/disk": behaviours.serve(DISK)}) as origin, Running(folder, origin) as service:
        made = await service.run(url=origin.url("/disk"))
        at = ("--server", service.base)
        saved = await fetcher("images", "attestation", made["image_id"], "-o", files["statement"], *at)
        assert saved.code == Exit.OK, saved.err
        again = await fetcher("images", "attestation", made["image_id"], "-o", files["statement"], *at)
        assert again.code == Exit.USAGE  # Never over another file.
        assert (await fetcher("images", "save", made["image_id"], "-o", files["image"], *at)).code == Exit.OK
        shown = await fetcher("keys", "show", *at)
        assert "BEGIN PUBLIC KEY" in shown.out
        files["key"].write_text((await service.call("GET", "/keys/current"))[1])
    return files | {"config": service.config}


async def test_downloaded_bytes_are_verified_offline(fetcher: Fetcher, tmp_path: Path) -> None:
    """With the image, its statement and the key, nothing else is asked; the origin and the key are told."""
    files = await downloaded(fetcher, tmp_path)
    told = await fetcher("verify", files["image"], files["statement"], "--key", files["key"], "--json")
    assert told.code == Exit.OK, told.err
    assert told.json["source"].endswith("/disk")
    assert told.json["key"] == json.loads(files["statement"].read_text())["signatures"][0]["keyid"]
    words = await fetcher("verify", files["image"], files["statement"], "--key", files["key"])
    assert told.json["sha256"] in words.out
    here = await fetcher("verify", files["image"], files["statement"], "--config", files["config"])
    assert here.code == Exit.OK  # The store on this machine knows its own keys.


async def test_other_bytes_are_damaged(fetcher: Fetcher, tmp_path: Path) -> None:
    """One changed bit of the image, and the exit code is 10."""
    files = await downloaded(fetcher, tmp_path)
    files["image"].write_bytes(bytes([DISK[0] ^ 1]) + DISK[1:])
    told = await fetcher("verify", files["image"], files["statement"], "--key", files["key"], "--json")
    assert (told.code, told.json["error"]["code"]) == (Exit.DAMAGED, "digest-mismatch")


async def test_another_signer_is_refused(fetcher: Fetcher, tmp_path: Path) -> None:
    """A statement that is signed by a key nobody named proves nothing, whatever key id it carries."""
    files = await downloaded(fetcher, tmp_path)
    files["key"].write_text(KeyFolder(tmp_path / "other").rotate().pem)
    told = await fetcher("verify", files["image"], files["statement"], "--key", files["key"], "--json")
    assert (told.code, told.json["error"]["code"]) == (Exit.REFUSED, "attestation-invalid")


async def test_without_a_key_nothing_is_trusted(fetcher: Fetcher, tmp_path: Path) -> None:
    """Where neither a file nor a store has a key, the command says how to get one."""
    files = await downloaded(fetcher, tmp_path)
    files["config"].write_text('[store]\nfolder = "elsewhere"\n')
    told = await fetcher("verify", files["image"], files["statement"], "--config", files["config"], "--json")
    assert told.code == Exit.USAGE
    assert "--key" in told.json["error"]["advice"]


async def test_rotating_prints_the_new_key(fetcher: Fetcher, tmp_path: Path) -> None:
    """What was signed before is still verified by the store's keys; the new key is printed."""
    files = await downloaded(fetcher, tmp_path)
    made = await fetcher("keys", "rotate", "--config", files["config"], "--json")
    known = KeyFolder.of(tmp_path / "data").known()
    assert next(key.key_id for key in known) == made.json["key_id"]
    assert len(known) == 2
    told = await fetcher("verify", files["image"], files["statement"], "--config", files["config"])
    assert told.code == Exit.OK
    printed = await fetcher("keys", "rotate", "--config", files["config"])
    assert printed.out == KeyFolder.of(tmp_path / "data").known()[0].pem


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


ENVELOPES = {
    "no-json": b"\xff\xfe",
    "no-object": b"[]",
    "no-signatures": b'{"payload": "", "payloadType": "x", "signatures": []}',
    "deep": b"[" * 100_000,
    "huge": b" " * 4_194_305,
    "payload-no-base64": b'{"payload": "???", "payloadType": "x", "signatures": [{"sig": "AAAA"}]}',
    "signature-no-base64": b'{"payload": "AAAA", "payloadType": "x", "signatures": [{"sig": "\xc3\xa9"}]}',
}


@pytest.mark.parametrize("text", ENVELOPES.values(), ids=ENVELOPES.keys())
def test_what_is_no_envelope_is_refused(text: bytes, tmp_path: Path) -> None:
    """Whatever somebody calls an attestation, the answer is a typed error."""
    key = KeyFolder(tmp_path / "keys").rotate().public
    with pytest.raises(AttestationInvalid):
        read_envelope(text).open([key])


def sealed(folder: KeyFolder, payload: bytes, *more: dict[str, str]) -> bytes:
    """An envelope that the folder's key signed; further signatures come before its own."""
    made = base64.b64encode(folder.signing_key().sign(pae(PAYLOAD_TYPE, payload))).decode()
    signatures = [*more, {"sig": made, "keyid": "x"}]
    text = base64.b64encode(payload).decode()
    document = {"payload": text, "payloadType": PAYLOAD_TYPE, "signatures": signatures}
    return json.dumps(document).encode()


HEAD = '{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1",'
SHA256 = hashlib.sha256(DISK).hexdigest()
RIGHT = f'"subject":[{{"name":"\\u001b[2J\\u202e","digest":{{"sha256":"{SHA256}"}}}}]'
STRANGE = {
    "terminal-codes": (
        HEAD + RIGHT + ',"predicate":{"runDetails":{"builder":{"id":"\\u001b]0;x\\u0007"}}}}',
        0,
    ),
    "subject-twice": (HEAD + f'{RIGHT},"subject":[{{"digest":{{"sha256":"{"0" * 64}"}}}}]}}', 10),
    "no-tables": (HEAD + RIGHT + ',"predicate":{"buildDefinition":[],"runDetails":7}}', 0),
    "deep": (HEAD + RIGHT + ',"predicate":' + "[" * 100_000, 1),
    "many-subjects": (HEAD + '"subject":[' + ",".join(['{"digest":{}}'] * 1025) + "]}", 1),
    "half-a-digest": (HEAD + f'"subject":[{{"digest":{{"sha256":"{SHA256[:-1]}"}}}}]}}', 10),
    "no-text": (HEAD + '"subject":[{"digest":{"sha256":7}}]}', 1),
}


@pytest.mark.parametrize(("payload", "code"), STRANGE.values(), ids=STRANGE.keys())
async def test_k18_whatever_a_trusted_key_signed_is_read_with_care(
    fetcher: Fetcher, tmp_path: Path, payload: str, code: int
) -> None:
    """Its texts move no cursor, its last word counts, and what is no statement is refused without a fault."""
    folder, image, statement = KeyFolder(tmp_path / "keys"), tmp_path / "disk", tmp_path / "att"
    key = folder.rotate()
    image.write_bytes(DISK)
    (tmp_path / "key.pem").write_text(key.pem)
    other = {"sig": base64.b64encode(b"x" * 64).decode(), "keyid": key.key_id}
    statement.write_bytes(sealed(folder, payload.encode(), other, {"sig": "", "keyid": ""}))
    told = await fetcher("verify", image, statement, "--key", tmp_path / "key.pem")
    assert (told.code == code, told.code == 0) == (code in {0, 10}, code == 0), told.err
    assert "Traceback" not in told.err
    assert not {"\x1b", "\u202e", "\x07"} & set(told.out + told.err)


STATEMENTS = {
    "another-type": ("text/plain", b"{}"),
    "no-json": (PAYLOAD_TYPE, b"{"),
    "no-subject": (
        PAYLOAD_TYPE,
        b'{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "x"}',
    ),
    "another-version": (
        PAYLOAD_TYPE,
        b'{"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": {}}], "predicateType": "x"}',
    ),
    "another-predicate": (
        PAYLOAD_TYPE,
        b'{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {}}], "predicateType": "x"}',
    ),
}


@pytest.mark.parametrize(("kind", "payload"), STATEMENTS.values(), ids=STATEMENTS.keys())
def test_a_signature_on_something_else_is_no_provenance(kind: str, payload: bytes) -> None:
    """A trusted key may have signed other things: only an in-toto statement with SLSA provenance counts."""
    with pytest.raises(AttestationInvalid):
        read_statement(kind, payload)


SUBJECTS = {
    "weak-alone": ([{"digest": {"md5": "a"}}], False),
    "none-known": ([{"digest": {}}], False),
    "one-differs": ([{"digest": {"sha256": "a", "sha512": "z"}}], False),
    "second-fits": ([{"digest": {"sha256": "z"}}, {"digest": {"sha256": "A"}}], True),
}


@pytest.mark.parametrize(("subjects", "is_found"), SUBJECTS.values(), ids=SUBJECTS.keys())
def test_every_strong_digest_of_a_subject_has_to_hold(subjects: list[object], is_found: bool) -> None:
    """MD5 identifies nothing, and a subject with one right and one wrong digest is another file."""
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
    }
    statement = read_statement(PAYLOAD_TYPE, json.dumps(document).encode())
    found = statement.subject_with({"sha256": "a", "sha512": "b", "md5": "a"})
    assert (found is not None) == is_found


KEYS = {
    "empty": b"",
    "words": b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n",
    "rsa": b"""-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK8Ogm5/6YmBqZ1b7oZ7oPqVnJxQ8kHf
5XKhm0oZ6d9pPq5mXwRC3QFYJQXyXtKuSVkJjAVh6F2n0GmVNlTr3l8CAwEAAQ==
-----END PUBLIC KEY-----
""",
}


@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS.keys())
def test_a_file_without_a_usable_key_is_refused(text: bytes) -> None:
    """Keys of other kinds are named as such, not guessed at."""
    from fetcher.attest import read_public_keys

    with pytest.raises(AttestationInvalid):
        read_public_keys(text)


def test_several_keys_stand_in_one_file(tmp_path: Path) -> None:
    """A file of trust may hold the old key and the new one."""
    from fetcher.attest import read_public_keys

    made = [KeyFolder(tmp_path / name).rotate() for name in ("a", "b")]
    found = read_public_keys("".join(key.pem for key in made).encode())
    assert [key.key_id for key in found] == [key.key_id for key in made]
    assert all(isinstance(key, PublicKey) for key in found)
