"""Detached signatures: every one that stands in a file, and nothing that is none."""

import base64

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parsers.signature_packets import MAX_BYTES, MAX_SIGNATURES, split_signatures

KEYS = [pysequoia.Tsk.generate(name) for name in "abc"]
ONE, TWO, THREE = (
    pysequoia.sign(key.signer(), b"x", mode=pysequoia.SignatureMode.DETACHED, armor=False) for key in KEYS
)


def armored(packets: bytes, *, headers: str = "Version: x\n", end: str = "\n") -> bytes:
    lines = base64.encodebytes(packets).decode()
    text = f"-----BEGIN PGP SIGNATURE-----\n{headers}\n{lines}=abcd\n-----END PGP SIGNATURE-----\n"
    return text.replace("\n", end).encode()


def long_form(packet: bytes, kind: int) -> bytes:
    """The same packet with its length written otherwise."""
    body = packet[2:] if packet[1] < 192 else packet[3:]
    heads = {
        0: b"\x88" + bytes([len(body) % 256]),
        1: b"\x89" + len(body).to_bytes(2),
        2: b"\x8a" + len(body).to_bytes(4),
        5: b"\xc2\xff" + len(body).to_bytes(4),
    }
    return heads[kind] + body


def signers(file: bytes) -> list[str | None]:
    return [pysequoia.Sig.from_bytes(packet).issuer_fingerprint for packet in split_signatures(file)]


GOOD = {
    "binary": ONE + TWO + THREE,
    "armored": armored(ONE + TWO + THREE),
    "without headers": armored(ONE + TWO + THREE, headers=""),
    "of Windows": armored(ONE + TWO + THREE, end="\r\n"),
    "in blocks": armored(ONE) + b"\n" + armored(TWO + THREE),
    "old lengths": long_form(ONE, 1) + long_form(TWO, 2) + long_form(THREE, 5),
}


@pytest.mark.parametrize("file", GOOD.values(), ids=GOOD.keys())
def test_every_signature_is_found(file: bytes) -> None:
    """Files signed by an old and a new key are common; either may be the one that is pinned."""
    assert signers(file) == signers(ONE) + signers(TWO) + signers(THREE)


BAD = {
    "nothing": b"",
    "text": b"hello",
    "compressed": b"\xc8\x0a" + bytes(10),
    "parts": b"\xc2\xe0" + bytes(10),
    "no end": b"\x8b" + ONE[2:],
    "cut": ONE[:-1],
    "cut in its head": b"\xc2",
    "another armor": armored(ONE).replace(b"SIGNATURE", b"MESSAGE"),
    "broken armor": armored(ONE).replace(b"\n=abcd", b"!\n=abcd"),
    "huge": ONE * (MAX_BYTES // len(ONE) + 1),
}


@pytest.mark.parametrize("file", BAD.values(), ids=BAD.keys())
def test_what_is_no_signature_is_left_unread(file: bytes) -> None:
    """Nothing but signatures ever reaches the library that reads them."""
    assert split_signatures(file) == []


def test_signatures_before_something_else_count() -> None:
    """What follows is not looked at."""
    assert split_signatures(ONE + b"\xc8\x05junk!" + TWO) == [ONE]


def test_their_number_is_bounded() -> None:
    """Each costs a verification."""
    assert len(split_signatures(ONE * (MAX_SIGNATURES + 1))) == MAX_SIGNATURES


@given(file=st.binary(max_size=300), is_armored=st.booleans())
def test_any_bytes_are_signatures_or_none(file: bytes, is_armored: bool) -> None:
    """Whatever the file is: whole packets of it, one after the other from its beginning."""
    found = split_signatures(armored(file) if is_armored else file)
    if len(found) < MAX_SIGNATURES:
        assert file.startswith(b"".join(found))
