"""Headings over the digests of one algorithm: Flatcar's and Gentoo's DIGESTS, and those of hand-made files.

heading = *mark algorithm [ ( "-" / SP ) word ] *mark     ; "# SHA512 HASH", "[sha256]", "SHA-256:", "b2sums"
        / *any algorithm *any ":"                       ; certutil, in the languages of Windows
mark    = "#" / "=" / "-" / ";" / "*" / "[" / "]" / ":" / WSP
"""

import re

from fetcher.parsers.checksum_files.algorithms import algorithm_of

_MARKS = "#=-;*[]: \t"
_WORDS = re.compile(r"(?:[ -]?(?:hash(?:es)?|(?:check)?sums?|digests?|values?))*\Z", re.IGNORECASE)
_CERTUTIL = re.compile(r"(?<!\w)(?:MD|SHA)-?[0-9]{1,3}\b", re.IGNORECASE)
_MAX_CHARACTERS = 400


def read(line: str) -> str:
    """Find the algorithm that a heading names; empty where a line is none."""
    if len(line) > _MAX_CHARACTERS:
        return ""
    if line.rstrip(" \t").endswith(":") and (certutil := _CERTUTIL.search(line)):
        return algorithm_of(certutil[0])
    text = line.strip(_MARKS)
    if len(text) > 40:
        return ""
    return algorithm_of(_WORDS.sub("", text))
