"""Checks on the bytes of a head before the parser sees them."""

import re

_LENGTH = re.compile(
    rb"content-length:[ \t]*([0-9]{1,20}(?:[ \t]*,[ \t]*[0-9]{1,20})*)[ \t]*\r\n", re.IGNORECASE
)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")
_NAME = b"content-length:"
_MAX_LINE_BYTES = 512
_PREFACE_BYTES = 9
_SETTINGS, _GOAWAY = 4, 7


class Heads:
    """Merges Content-Length fields that say the same; what differs is left for the parser to refuse.

    Every byte but those of a field that only repeats another is passed on at
    once, so that nonsense is refused as soon as it comes.

    Source: RFC 9110 section 8.6.
    """

    def __init__(self) -> None:
        self._preface = b""
        self._is_over = False
        self._begin()

    def _begin(self) -> None:
        self._status = b""
        self._is_first = True
        self._is_inside = True
        self._held = b""
        self._repeated = b""
        self._length: bytes | None = None

    @property
    def is_http2(self) -> bool:
        """Return whether the connection began with a frame of HTTP/2 instead.

        Source: RFC 9113 section 3.4.
        """
        first = self._preface
        is_frame = len(first) == _PREFACE_BYTES and first[0] == 0 and first[5:] == bytes(4)
        return is_frame and first[3] in {_SETTINGS, _GOAWAY}

    def pass_on(self, data: bytes) -> bytes:
        """Take the next bytes of the connection; give those that the parser may see now."""
        self._preface += data[: _PREFACE_BYTES - len(self._preface)]
        out = b""
        data, self._held = self._held + data, b""
        while data and not self._is_over and not self._held:
            passed, data = self._line(data)
            out += passed
        return out + data if self._is_over else out

    def _line(self, data: bytes) -> tuple[bytes, bytes]:
        """Pass on what can be judged of a line; return the rest."""
        if self._is_inside:
            return self._rest_of_line(data)
        before = b""
        if self._repeated and data[:1] in b" \t":
            before = self._repeated  # It goes on in this line, so it is no mere repetition.
        self._repeated = b""
        if data == b"\r" or (len(data) < len(_NAME) and _NAME.startswith(data.lower())):
            self._held = data
            return before, b""
        if data.startswith((b"\r\n", b"\n")):
            self._end()
            end = data.index(b"\n") + 1
            return before + data[:end], data[end:]
        if data[: len(_NAME)].lower() != _NAME:
            self._is_inside = True
            return before, data
        return self._length_line(before, data)

    def _rest_of_line(self, data: bytes) -> tuple[bytes, bytes]:
        end = data.find(b"\n") + 1
        line = data[:end] if end else data
        if self._is_first:
            self._status = (self._status + line)[:16]
        if end:
            self._is_inside = self._is_first = False
        return line, data[len(line) :]

    def _length_line(self, before: bytes, data: bytes) -> tuple[bytes, bytes]:
        end = data.find(b"\n") + 1
        if not end and len(data) < _MAX_LINE_BYTES:
            self._held = data
            return before, b""
        match = _LENGTH.fullmatch(data[:end])
        values = set(re.split(rb"[ \t]*,[ \t]*", match[1])) if match else set()
        if len(values) != 1:
            self._is_inside = True
            return before, data
        value = values.pop()
        if self._length is None:
            self._length = value
            return before + b"Content-Length: " + value + b"\r\n", data[end:]
        if value == self._length:
            self._repeated = data[:end]
            return before, data[end:]
        self._is_inside = True
        return before, data

    def _end(self) -> None:
        if _INTERIM.match(self._status):
            self._begin()
        else:
            self._is_over = True
