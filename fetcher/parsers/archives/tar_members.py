"""The members of a tar: what their own header and the extended ones in front of it come to.

Specifications: POSIX.1-2017 pax, "pax Extended Header" (its records precede the header's fields); GNU tar
manual, "Basic Tar Format" (types L and K, a name and a target that are too long for a header).
Readers differ where several headers say the same thing, so every possible reading is listed, too.
"""

from collections import Counter
from dataclasses import dataclass

from fetcher.parsers.archives.names import read_name
from fetcher.parsers.archives.tar_headers import (
    BLOCK_BYTES,
    DECIMAL,
    Header,
    read_header,
    read_records,
)

PAX_LOCAL, PAX_GLOBAL, GNU_NAME, GNU_TARGET = "x", "g", "L", "K"
EXTENDING = frozenset({PAX_LOCAL, PAX_GLOBAL, GNU_NAME, GNU_TARGET})
"""The kinds of headers that speak of the member behind them."""

MAX_NAMING_BYTES = 8_192
"""Of extended headers that are read for the first name: no path is longer, and reading records is dear."""

MAX_OCTAL = 0o77777777777
"""The largest size that a field of octal digits holds: a larger one stands in an extended header alone."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member, with what its extended headers say.

    Args:
        header: Its own.
        name: The one that holds: of the extended header of pax, else GNU's long one, else the header's.
        names: All that some reader takes for it; one where readers agree.
        size: Bytes of content that follow; None where the number is none.
        sizes: All that some reader takes for it.
        target: What a link leads to.
        records: Of pax: those of this member over those of all members.
        shared: The keys that an extended header for all members has.
        is_repeated: Two extended headers of one kind speak of it: readers take the first, or the last.
    """

    header: Header
    name: str
    names: frozenset[str]
    size: int | None
    sizes: frozenset[int]
    target: str
    records: dict[str, str]
    shared: frozenset[str]
    is_repeated: bool


class Extensions:
    """The extended headers of the member that comes next, and those of all members."""

    def __init__(self) -> None:
        self._shared: dict[str, str] = {}
        self._clear()

    def _clear(self) -> None:
        self._records: dict[str, str] = {}
        self._name: str | None = None
        self._target: str | None = None
        self._counts: Counter[str] = Counter()

    @property
    def are_pending(self) -> bool:
        """Return whether a header has been read since the last member."""
        return bool(self._counts)

    def take(self, header: Header, content: bytes) -> None:
        """Read a header of one of the kinds in `EXTENDING`.

        Raises:
            ValueError: A record of it is malformed.
        """
        self._counts[header.kind] += 1
        if header.kind == PAX_LOCAL:
            self._records |= read_records(content)
        elif header.kind == PAX_GLOBAL:
            self._shared |= read_records(content)
        elif header.kind == GNU_NAME:
            self._name = read_name(content.split(b"\0", 1)[0])
        else:
            self._target = read_name(content.split(b"\0", 1)[0])

    def member(self, header: Header) -> Member:
        """Return the member that a header begins, and forget what spoke of it alone."""
        records = self._shared | self._records if self._shared else self._records
        given = [records.get("GNU.sparse.name"), records.get("path"), self._name]
        names = [name for name in given if name is not None] or [header.name, header.other_name]
        size = header.size if "size" not in records else _size(records["size"])
        # A header has no place for so large a size, and says zero instead.
        is_too_large = header.size == 0 and (size or 0) > MAX_OCTAL
        sizes = {size, size if is_too_large else header.size}
        member = Member(
            header=header,
            name=next(filter(None, names), header.name),
            names=frozenset(names),
            size=size,
            sizes=frozenset(one for one in sizes if one is not None),
            target=self._target or records.get("linkpath") or header.target,
            records=records,
            shared=frozenset(self._shared),
            is_repeated=any(count > 1 for count in self._counts.values()),
        )
        self._clear()
        return member


def _size(text: str) -> int | None:
    return int(text) if text.isascii() and DECIMAL.fullmatch(text.encode()) else None


def first_name(beginning: bytes) -> str | None:
    """Return the name of the first member, as far as a beginning tells; None: it is no archive.

    An extended header that is malformed says nothing. Where those that name the member are longer than
    `MAX_NAMING_BYTES`, or the beginning is too short, the name is not found out, and empty.
    """
    extensions, at, naming = Extensions(), 0, 0
    header = read_header(beginning[:BLOCK_BYTES])
    if header is None:
        return None
    while header is not None and header.kind in EXTENDING and header.size is not None:
        at += BLOCK_BYTES
        content = beginning[at : at + header.size]
        if b"path=" not in content and header.kind in (PAX_LOCAL, PAX_GLOBAL):
            content = b""
        naming += len(content)
        if naming > MAX_NAMING_BYTES:
            return ""
        try:
            extensions.take(header, content)
        except ValueError:
            extensions = Extensions()
        at += -(-header.size // BLOCK_BYTES) * BLOCK_BYTES
        header = read_header(beginning[at : at + BLOCK_BYTES])
    return "" if header is None else extensions.member(header).name
