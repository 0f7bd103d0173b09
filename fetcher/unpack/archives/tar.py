"""Takes the disk out of a tar archive: plain ones, OVAs and boxes.

Specifications: see `tar_sparse`, and the parsers of headers and members; DMTF DSP0243 2.1 section 5.3 (OVA);
    Vagrant, "Box File Format".
Taken: regular files and folders, also those of incremental archives; names by ustar, pax and GNU; sizes in
    octal, pax and GNU's binary form; sparse files of GNU (old format, pax 0.0, 0.1 and 1.0), whose holes come
    out as zeros. Links beside the disk are stepped over, where they lead to a place inside the archive.
Refused: other links, devices and pipes; names that leave the archive; anything but zeros behind the block of
    zeros that ends an archive. One without that block is taken where something else shows that it is whole,
    because it looks like one that is cut between two members.
"""

from collections.abc import Callable

from fetcher.errors import TooManyBytes, UnpackFailed
from fetcher.parsers.archives.tar_headers import BLOCK_BYTES, LABEL, Header, read_header
from fetcher.parsers.archives.tar_members import EXTENDING, PAX_GLOBAL, PAX_LOCAL, Extensions, Member
from fetcher.unpack.archives.tar_reading import CUT_SHORT, Read, broken, exactly, padded, padding
from fetcher.unpack.archives.tar_sparse import GNU_SPARSE, SparseMap, SparseReader
from fetcher.unpack.contents import Contents, Use
from fetcher.unpack.steps import Exactly, Out, Steps, Upto
from fetcher.unpack.values import MAX_PIECE_BYTES, Layer, UnpackLimits, any_bytes, plain, zeros

REGULAR, FOLDER = "0", "5"
LISTED_FOLDER = "D"  # Of an incremental archive of GNU tar, with the names of what the folder held.
HARD_LINK, SYMBOLIC_LINK = "1", "2"
DEVICES, CONTINUED = "346", "M"
NO_END = "it ends without the mark of its end, and nothing shows that it is whole"
PROVE = "Submit it with its digest (checksum), which shows that, or make the archive anew with GNU tar."
MAX_NAME_BYTES = 4_096
MAX_GLOBAL_BYTES = 65_536  # Of headers that speak of all members, and are looked at for each.
MAX_LONG_HEADERS = 4  # So many members may have an extended header, or a map, of the greatest length.


class Tar:
    """One tar archive.

    Args:
        layer: For messages.
        limits: What an archive may hold.
        contents: Decides about each member.
        is_proven: Tells at the end whether something else shows that all bytes came.
    """

    def __init__(
        self, layer: Layer, limits: UnpackLimits, contents: Contents, is_proven: Callable[[], bool]
    ) -> None:
        self._layer = layer
        self._limits = limits
        self._contents = contents
        self._is_proven = is_proven
        self._extensions = Extensions()
        self._sparse = SparseReader(self._spend, limits.max_header_bytes)
        self._global_bytes = 0
        self._pending_bytes = 0
        self._all_header_bytes = 0
        self._headers = 0

    def steps(self) -> Steps:
        """Read member after member, and yield the bytes of the chosen one.

        Raises:
            Failure: The archive breaks a rule above, or one of `contents`.
        """
        while any(block := (yield from self._next())):
            header = read_header(block)
            if header is None or header.size is None:
                raise broken("header", "the header of a member is damaged")
            self._count()
            if header.kind in EXTENDING:
                yield from self._extend(header, header.size)
            elif header.kind != LABEL or header.size:
                yield from self._member(self._extensions.member(header))
                self._pending_bytes = 0
        yield from self._end()
        self._contents.conclude()

    def _next(self) -> Read:
        """Read the next header, or what ends the archive: a block of zeros, or nothing where that will do."""
        block = yield Exactly(BLOCK_BYTES)
        is_between = not block and self._headers > 0 and not self._extensions.are_pending
        if is_between and self._is_proven():
            self._contents.note_missing_end()
        elif is_between:
            raise UnpackFailed(packing="tar", rule="cut-short", reason=NO_END, hint=PROVE)
        elif len(block) < BLOCK_BYTES:
            raise broken("cut-short", CUT_SHORT)
        return bytes(block)

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

    def _extend(self, header: Header, size: int) -> Steps:
        """Read a header that speaks of the next member."""
        if header.kind in PAX_LOCAL + PAX_GLOBAL:
            self._pending_bytes += size
            self._global_bytes += size if header.kind == PAX_GLOBAL else 0
            is_long = self._pending_bytes > self._limits.max_header_bytes
            if is_long or self._global_bytes > MAX_GLOBAL_BYTES:
                raise broken("header", "its extended headers are too long")
            self._spend(size)
        elif size > MAX_NAME_BYTES:
            raise broken("header", "the name of a member is too long")
        content = yield from padded(size)
        try:
            self._extensions.take(header, content)
        except ValueError as error:
            raise broken("header", "an extended header is malformed") from error

    def _member(self, member: Member) -> Steps:
        header, name, stored = member.header, member.name, self._stored_bytes(member)
        if header.kind == LISTED_FOLDER:
            self._contents.note_folder(name)
            yield from self._rest(stored)
            yield from padding(stored)
        elif header.kind == FOLDER or (header.kind == REGULAR and name.endswith("/")):
            if stored:
                raise broken("member-type", "a folder has content")
            self._contents.note_folder(name)
        elif header.kind in REGULAR + GNU_SPARSE:
            yield from self._file(member, stored)
        elif header.kind in HARD_LINK + SYMBOLIC_LINK:
            if stored:
                raise broken("member-type", "a link has content")
            self._contents.note_link(name, member.target, is_hard=header.kind == HARD_LINK)
        else:
            raise broken("member-type", f"{_words_of(header.kind)}, not a regular file")

    def _stored_bytes(self, member: Member) -> int:
        size = member.size
        if size is None:
            raise broken("header", "an extended header is malformed")
        if size > self._limits.max_layer_bytes:
            raise TooManyBytes(max_bytes=self._limits.max_layer_bytes, declared_bytes=size)
        return size

    def _file(self, member: Member, stored: int) -> Steps:
        """Read a regular file, with its holes where it has any."""
        sparse, stored_left = yield from self._sparse.read(member, stored)
        sparse.check(stored_left)
        first = sparse.pieces[0] if sparse.pieces else (0, 0)
        peek = yield from exactly(min(BLOCK_BYTES, first[1]) if first[0] == 0 else 0)
        head = peek or bytes(min(BLOCK_BYTES, sparse.real_bytes))
        use = self._contents.open(member.name, sparse.real_bytes, head)
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
