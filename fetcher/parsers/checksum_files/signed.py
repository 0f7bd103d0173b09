"""The text inside a clear-signed file: Fedora's, Gentoo's, openSUSE's.

file    = SIGNED *( "Hash: " names LF ) LF text LF SIGNATURE ...
text    = *( [ "- " ] line LF )

Source: RFC 9580 section 7.
"""

import re

from fetcher.errors import ChecksumFileUnusable

SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
SIGNATURE = "-----BEGIN PGP SIGNATURE-----"


def inside(text: str) -> str:
    """Take the text out of a clear-signed file; anything around it would stand there unsigned.

    Raises:
        ChecksumFileUnusable: The signed text is not whole, or not all there is.
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
