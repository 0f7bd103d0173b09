"""Takes the disk out of a zip, from its first byte to its last.

Specification: see `zip_headers`.
Taken: members that are stored or deflated, with or without data descriptors, zip64, folder entries.
    Links beside the disk, which only the directory tells from files, where they lead to a place inside.
Refused: gaps and overlaps, since each record has to follow the one before; a central directory that
    says anything else than the members do; encryption, other methods, parts, other links, anything but
    zeros behind the end.
"""

import zlib
from collections.abc import Generator

from fetcher.errors import TooManyBytes
from fetcher.parsers.archives.names import read_name
from fetcher.unpack.archives.zip_headers import (
    CENTRAL,
    CENTRAL_SIGN,
    DEFLATED,
    DESCRIPTOR_SIGN,
    END,
    END64,
    END64_SIGN,
    END_SIGN,
    FULL32,
    LOCAL,
    LOCAL_SIGN,
    LOCATOR,
    LOCATOR_SIGN,
    STORED,
    Entry,
    broken,
    check_central,
    check_end,
    check_end64,
    no_length,
    read_local,
)
from fetcher.unpack.contents import Contents, Use
from fetcher.unpack.decoders import inflate_bare
from fetcher.unpack.packed import MAX_SLICE_BYTES, MIN_SLICE_BYTES, decode
from fetcher.unpack.steps import NOTHING, Back, Exactly, Out, Step, Steps, Upto
from fetcher.unpack.values import MAX_PIECE_BYTES, Layer, UnpackLimits, any_bytes

HEAD_BYTES = 512
CUT_SHORT = "the archive ends in the middle"
MAX_END64_BYTES = 65_536
MAX_LINK_BYTES = 1_024

Read = Generator[Step, bytes | memoryview, bytes]


