"""A checksum file gives the digest that stands on the line of the name, or is refused."""

import hashlib

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.sums import parse_sums
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.parsers.sums"]
A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
LONG = hashlib.sha512(b"a").hexdigest()
TOKENS = (
    *(
        A,
        B,
        LONG,
        A[:40],
        "  ",
        " *",
        " ",
        "\n",
        "\r\n",
        "x.img",
        "y.img",
        "./",
        "\\",
        "\\n",
        "#",
        "(",
        ")",
        " = ",
        "=",
    ),
    *("SHA256", "SHA512", "SHA2-256", "MD5", "BLAKE2b", "\t", "\u2028", "\x0b", "- ", "\n\n", "Hash: SHA256"),
    *("-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"),
)
NAMES = ("x.img", "y.img", "", "\\", "./x.img", "x.img\n", A)


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    name = choices.pick(NAMES)
    if choices.number(4):
        text = choices.some(TOKENS, 60)
    else:
        text = choices.raw(len(seed)).decode("utf-8", "surrogateescape")
    try:
        digest = parse_sums(text, name, max_lines=40)
    except ChecksumFileUnusable as error:
        assert error.reason.isascii()
        assert error.reason.isprintable()
        return
    assert len(digest.value) == 2 * hashlib.new(digest.algorithm).digest_size
    assert text.count("\n") <= 40
    lines = [line for line in text.split("\n") if digest.value in line.lower()]
    plain = name.replace("\n", "\\n").replace("\\", "\\\\") if "\\" in name else name
    assert (
        any(name in line or plain in line or line.strip().lower() == digest.value for line in lines)
        or "\n" in name
    )
