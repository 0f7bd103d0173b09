"""All that a checksum file says, read line by line in whichever dialect each line is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files import blocks, bsd, columns, gentoo, gnu, headings, pairs, powershell
from fetcher.parsers.checksum_files.algorithms import algorithm_in, settle
from fetcher.parsers.checksum_files.signed import inside
from fetcher.parsers.checksum_files.text import check_kind, plain_line, plain_lines
from fetcher.parsers.checksum_files.values import Entry

MAX_CHARACTERS = 8_192  # Of a line: a path of 4,096 bytes and its digest, and room to spare.


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The entries of a checksum file.

    Args:
        entries: With their algorithms settled; those whose algorithm cannot be are left out.
        file_names: What the file itself is called: as submitted, then as each redirect says.
    """

    entries: tuple[Entry, ...]
    file_names: tuple[str, ...] = ()


def read_listing(text: str, *, file_names: tuple[str, ...] = (), max_lines: int = 10_000) -> Listing:
    """Read a checksum file, or the text inside where it is clear-signed.

    Args:
        text: The whole file.
        file_names: What it is called: `b2sums.txt` tells an algorithm, `x.img.sha256` an image.
        max_lines: More are not read.

    Raises:
        ChecksumFileUnusable: It is no checksum file, or has too many lines.
    """
    text = plain_lines(text)
    if text.count("\n") > max_lines:
        raise ChecksumFileUnusable(reason=f"it has more than {max_lines:,} lines")
    check_kind(text)
    plain = inside(text)
    hint = next(filter(None, map(algorithm_in, file_names)), "")
    entries, strange = _read(plain, hint)
    if any(entry.name is not None for entry in entries) or strange:
        # Digests alone count only where there is nothing else: they could be anything's.
        entries = [entry for entry in entries if entry.name is not None]
    if not entries:
        raise ChecksumFileUnusable(reason="no line of it lists a digest in a known way", kind="unread")
    return Listing(entries=tuple(entries), file_names=file_names)


def _read(text: str, hint: str) -> tuple[list[Entry], bool]:
    """Read all lines; return whether some of them mean nothing here."""
    if found := [entry for entry in blocks.read(text) if settle(entry.algorithm, "", entry.value)]:
        return found, False
    heading, entries, is_strange = "", [], False
    for full in text.split("\n"):
        line = plain_line(full)
        if not line.strip() or line.startswith(("CertUtil:", "CertUtil :")):
            continue
        if named := headings.read(line):
            heading = named
            continue
        if line.lstrip().startswith(("#", ";", "//")):
            continue
        found = list(_line(line)) if len(line) <= MAX_CHARACTERS else []
        is_strange = is_strange or not found
        for entry in found:
            algorithm = settle(entry.algorithm or heading, hint, entry.value)
            if algorithm:
                entries.append(replace(entry, algorithm=algorithm))
    return entries, is_strange


def _line(line: str) -> Iterator[Entry]:
    several = list(gentoo.read(line))
    if several:
        yield from several
        return
    for dialect in (bsd, powershell, gnu, pairs):
        entry = dialect.read(line)
        if entry is not None:
            yield entry
            return
    yield from columns.read(line)
