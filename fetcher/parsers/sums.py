"""Checksum files: SHA256SUMS, `name.sha256`, BSD style, Fedora's CHECKSUM."""

import re
from collections.abc import Iterator, Sequence

from fetcher.errors import ChecksumFileUnusable
from fetcher.model import Digest

# By the number of hexadecimal digits; weaker digests in such files are passed over.
ALGORITHMS = {64: "sha256", 96: "sha384", 128: "sha512"}
TAGS = {
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
    "SHA2-256": "sha256",
    "SHA2-384": "sha384",
    "SHA2-512": "sha512",
}
SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
SIGNATURE = "-----BEGIN PGP SIGNATURE-----"

_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{64,128}) [ *](.+)", re.DOTALL)
_BSD = re.compile(r"(\\?)([A-Z0-9-]{6,8}) ?\((.+)\) ?= ([0-9A-Fa-f]{64,128})", re.DOTALL)
_BARE = re.compile(r"[0-9A-Fa-f]{64,128}")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def parse_sums(
    text: str,
    name: str,
    *,
    accepted: Sequence[str] = ("sha256", "sha384", "sha512"),
    max_lines: int = 10_000,
) -> Digest:
    """Find the strongest digest that a checksum file gives for one name.

    Args:
        text: The whole file; the text inside where it is clear-signed.
        name: Compared exactly. A file of one bare digest holds for any name.
        accepted: Algorithms that count.
        max_lines: More are not read.

    Raises:
        ChecksumFileUnusable: It names the file not at all, or twice with
            different digests, or is no checksum file.

    Source: coreutils, "md5sum invocation"; the BSD style of `cksum --tag`.
    """
    if text.count("\n") > max_lines:
        raise ChecksumFileUnusable(reason=f"it has more than {max_lines:,} lines")
    lines = [line.removesuffix("\r") for line in _inside(text).split("\n")]
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if len(lines) == 1 and _BARE.fullmatch(lines[0].strip()):
        found = {("", lines[0].strip())}
    else:
        found = {(tag, value) for tag, entry, value in _entries(lines) if entry.removeprefix("./") == name}
    return _choose(found, accepted)


def _entries(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        gnu, bsd = _GNU.fullmatch(line), _BSD.fullmatch(line)
        if gnu:
            yield "", _unescape(gnu[3], escaped=bool(gnu[1])), gnu[2]
        elif bsd and bsd[2] in TAGS:
            yield TAGS[bsd[2]], _unescape(bsd[3], escaped=bool(bsd[1])), bsd[4]


def _unescape(name: str, *, escaped: bool) -> str:
    if not escaped:
        return name
    return _ESCAPE.sub(lambda found: {"n": "\n", "r": "\r", "\\": "\\"}.get(found[1], found[0]), name)


def _inside(text: str) -> str:
    """Take the text out of a clear-signed file; anything around it would stand there unsigned.

    Source: RFC 9580 section 7.
    """
    if SIGNED not in text:
        return text
    before, _, rest = text.partition(SIGNED)
    # The armor's headers end at the first empty line.
    headers, empty, body = rest.replace("\r\n", "\n").partition("\n\n")
    body, signature, _ = body.partition("\n" + SIGNATURE)
    if before.strip() or SIGNED in body or not empty or not signature or not _are_armor(headers):
        raise ChecksumFileUnusable(reason="its clear-signed text is not whole")
    return "\n".join(line.removeprefix("- ") for line in body.split("\n"))


def _are_armor(headers: str) -> bool:
    return all(
        re.fullmatch(r"Hash: [A-Za-z0-9, -]+", line) for line in headers.strip("\n").split("\n") if line
    )


def _choose(found: set[tuple[str, str]], accepted: Sequence[str]) -> Digest:
    by_algorithm: dict[str, set[str]] = {}
    for tag, value in found:
        algorithm = ALGORITHMS.get(len(value), "")
        if algorithm in accepted and tag in {"", algorithm}:
            by_algorithm.setdefault(algorithm, set()).add(value.lower())
    if not by_algorithm:
        raise ChecksumFileUnusable(reason=f"it gives no {' or '.join(accepted)} for the file")
    if any(len(values) > 1 for values in by_algorithm.values()):
        raise ChecksumFileUnusable(reason="it gives two different digests for the file")
    strongest = max(by_algorithm, key=lambda algorithm: int(algorithm.removeprefix("sha")))
    return Digest(algorithm=strongest, value=by_algorithm[strongest].pop())
