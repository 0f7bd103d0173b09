r"""Lines as BSD's tools, `cksum --tag` and OpenSSL write them: FreeBSD, Fedora, Rocky, AlmaLinux.

line = [ "\" ] algorithm [ SP ] "(" name ")" [ SP ] "=" [ SP ] hex

Source: FreeBSD md5(1); coreutils, "cksum invocation"; openssl-dgst(1).
"""

import re

from fetcher.parsers.checksum_files.algorithms import ALGORITHM, HEX, algorithm_of
from fetcher.parsers.checksum_files.gnu import unescape
from fetcher.parsers.checksum_files.values import Entry

_LINE = re.compile(rf"(\\?)({ALGORITHM}) ?\((.+)\) ?= ?({HEX})[ \t]*", re.DOTALL)


def read(line: str) -> Entry | None:
    """Read one line; None where it is not of this dialect."""
    found = _LINE.fullmatch(line.lstrip(" \t"))
    algorithm = algorithm_of(re.sub(r"(?i)sums?\Z", "", found[2])) if found else ""
    if found is None or not algorithm:
        return None
    name = unescape(found[3], is_escaped=bool(found[1]))
    return Entry(algorithm=algorithm, value=found[4].lower(), name=name)
