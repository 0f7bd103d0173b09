"""Pairs of a name and a digest: `name: HEX`, `name = HEX`, and the digest alone: `HEX`, `sha256:HEX`.

line  = name *WSP ( ":" / "=" ) *WSP value
      / algorithm ( " hash" / " checksum" ... ) " of " name ":" *WSP value
      / name ( 2*SP / TAB ) hex               ; GNU's, the other way round
      / [ algorithm [ "sum" ] *WSP ] value    ; for whatever the file is about
value = [ algorithm ( ":" / "=" ) *WSP ] hex

A name that is an algorithm's is the algorithm.
"""

import re

from fetcher.parsers.checksum_files.algorithms import ALGORITHM, HEX, algorithm_of
from fetcher.parsers.checksum_files.values import Entry

_VALUE = re.compile(rf"(?:({ALGORITHM})(?:[ \t]*[:=][ \t]*|[ \t]+))?({HEX})")
_OF = re.compile(rf"({ALGORITHM})[ -](?:hash|checksum|digest|sum) (?:of|for) (.+)", re.IGNORECASE | re.DOTALL)
_SUM = re.compile(r"[ -]?(?:(?:check)?sums?|hash|digest|value)\Z", re.IGNORECASE)
_BEHIND = re.compile(rf"{HEX}\Z")
_PAIR = re.compile(rf"(.+)[:=][ \t]*(?:({ALGORITHM})[:=][ \t]*)?({HEX})")


def read(line: str) -> Entry | None:
    """Read one line; None where it is not of this dialect."""
    text = line.strip(" \t")
    alone = _VALUE.fullmatch(text)
    if alone is not None and (alone[1] is None or algorithm_of(alone[1])):
        return Entry(algorithm=algorithm_of(alone[1] or ""), value=alone[2].lower())
    pair = _PAIR.fullmatch(text)
    if pair is None:
        return _behind(text)
    name, spelled = pair[1].rstrip(" \t"), pair[2] or ""
    if not spelled and (of := _OF.fullmatch(name)) and algorithm_of(of[1]):
        return Entry(algorithm=algorithm_of(of[1]), value=pair[3].lower(), name=of[2].strip("\"'"))
    if not spelled and (alone_of := algorithm_of(_SUM.sub("", name))):
        return Entry(algorithm=alone_of, value=pair[3].lower())
    algorithm = algorithm_of(spelled)
    if spelled and not algorithm:
        return None
    if not algorithm:
        # `x.img: sha256:HEX`: the greedy name has taken the algorithm with it.
        before, _, last = name.rpartition(":")
        algorithm = algorithm_of(last.strip()) if before else ""
        name = before.rstrip(" \t") if algorithm else name
    return Entry(algorithm=algorithm, value=pair[3].lower(), name=name.strip("\"'"))


def _behind(text: str) -> Entry | None:
    """Read a digest that stands behind the name, by more than a blank: names end in hexadecimal, too."""
    found = _BEHIND.search(text)
    before = text[: found.start()] if found else ""
    name = before.rstrip(" \t")
    between = before[len(name) :]
    if found is None or not name or (len(between) < 2 and between != "\t"):
        return None
    return Entry(value=found[0].lower(), name=name.strip("\"'"))