class Zip:
    """One zip archive.

    Args:
        layer: For messages.
        limits: What an archive may hold.
        contents: Decides about each member.
    """

    def __init__(self, layer: Layer, limits: UnpackLimits, contents: Contents) -> None:
        self._layer = layer
        self._limits = limits
        self._contents = contents
        self._at = 0
        self._entries: list[Entry] = []
        self._inflated_bytes = 0

    def steps(self) -> Steps:
        """Read member after member, yield the bytes of the chosen one, then compare the directory.

        Raises:
            Failure: The archive breaks a rule above, or one of `contents`.
        """
        while (sign := (yield from self._exactly(4))) == LOCAL_SIGN:
            yield from self._member()
        start = self._at - 4
        for entry in self._entries:
            if sign != CENTRAL_SIGN:
                raise broken("directory", "its central directory does not list each member once, in order")
            yield from self._central(entry)
            sign = yield from self._exactly(4)
        yield from self._end(sign, start, self._at - 4 - start)
        self._contents.conclude()

    def _exactly(self, length: int) -> Read:
        if not length:
            return b""
        data = yield Exactly(length)
        self._at += len(data)
        if len(data) < length:
            raise broken("cut-short", CUT_SHORT)
        return bytes(data)

    def _member(self) -> Steps:
        """Read one member with its header and what describes it."""
        offset = self._at - 4
        block = yield from self._exactly(LOCAL.size)
        name_length, extra_length = LOCAL.unpack(block)[-2:]
        names = yield from self._exactly(name_length + extra_length)
        entry = read_local(block, names, offset)
        self._entries.append(entry)
        reader = _Reader(entry, self._contents)
        if entry.method == DEFLATED:
            packed = yield from self._inflate(entry, reader)
        else:
            packed = yield from self._copy(entry, reader)
        yield from reader.end()
        yield from self._check(entry, reader, packed)
        entry.text = reader.text

    def _inflate(self, entry: Entry, reader: "_Reader") -> Generator[Step, bytes | memoryview, int]:
        """Inflate a member and return how long it was."""
        decoder = inflate_bare()
        left = 1 << 63 if entry.is_described else entry.packed_bytes
        size, used = MIN_SLICE_BYTES, 0
        data: bytes | memoryview = NOTHING
        while not decoder.eof:
            data = NOTHING
            if decoder.needs_input:
                data = (yield Exactly(min(size, left - used))) if left > used else NOTHING
                if not data:
                    raise broken(
                        "cut-short", CUT_SHORT if left > used else "a member is longer than its header says"
                    )
                used += len(data)
                size = min(size * 2, MAX_SLICE_BYTES)
            piece = decode(self._layer.packing, decoder, data)
            self._count(len(piece))
            yield from reader.give(piece)
        unused = len(decoder.unused_data or NOTHING)
        if unused:
            yield Back(unused)
        self._at += used - unused
        return used - unused

    def _copy(self, entry: Entry, reader: "_Reader") -> Generator[Step, bytes | memoryview, int]:
        """Copy a stored member, whose length its header has to state."""
        left = entry.packed_bytes
        while left:
            data = yield Upto(min(left, MAX_PIECE_BYTES))
            if not data:
                raise broken("cut-short", CUT_SHORT)
            left -= len(data)
            self._at += len(data)
            self._count(len(data))
            yield from reader.give(data)
        return entry.packed_bytes

    def _count(self, size: int) -> None:
        """Count what comes out of all members, also of those that are not taken."""
        self._inflated_bytes += size
        if self._inflated_bytes > self._limits.max_layer_bytes:
            raise TooManyBytes(max_bytes=self._limits.max_layer_bytes)

    def _check(self, entry: Entry, reader: "_Reader", packed: int) -> Steps:
        """Compare what was read with the header or with the descriptor behind the content."""
        counted = (reader.crc, packed, reader.size)
        if not entry.is_described:
            if counted != (entry.crc, entry.packed_bytes, entry.size):
                raise broken("damaged", "a member's length or check sum is not what its header says")
            return
        entry.crc, entry.packed_bytes, entry.size = counted
        sign = yield from self._exactly(4)
        if entry.method == STORED and not packed and sign != DESCRIPTOR_SIGN:
            raise no_length()
        crc = (yield from self._exactly(4)) if sign == DESCRIPTOR_SIGN else sign
        narrow = b"".join(min(number, FULL32).to_bytes(4, "little") for number in counted[1:])
        wide = b"".join(number.to_bytes(8, "little") for number in counted[1:])
        sizes = yield from self._exactly(8)
        if sizes == wide[:8] and (entry.is_zip64 or sizes != narrow):
            sizes += yield from self._exactly(8)
        wrapped = b"".join((number & FULL32).to_bytes(4, "little") for number in counted[1:])
        if sizes == wrapped and max(counted[1:]) > FULL32:
            raise broken(
                "zip64", "a member is longer than its lengths of 4 bytes can say, as a Mac writes it"
            )
        if crc != reader.crc.to_bytes(4, "little") or sizes not in {narrow, wide}:
            raise broken("damaged", "a member's length or check sum is not what follows it")

    def _central(self, entry: Entry) -> Steps:
        block = yield from self._exactly(CENTRAL.size)
        name_length, extra_length, comment_length = CENTRAL.unpack(block)[8:11]
        names = yield from self._exactly(name_length + extra_length + comment_length)
        if check_central(block, names, entry):
            if entry.size > MAX_LINK_BYTES:
                raise broken("member-type", "a link leads to a place of too long a name")
            self._contents.find_link(entry.name, read_name(entry.text))

    def _end(self, sign: bytes, start: int, size: int) -> Steps:
        """Read the records that end the file, and nothing behind them."""
        entries, is_zip64 = len(self._entries), False
        if sign == END64_SIGN:
            is_zip64 = True
            offset = self._at - 4
            length = int.from_bytes((yield from self._exactly(8)), "little")
            if not END64.size <= length <= MAX_END64_BYTES:
                raise broken("directory", "the record at its end is malformed")
            check_end64((yield from self._exactly(length)), entries=entries, size=size, offset=start)
            locator = yield from self._exactly(4 + LOCATOR.size)
            if locator != LOCATOR_SIGN + LOCATOR.pack(0, offset, 1):
                raise broken("directory", "the record at its end is malformed")
            sign = yield from self._exactly(4)
        if sign != END_SIGN:
            raise broken("directory", "its central directory does not list each member once, in order")
        block = yield from self._exactly(END.size)
        comment = check_end(block, entries=entries, size=size, offset=start, is_zip64=is_zip64)
        said = yield from self._exactly(comment)
        if END_SIGN in said or LOCATOR_SIGN in said:  # Readers look for the last one.
            raise broken("directory", "its comment looks like a second end")
        while data := (yield Upto(MAX_PIECE_BYTES)):  # Who writes to a pipe pads it with zeros.
            self._layer.padding_bytes += len(data)
            if any_bytes(data):
                raise broken("trailing-bytes", "something follows its end")


class _Reader:
    """The content of one member on its way: counted, shown to `contents`, and given out if it is the disk.

    Args:
        entry: Its header.
        contents: Is asked once the first bytes are there.
    """

    def __init__(self, entry: Entry, contents: Contents) -> None:
        self._entry = entry
        self._contents = contents
        self._head: bytes | None = b""
        self._use = Use.SKIP
        self.crc = 0
        self.size = 0
        self.text = b""

    def give(self, piece: bytes | memoryview) -> Steps:
        """Take the next bytes."""
        self.crc = zlib.crc32(piece, self.crc)
        self.size += len(piece)
        self.text = self.text + piece if self.size <= MAX_LINK_BYTES else b""
        if self._head is not None:
            piece = self._head + bytes(piece)
            self._head = piece
            if len(piece) < HEAD_BYTES:
                return
            self._open()
        yield from self._pass(piece)

    def _open(self) -> None:
        head, self._head = self._head or b"", None
        size = None if self._entry.is_described else self._entry.size
        self._use = self._contents.open(self._entry.name, size, head[:HEAD_BYTES])

    def _pass(self, piece: bytes | memoryview) -> Steps:
        self._contents.take(piece)
        if self._use is not Use.DISK:
            return
        for at in range(0, len(piece), MAX_PIECE_BYTES):
            yield Out(piece[at : at + MAX_PIECE_BYTES] if len(piece) > MAX_PIECE_BYTES else piece)

    def end(self) -> Steps:
        """End the member."""
        if self._head is None:
            self._contents.close()
        elif self._entry.name.endswith("/") and not self.size:
            self._contents.note_folder(self._entry.name)
        else:
            head = self._head
            self._open()
            if head:
                yield from self._pass(head)
            self._contents.close()
