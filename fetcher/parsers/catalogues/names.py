"""Names of images: `ubuntu:26.04`, `ubuntu:26.04@20260421`, `ubuntu:26.04/aarch64`.

name   = family [ ":" version ] [ "@" serial ] [ "/" architecture ]
family = version = serial = 1*( ALPHA / DIGIT / "." / "_" / "+" / "-" )
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from fetcher.errors import InvalidRequest
from fetcher.model import Value
from fetcher.parsers.catalogues.entry import Entry, natural, normal_arch

_WORD = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_NAME = re.compile(
    rf"(?P<name>{_WORD}(?::{_WORD})?)(?:@(?P<serial>{_WORD}))?(?:/(?P<arch>[A-Za-z0-9_-]{{1,32}}))?"
)
MAX_NAME = 512


class Wanted(Value, frozen=True, kw_only=True):
    """A request for an image by name."""

    name: str
    serial: str | None = None
    arch: str | None = None


def is_name(text: str) -> bool:
    """Return whether a text asks for an image by name; a URL never does."""
    return _NAME.fullmatch(text) is not None


def parse_name(text: str) -> Wanted:
    """Read a name.

    Raises:
        InvalidRequest: It is none.
    """
    found = _NAME.fullmatch(text.strip()) if len(text) <= MAX_NAME else None
    if found is None:
        reason = "a catalogue name is written NAME:VERSION, with @SERIAL and /ARCHITECTURE where wanted"
        raise InvalidRequest(field="catalogue", reason=reason)
    arch = found["arch"]
    return Wanted(
        name=found["name"].lower(),
        serial=found["serial"].lower() if found["serial"] else None,
        arch=normal_arch(arch) if arch else None,
    )


def choose(entries: Iterable[Entry], wanted: Wanted, default_arch: str) -> Entry | None:
    """Return the newest image that a name asks for; None where there is none.

    A family alone asks for its newest version.
    """
    arch = wanted.arch or default_arch
    fit = [
        entry
        for entry in entries
        if entry.arch == arch and (wanted.serial is None or entry.serial == wanted.serial)
    ]
    named = [entry for entry in fit if wanted.name in entry.names]
    if named:
        return max(named, key=lambda entry: entry.order)
    family = [entry for entry in fit if entry.family == wanted.name]
    return max(family, key=_newest, default=None)


def _newest(entry: Entry) -> tuple[Any, ...]:
    """Return what sorts the images of a family: 26.04 is what its name alone means, not 26.04-minimal."""
    return (re.fullmatch(r"[\d.]+", entry.version) is not None, natural(entry.version), entry.order)


def search(entries: Iterable[Entry], words: Sequence[str], arch: str | None) -> list[Entry]:
    """Return the newest version of every image with all words in its names or title, by family."""
    newest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if arch is not None and entry.arch != arch:
            continue
        text = f"{' '.join(sorted(entry.names))} {entry.title}".lower()
        if not all(word.lower() in text for word in words):
            continue
        key = (entry.name, entry.arch)
        if key not in newest or newest[key].order < entry.order:
            newest[key] = entry
    return sorted(newest.values(), key=lambda one: (one.family, _down(one), one.name, one.arch))


def _down(entry: Entry) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts newer versions first."""
    return tuple((-kind, -number, word) for kind, number, word in natural(entry.version))


def has_ended(entry: Entry, today: date) -> bool:
    """Return whether its publisher looks after it no more."""
    return entry.end_of_life is not None and entry.end_of_life < today
