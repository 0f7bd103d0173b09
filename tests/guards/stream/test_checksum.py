"""Digests: what is taken, and what a mismatch tells."""

import hashlib
from base64 import b64encode

import msgspec
import pytest

from fetcher.config import load_settings
from fetcher.errors import ChecksumMismatch, ChecksumRequired, InvalidRequest
from fetcher.guards.stream.checksum import check_digest, check_required, parse_digest, read_digest
from fetcher.model import Digest

SETTINGS = load_settings()
SHA256 = hashlib.sha256(b"x").hexdigest()


def test_digests_are_taken_in_any_case() -> None:
    """One internal form: lower-case hex."""
    assert parse_digest(f"SHA256:{SHA256.upper()}", SETTINGS) == Digest(algorithm="sha256", value=SHA256)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SHA256,
        "sha256:",
        f"sha256:{SHA256}0",
        f"sha256:{SHA256[:-1]}g",
        "crc32:00000000",
        f"sha256:{SHA256}\n",
    ],
)
def test_malformed_digests_are_refused(text: str) -> None:
    """A digest that can never match is a mistake, told at once."""
    with pytest.raises(InvalidRequest) as caught:
        parse_digest(text, SETTINGS)
    assert caught.value.field == "checksum"


@pytest.mark.parametrize(
    "text",
    [
        SHA256,
        SHA256.upper(),
        f"SHA-256:{SHA256}",
        f"sha256={SHA256}",
        f"SHA256 {SHA256}",
        f"sha256: {SHA256}",
        f"{SHA256}  disk.img",
        f"{SHA256} *disk.img",
        f"SHA256 (disk.img) = {SHA256}",
        f"`{SHA256}`",
        f'"{SHA256}"',
        " ".join(SHA256[at : at + 2] for at in range(0, 64, 2)),
        f"sha256-{b64encode(bytes.fromhex(SHA256)).decode()}",
    ],
)
def test_digests_are_read_as_people_paste_them(text: str) -> None:
    """From pages, checksum files and tools: all of them say the same."""
    assert read_digest(text, SETTINGS) == Digest(algorithm="sha256", value=SHA256)


@pytest.mark.parametrize(
    "text",
    [
        *("", "none", "<html>", "0x" + SHA256, SHA256[:-1], f"sha3-256:{SHA256}", f"blake3:{SHA256}"),
        *(f"{SHA256}\n{SHA256}", "sha256-AAAA", f"sha512:{SHA256}"),
    ],
)
def test_what_is_not_one_digest_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidRequest) as caught:
        read_digest(text, SETTINGS)
    assert caught.value.field == "checksum"


def test_a_mismatch_tells_both() -> None:
    """The submitter can compare the two with the publisher's page."""
    digest = Digest(algorithm="sha256", value=SHA256)
    check_digest(digest, SHA256, source="submitter")
    with pytest.raises(ChecksumMismatch) as caught:
        check_digest(digest, "0" * 64, source="submitter")
    assert (caught.value.expected, caught.value.actual) == (SHA256, "0" * 64)


def test_a_required_digest_must_be_a_strong_one() -> None:
    """md5 can be forged, so it verifies nothing (attack: collision pair with only md5 given)."""
    rules = msgspec.structs.replace(SETTINGS.checksum, required=True)
    settings = msgspec.structs.replace(SETTINGS, checksum=rules)
    check_required(Digest(algorithm="sha256", value=SHA256), settings)
    check_required(None, SETTINGS)
    for digest in (None, parse_digest("md5:" + "0" * 32, settings)):
        with pytest.raises(ChecksumRequired):
            check_required(digest, settings)
