"""The lines of a head before the parser joins them: whether two readers could read them in two ways."""

import re

# What decides where an answer ends, where it leads, and what its bytes are.
DECIDING = frozenset(
    {
        *(b"content-length", b"transfer-encoding", b"content-encoding", b"content-range", b"location"),
        *(b"connection", b"trailer", b"upgrade", b"etag", b"last-modified", b"retry-after"),
    }
)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")
_KEPT_BYTES = 64
_CR = 0x0D


class HeadLines:
    """Looks at the bytes of a connection until its head is over.

    A line ends with CR and LF here, though a recipient may also take LF alone
    (RFC 9112 section 2.2): readers between us and the source that do not
    would see another head. A field that goes on in the next line, which has
    been obsolete for long (section 5.2), is read as one blank where it
    decides nothing, and refused where it does.
    """

    def __init__(self) -> None:
        self._is_over = False
        self._begin()

    def _begin(self) -> None:
        self._is_first = True
        self._status = b""
        self._name = b""
        self._begin_line()

    def _begin_line(self) -> None:
        self._line = b""
        self._size = 0
        self._last = 0

    def objection(self, data: bytes) -> str:
        """Take the next bytes; say what is wrong with them, or nothing."""
        while data and not self._is_over:
            end = data.find(b"\n") + 1
            piece, data = (data[:end], data[end:]) if end else (data, b"")
            self._line = (self._line + piece[:_KEPT_BYTES])[:_KEPT_BYTES]
            self._size += len(piece)
            before = piece[-2] if end and len(piece) > 1 else self._last
            self._last = piece[-1]
            found = self._end_line(before) if end else ""
            if found:
                return found
        return ""

    def _end_line(self, before: int) -> str:
        line, size = self._line, self._size
        self._begin_line()
        if before != _CR:
            return "a line of its head ends without CR"
        if size == len(b"\r\n"):
            self._end()
        elif self._is_first:
            self._is_first, self._status = False, line
        elif line[:1] in {b" ", b"\t"}:
            if self._name in DECIDING:
                return "a field that decides something goes on in the next line"
        else:
            self._name = line.partition(b":")[0].strip().lower()
        return ""

    def _end(self) -> None:
        if self._is_first:
            return  # Empty lines before the first one: the parser skips them.
        if _INTERIM.match(self._status):
            self._begin()
        else:
            self._is_over = True
