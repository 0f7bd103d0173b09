"""Disks that an archive holds only in parts, recognised by the names of its members.

One part of a disk begins like the disk, so that it would pass for one that is cut short.
"""

import re

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
XENSERVER = re.compile(r"(?:^|/)Ref:\d+/\d{8}$")
"""A mebibyte of a disk in an XVA; those that are empty are left out, so that numbers are no sign."""

NUMBERED = re.compile(r"(?P<stem>.+\.(?:part)?)(?P<count>\d{2,3}|\d{9})|(?P<word>.+\.part)(?P<short>\d)")
EXTENT = re.compile(r"(?P<stem>.+-[fs])(?P<count>\d{3,6})(?P<end>\.vmdk)", re.IGNORECASE)
LETTERED = re.compile(r"(?P<stem>.+\.|(?:.*/)?x)(?P<letters>[a-z]{2,3})")


def is_piece(name: str) -> bool:
    """Return whether a member is a piece of a disk by its name alone."""
    return XENSERVER.search(name) is not None


def neighbours(name: str) -> set[str]:
    """Return the names that the parts before and behind this one would have: `disk.raw.01`, `xab`."""
    extent, numbered, lettered = (shape.fullmatch(name) for shape in (EXTENT, NUMBERED, LETTERED))
    if extent:
        return {extent["stem"] + count + extent["end"] for count in _around(extent["count"])}
    if numbered:
        stem, count = numbered["stem"] or numbered["word"], numbered["count"] or numbered["short"]
        return {stem + other for other in _around(count)}
    if lettered:
        number = 0
        for letter in lettered["letters"]:
            number = number * len(ALPHABET) + ALPHABET.index(letter)
        width = len(lettered["letters"])
        return {lettered["stem"] + _letters(other, width) for other in (number - 1, number + 1) if other >= 0}
    return set()


def _around(count: str) -> list[str]:
    return [f"{other:0{len(count)}}" for other in (int(count) - 1, int(count) + 1) if other >= 0]


def _letters(number: int, width: int) -> str:
    letters = ""
    for _ in range(width):
        number, place = divmod(number, len(ALPHABET))
        letters = ALPHABET[place] + letters
    return letters
