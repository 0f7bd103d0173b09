"""What a source says of its bytes: row C06 of the attacks."""

import base64
import hashlib

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parsers.digest_headers import parse_digests

DATA = b"image"
SHA256, SHA512 = hashlib.sha256(DATA), hashlib.sha512(DATA)


def field(**digests: bytes) -> str:
    """Write a digest field."""
    return ", ".join(
        f"{name.replace('_', '-')}=:{base64.b64encode(value).decode()}:" for name, value in digests.items()
    )


def test_both_algorithms_are_read() -> None:
    """As hashlib names them, in lower-case hex; parameters change nothing."""
    both = field(sha_256=SHA256.digest(), sha_512=SHA512.digest())
    assert parse_digests([both]) == {"sha256": SHA256.hexdigest(), "sha512": SHA512.hexdigest()}
    assert parse_digests([field(sha_256=SHA256.digest()), field(sha_512=SHA512.digest())]) == parse_digests(
        [both]
    )
    assert parse_digests([field(sha_256=SHA256.digest()) + ";q=1"]) == {"sha256": SHA256.hexdigest()}
    assert parse_digests([]) == {}


@pytest.mark.parametrize(
    "name", ["md5", "sha", "sha_1", "unixsum", "unixcksum", "adler", "crc32c", "id_sha_256", "sha_384"]
)
def test_c06_weak_and_unknown_algorithms_count_for_nothing(name: str) -> None:
    """They never make anything verified."""
    assert parse_digests([field(**{name: hashlib.md5(DATA).digest()})]) == {}


@pytest.mark.parametrize(
    "value",
    [
        f"sha-256={SHA256.hexdigest()}",
        f"SHA-256=:{base64.b64encode(SHA256.digest()).decode()}:",
        f'sha-256="{base64.b64encode(SHA256.digest()).decode()}"',
        "sha-256=token",
        "sha-256",
        "sha-256=::",
        "sha-256=:AAAA:",
        "sha-256=1",
        "sha-256=?1",
        "sha-256=(:AAAA: :AAAA:)",
        f"sha-256=({':' + base64.b64encode(SHA256.digest()).decode() + ':'})",
        "sha-256=:" + "A" * 5000 + ":",
        "sha-256=:\u00e9:",
        "\x00",
        ",",
        "sha-256=:!!!!:",
        "sha-256=@1659578233",
    ],
)
def test_c06_malformed_fields_are_as_if_absent(value: str) -> None:
    """A source can leave the field out just as well, so nothing is lost."""
    assert parse_digests([value]) == {}


def test_c06_two_digests_by_one_algorithm_cancel_out() -> None:
    """Which of them is meant is nobody's guess, in one field or in two, and whatever follows."""
    one, other = field(sha_256=SHA256.digest()), field(sha_256=hashlib.sha256(b"x").digest())
    assert parse_digests([f"{one}, {other}"]) == {}
    assert parse_digests([one, other]) == {}
    assert parse_digests([one, one]) == {}


@given(
    values=st.lists(st.text(max_size=40) | st.sampled_from(["sha-256=:", ":", ", ", "sha-512"]), max_size=4)
)
def test_nothing_raises_and_nothing_but_digests_comes_out(values: list[str]) -> None:
    """Any text is a set of whole digests, perhaps an empty one."""
    for name, value in parse_digests(values).items():
        assert len(bytes.fromhex(value)) == hashlib.new(name).digest_size


@given(data=st.binary(max_size=64))
def test_what_another_writer_writes_is_read(data: bytes) -> None:
    """A dictionary by the library itself comes back as it went in."""
    digest = hashlib.sha256(data).digest()
    assert parse_digests([http_sf.ser({"sha-256": (digest, {})})]) == {"sha256": digest.hex()}
