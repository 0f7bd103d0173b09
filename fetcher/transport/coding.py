"""Content codings that a source applied on the fly, undone in small steps and within bounds."""

import zlib

from fetcher.errors import BadResponse, Truncated

STEP_BYTES = 262_144  # Of output at once: a bomb unfolds no faster than its reader takes it.
# Of input that unfolds to nothing; honest input is hardly larger than what it unfolds to.
SLACK_BYTES = 1_048_576
GZIP = b"\x1f\x8b"

_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15


class Decoder:
    """Undoes gzip or deflate; what is labelled gzip and is none passes as it is.

    Args:
        coding: `gzip` or `deflate`.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._unfolding: zlib._Decompress | None = None
        self._waiting = b""
        self._is_plain = False
        self._has_begun = False
        self._has_ended = False
        self._in_bytes = 0
        self._out_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take bytes as they came.

        Raises:
            BadResponse: They unfold to next to nothing.
        """
        self._waiting += chunk
        self._in_bytes += len(chunk)
        if self._in_bytes > 2 * self._out_bytes + SLACK_BYTES + len(self._waiting):
            raise BadResponse(reason="its content coding holds next to nothing")

    def take(self) -> bytes:
        """Give the next bytes of what was coded; empty where more has to come first.

        Raises:
            BadResponse: The bytes are not coded as they are labelled.
        """
        if not self._has_begun and len(self._waiting) < len(GZIP):
            return b""
        if not self._has_begun:
            self._has_begun = True
            self._is_plain = self._coding == "gzip" and not self._waiting.startswith(GZIP)
        out = b""
        while self._waiting and not out:
            out = self._step()
        self._out_bytes += len(out)
        return out

    def finish(self) -> bytes:
        """Judge the end of the body; gives what was too short to be judged before.

        Raises:
            Truncated: The coded bytes end too early.
        """
        if not self._has_begun:
            rest, self._waiting = self._waiting, b""
            return rest
        if not self._is_plain and self._unfolding is not None:
            raise Truncated(received_bytes=self._in_bytes)
        return b""

    def _step(self) -> bytes:
        if self._is_plain:
            out, self._waiting = self._waiting, b""
            return out
        if self._has_ended and self._coding == "gzip":
            self._waiting = self._waiting.lstrip(b"\0")  # Padding after a member; another one may follow.
            if not self._waiting:
                return b""
        if self._unfolding is None:
            self._has_ended = False
            self._unfolding = zlib.decompressobj(self._bits())
        try:
            out = self._unfolding.decompress(self._waiting, STEP_BYTES)
        except zlib.error as error:
            raise BadResponse(reason="its bytes are not in the content coding that it names") from error
        self._waiting = self._unfolding.unconsumed_tail
        if self._unfolding.eof:
            self._waiting = self._unfolding.unused_data
            self._unfolding = None
            self._has_ended = True
        return out

    def _bits(self) -> int:
        if self._coding == "gzip":
            return _GZIP_BITS
        if self._out_bytes:
            raise BadResponse(reason="bytes follow its content coding")
        head = self._waiting[:2]
        is_zlib = head[0] & 15 == 8 and int.from_bytes(head, "big") % 31 == 0
        return _ZLIB_BITS if is_zlib else _RAW_BITS
