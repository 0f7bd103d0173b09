"""A checksum file gives a digest that stands in it for an entry that can be the image's, or is refused."""

import hashlib

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files import ACCEPTED, choose, decode, known, read_listing
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.parsers.checksum_files"]
A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
LONG = hashlib.sha512(b"a").hexdigest()
TOKENS = (
    *(
        A,
        B,
        LONG,
        A[:40],
        A[:32],
        "  ",
        " *",
        " ",
        "\n",
        "\r\n",
        "x.img",
        "y.img",
        "x-20240101.img",
        "./",
        "../",
    ),
    *("\\", "\\n", "#", "(", ")", " = ", "=", ":", ": ", "sha256:", "/srv/a/", "C:\\", "DIST ", " 12 ", '"'),
    *(
        "SHA256",
        "SHA512",
        "SHA2-256",
        "MD5",
        "BLAKE2b",
        "# SHA512 HASH\n",
        "[md5]\n",
        "sha256:\n",
        "b2sums\n",
    ),
    *(
        "\t",
        "\u2028",
        "\x0b",
        "- ",
        "\n\n",
        "Hash: SHA256",
        "<html>",
        "{",
        "}",
        "CertUtil:",
        "SHA256 hash of x:",
    ),
    *("-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"),
)
NAMES = ("x.img", "y.img", "", "\\", "./x.img", "x.img\n", A, "/a/x.img", "x-latest.img", "download")
FILE_NAMES = ("SHA256SUMS", "b2sums.txt", "x.img.sha256", "x.sha512", "", "CHECKSUM", ".sha256")
CODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be")


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    names = [choices.pick(NAMES), choices.pick(NAMES)]
    file_name = choices.pick(FILE_NAMES)
    if choices.number(4):
        held = choices.some(TOKENS, 60).encode(choices.pick(CODINGS), "surrogatepass")
    else:
        held = choices.raw(len(seed))
    try:
        text = decode(held)
        listing = read_listing(text, file_names=(file_name,), max_lines=40)
        first = known(listing, names[0], ACCEPTED)
        digest = choose(listing, names, ACCEPTED)
    except ChecksumFileUnusable as error:
        assert error.reason.isascii()
        assert error.reason.isprintable()
        return
    assert first in {None, digest}
    assert len(digest.value) == 2 * hashlib.new(digest.algorithm).digest_size
    assert text.count("\n") <= 40
    assert digest.value in text.lower()
    assert any(
        (entry.algorithm, entry.value) == (digest.algorithm, digest.value) for entry in listing.entries
    )
