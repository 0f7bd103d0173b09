"""Takes the disk out of a tar archive: plain ones, OVAs and boxes.

Specifications: see `tar_headers`; DMTF DSP0243 2.1 section 5.3 (OVA); Vagrant, "Box File Format".
Taken: regular files and folders, also those of incremental archives; names by ustar, pax and GNU; sizes in
    octal, pax and GNU's binary form; sparse files of GNU (old format, pax 0.0, 0.1 and 1.0), whose holes come
    out as zeros. Links beside the disk are stepped over, where they lead to a place inside the archive.
Refused: other links, devices and pipes; names that leave the archive; archives without the zeros that end
    one; anything but zeros behind them.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from fetcher.errors import TooManyBytes, UnpackFailed
from fetcher.unpack.archives.tar_headers import (
    BLOCK_BYTES,
    MAX_PIECES,
    SPARSE_FIRST,
    SPARSE_NEXT,
    Header,
    SparseMap,
    broken,
    read_header,
    read_number,
    read_records,
    read_sparse_entries,
    read_sparse_text,
)
from fetcher.unpack.contents import Contents, Use
from fetcher.unpack.names import read_name
from fetcher.unpack.steps import Exactly, Out, Step, Steps, Upto
from fetcher.unpack.values import MAX_PIECE_BYTES, Layer, UnpackLimits, any_bytes, plain, zeros

REGULAR, FOLDER, GNU_SPARSE = "0", "5", "S"
LISTED_FOLDER = "D"  # Of an incremental archive of GNU tar, with the names of what the folder held.
HARD_LINK, SYMBOLIC_LINK = "1", "2"
DEVICES, CONTINUED = "346", "M"
PAX_LOCAL, PAX_GLOBAL, GNU_NAME, GNU_LINK = "x", "g", "L", "K"
IGNORED = "V"  # A volume's label, which has no content.
MAX_NAME_BYTES = 4_096
MAX_GLOBAL_BYTES = 65_536  # Of headers that speak of all members, and are looked at for each.
MAX_LONG_HEADERS = 4  # So many members may have an extended header, or a map, of the greatest length.
CUT_SHORT = "the archive ends in the middle"

Read = Generator[Step, bytes | memoryview, bytes]


@dataclass
class _Pending:
    """The extended headers of the next member."""

    records: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    target: str | None = None
    header_bytes: int = 0


class Tar:
    """One tar archive.

    Args:
        layer: For messages.
        limits: What an archive may hold.
        contents: Decides about each member.
    """

    def __init__(self, layer: Layer, limits: UnpackLimits, contents: Contents) -> None:
        self._layer = layer
        self._limits = limits
        self._contents = contents
        self._global: dict[str, str] = {}
        self._global_bytes = 0
        self._all_header_bytes = 0
        self._headers = 0

    def steps(self) -> Steps:
        """Read member after member, and yield the bytes of the chosen one.

        Raises:
            Failure: The archive breaks a rule above, or one of `contents`.
        """
        pending = _Pending(dict(self._global))
        while any(block := (yield from exactly(BLOCK_BYTES))):
            header = read_header(block)
            if header is None or header.size is None:
                raise broken("header", "the header of a member is damaged")
            self._count()
            if (yield from self._extended(header, pending)):
                continue
            yield from self._member(header, pending)
            pending = _Pending(dict(self._global))
        yield from self._end()
        self._contents.conclude()

    def _count(self) -> None:
        """Count headers, also those that are no members."""
        self._headers += 1
        if self._headers > 4 * self._limits.max_members:
            raise broken("members", f"it has more than {self._limits.max_members:,} members")

    def _spend(self, size: int) -> None:
        """Count what is read besides content: parsing it costs far more than its bytes."""
        self._all_header_bytes += size
        if self._all_header_bytes > MAX_LONG_HEADERS * self._limits.max_header_bytes:
            raise broken("header", "its extended headers and maps are too long")

    def _extended(self, header: Header, pending: _Pending) -> Generator[Step, bytes | memoryview, bool]:
        """Read a header that speaks of the next member; false when it is a member itself."""
        size = header.size or 0
        if header.kind in PAX_LOCAL + PAX_GLOBAL:
            pending.header_bytes += size
            self._global_bytes += size if header.kind == PAX_GLOBAL else 0
            is_long = pending.header_bytes > self._limits.max_header_bytes
            if is_long or self._global_bytes > MAX_GLOBAL_BYTES:
                raise broken("header", "its extended headers are too long")
            self._spend(size)
            records = read_records((yield from padded(size)))
            pending.records |= records
            if header.kind == PAX_GLOBAL:
                self._global |= records
            return True
        if header.kind in GNU_NAME + GNU_LINK:
            if size > MAX_NAME_BYTES:
                raise broken("header", "the name of a member is too long")
            text = read_name((yield from padded(size)).split(b"\0", 1)[0])
            if header.kind == GNU_NAME:
                pending.name = text
            else:
                pending.target = text
            return True
        return header.kind == IGNORED and not size

    def _member(self, header: Header, pending: _Pending) -> Steps:
        records = pending.records
        name = records.get("GNU.sparse.name") or pending.name or records.get("path") or header.name
        stored = self._stored_bytes(header, records)
        if header.kind == LISTED_FOLDER:
            self._contents.note_folder(name)
            yield from self._rest(stored)
            yield from padding(stored)
        elif header.kind == FOLDER or (header.kind == REGULAR and name.endswith("/")):
            if stored:
                raise broken("member-type", "a folder has content")
            self._contents.note_folder(name)
        elif header.kind in REGULAR + GNU_SPARSE:
            yield from self._file(header, records, name, stored)
        elif header.kind in HARD_LINK + SYMBOLIC_LINK:
            if stored:
                raise broken("member-type", "a link has content")
            target = pending.target or records.get("linkpath") or header.target
            self._contents.note_link(name, target, is_hard=header.kind == HARD_LINK)
        else:
            raise broken("member-type", f"{_words_of(header.kind)}, not a regular file")

    def _stored_bytes(self, header: Header, records: dict[str, str]) -> int:
        text = records.get("size")
        if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 19):
            raise broken("header", "an extended header is malformed")
        size = (header.size or 0) if text is None else int(text)
        if size > self._limits.max_layer_bytes:
            raise TooManyBytes(max_bytes=self._limits.max_layer_bytes, declared_bytes=size)
        return size

    def _file(self, header: Header, records: dict[str, str], name: str, stored: int) -> Steps:
        """Read a regular file, with its holes where it has any."""
        sparse, stored_left = yield from self._sparse_map(header, records, stored)
        if sparse is None:
            sparse = SparseMap(pieces=((0, stored),), real_bytes=stored)
        sparse.check(stored_left)
        first = sparse.pieces[0] if sparse.pieces else (0, 0)
        peek = yield from exactly(min(BLOCK_BYTES, first[1]) if first[0] == 0 else 0)
        head = peek or bytes(min(BLOCK_BYTES, sparse.real_bytes))
        use = self._contents.open(name, sparse.real_bytes, head)
        if use is Use.DISK:
            yield from self._disk(sparse, peek)
        else:
            self._contents.take(peek)
            yield from self._rest(stored_left - len(peek))
        self._contents.close()
        yield from padding(stored)

    def _disk(self, sparse: SparseMap, peek: bytes) -> Steps:
        """Yield the disk: what has been read of it, its regions, and zeros for its holes."""
        at = 0
        for offset, length in sparse.pieces:
            yield from self._hole(offset - at)
            at = offset + length
            if peek:
                self._contents.take(peek)
                yield Out(peek)
            yield from self._region(length - len(peek))
            peek = b""
        yield from self._hole(sparse.real_bytes - at)

    def _hole(self, length: int) -> Steps:
        for run in zeros(length):
            self._contents.take(plain(run))
            yield Out(run)

    def _region(self, length: int) -> Steps:
        while length:
            data = yield Upto(min(length, MAX_PIECE_BYTES))
            if not data:
                raise broken("cut-short", CUT_SHORT)
            length -= len(data)
            self._contents.take(data)
            yield Out(data)

    def _rest(self, length: int) -> Steps:
        """Read a member that is not the disk."""
        while length:
            data = yield Upto(min(length, MAX_PIECE_BYTES))
            if not data:
                raise broken("cut-short", CUT_SHORT)
            length -= len(data)
            self._contents.take(data)

    def _sparse_map(
        self, header: Header, records: dict[str, str], stored: int
    ) -> Generator[Step, bytes | memoryview, tuple[SparseMap | None, int]]:
        """Read where the holes of a file are, and how much of its stored bytes is then left."""
        if header.kind == GNU_SPARSE:
            return (yield from self._old_map(header)), stored
        if records.get("GNU.sparse.major") == "1":
            return (yield from self._map_in_front(records, stored))
        listed = records.get("GNU.sparse.map")
        if listed is None:
            if any(key.startswith("GNU.sparse.") for key in records):
                raise broken("sparse", "the map of a sparse file is in an unknown format")
            return None, stored
        numbers = listed.split(",") if listed else []
        if len(numbers) > 2 * MAX_PIECES:
            raise broken("sparse", "a sparse file has too many regions")
        return read_sparse_text(numbers, records.get("GNU.sparse.size")), stored

    def _old_map(self, header: Header) -> Generator[Step, bytes | memoryview, SparseMap]:
        block = header.block
        pieces = read_sparse_entries(block, SPARSE_FIRST, 4)
        real = read_number(block[483:495])
        more = block[482]
        while more:
            block = yield from exactly(BLOCK_BYTES)
            self._spend(BLOCK_BYTES)
            pieces += read_sparse_entries(block, SPARSE_NEXT, 21)
            more = block[504]
            if len(pieces) > MAX_PIECES:
                raise broken("sparse", "a sparse file has too many regions")
        if real is None:
            raise broken("sparse", "the map of a sparse file is malformed")
        return SparseMap(pieces=tuple(pieces), real_bytes=real)

    def _map_in_front(
        self, records: dict[str, str], stored: int
    ) -> Generator[Step, bytes | memoryview, tuple[SparseMap, int]]:
        """Read a map of pax format 1.0: a count and numbers, a line each, before the content."""
        text, lines, wanted = bytearray(), 0, 0
        while not wanted or lines < wanted:
            if len(text) >= min(stored, self._limits.max_header_bytes):
                raise broken("sparse", "the map of a sparse file is malformed")
            block = yield from exactly(BLOCK_BYTES)
            self._spend(BLOCK_BYTES)
            text += block
            lines += block.count(b"\n")
            if lines and not wanted:
                count = bytes(text[: text.index(b"\n")])
                if not count.isdigit() or len(count) > 7 or int(count) > MAX_PIECES:
                    raise broken("sparse", "a sparse file has too many regions")
                wanted = 1 + 2 * int(count)
        used = len(text)
        numbers = text.decode("latin-1").split("\n")[1:wanted]
        return read_sparse_text(numbers, records.get("GNU.sparse.realsize")), stored - used

    def _end(self) -> Steps:
        """Read the zeros behind the last member, up to the end of the file."""
        while data := (yield Upto(MAX_PIECE_BYTES)):
            self._layer.padding_bytes += len(data)
            if any_bytes(data):
                raise UnpackFailed(
                    packing=self._layer.packing,
                    rule="trailing-bytes",
                    reason="something follows the end of the archive",
                    hint="Remove what follows, or make the archive anew.",
                )


def _words_of(kind: str) -> str:
    """Return what a member is that is neither a file nor a folder nor a link."""
    if kind in DEVICES:
        return "a member is a device or a pipe"
    return (
        "a member continues one of several archives"
        if kind == CONTINUED
        else "a member is of a kind not known"
    )


def exactly(length: int) -> Read:
    """Read so many bytes, all of them.

    Raises:
        UnpackFailed: The archive ends before.
    """
    if not length:
        return b""
    data = yield Exactly(length)
    if len(data) < length:
        raise broken("cut-short", CUT_SHORT)
    return bytes(data)


def padded(length: int) -> Read:
    """Read the content of an extended header and what fills its last block."""
    data = yield from exactly(length)
    yield from padding(length)
    return data


def padding(length: int) -> Steps:
    """Step over what fills the last block of a member."""
    yield from exactly(-length % BLOCK_BYTES)
