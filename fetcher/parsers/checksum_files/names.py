"""The entries of a checksum file that are about an image."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from fetcher.parsers.checksum_files.values import Entry

_SUFFIX = re.compile(
    r"[._-](?:sha-?(?:1|224|256|384|512|2|3)?|md5|b2|b3|blake2b?|blake3|(?:sha(?:1|224|256|384|512)|md5|b2)sums?"
    r"|check-?sums?|digests?|hash(?:es)?|sums?|txt|asc)\Z",
    re.IGNORECASE,
)
# What stands in a link where the file that it leads to has a date or a number.
_LINK = re.compile(r"latest|current|stable|daily", re.IGNORECASE)
MAX_LINKS = 3  # Parts of a name between such words: more would take long to compare.
MAX_CHARACTERS = 255  # Of the name of a file.
_MARKS = frozenset("-_.")
_NUMBER = r"v?[0-9][0-9A-Za-z.~+_-]*"
_DATE = r"[-_.]20[0-9]{2}-?[01][0-9]-?[0-3][0-9](?:[-_.T](?:[0-9][0-9A-SU-Za-z]*|[a-f][0-9a-f]{6,39}))*"
_VERSION = r"[-_]v?[0-9]+(?:\.[0-9]+)+(?:-[0-9]+)?"
_ENDINGS = re.compile(
    r"((?:\.(?:qcow2|img|iso|raw|vmdk|vhdx?|vdi|ova|box|tar|gz|xz|bz2|zst|lz4|zip))+)\Z", re.IGNORECASE
)


def parts_of(name: str) -> list[str]:
    """Split a listed name or the path of a URL, whichever system wrote it."""
    return [part for part in re.split(r"[/\\]", name) if part not in {"", "."}]


def last_of(name: str) -> str:
    """Return the last part of a listed name, without blanks that follow it."""
    return (parts_of(name) or [""])[-1].strip(" \t")


def equal(entries: Iterable[Entry], path: str) -> list[Entry]:
    """Find the entries of exactly a path's last part; else those that share most of its folders."""
    listed = [entry for entry in entries if entry.name is not None]
    last = path.rpartition("/")[2]
    exact = [entry for entry in listed if last and (entry.name or "").removeprefix("./") == last]
    if exact:
        return exact
    wanted = parts_of(path)
    shared = {entry: _shared(parts_of((entry.name or "").strip(" \t")), wanted) for entry in listed}
    most = max(shared.values(), default=0)
    return [entry for entry in listed if most and shared[entry] == most]


def dated(entries: Iterable[Entry], path: str) -> list[Entry]:
    """Find the entries whose names are a link's with a date or a number in it."""
    name = last_of(path)
    if not name:
        return []
    stem = _ENDINGS.sub("", name)
    pattern = re.escape(stem) + f"(?:{_DATE}|{_VERSION})" + re.escape(name[len(stem) :])
    parts = _LINK.split(name)
    if 1 < len(parts) <= MAX_LINKS:
        # What stands before the word may change with it: Base.latest.x86_64, Base-9.5-2024.x86_64.
        shapes = (re.escape(part.rstrip("-_.")) + ("[-_.]" if part[-1:] in _MARKS else "") for part in parts)
        pattern = f"{pattern}|{_NUMBER.join(shapes)}"
    link = re.compile(pattern)
    names = ((entry, last_of(entry.name or "")) for entry in entries)
    return [entry for entry, last in names if len(last) <= MAX_CHARACTERS and link.fullmatch(last)]


def alike(entries: Iterable[Entry], path: str) -> list[Entry]:
    """Find the entries whose names are a path's last part in another spelling: escaped, or in other case."""
    name = last_of(path).casefold()
    return [entry for entry in entries if name and last_of(unquote(entry.name or "")).casefold() == name]


def stem_of(file_name: str) -> str:
    """Return what a checksum file is about: `x.img` for `x.img.sha256`; nothing for SHA256SUMS."""
    stem = file_name
    while (shorter := _SUFFIX.sub("", stem)) != stem:
        stem = shorter
    return stem if stem != file_name else ""


def is_about(stem: str, paths: Sequence[str]) -> bool:
    """Return whether a checksum file of that stem is plainly for the image of one of these names."""
    return bool(stem) and any(last_of(path) == stem or last_of(path).startswith(f"{stem}.") for path in paths)


def _shared(listed: list[str], wanted: list[str]) -> int:
    number = 0
    for one, other in zip(reversed(listed), reversed(wanted), strict=False):
        if one != other:
            break
        number += 1
    return number
