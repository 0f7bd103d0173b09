"""The bytes of one answer, as they come."""

import asyncio
import hashlib
import time
from collections.abc import Callable

import aiohttp

from fetcher.config import Settings
from fetcher.errors import BadResponse, SourceTooSlow, Truncated
from fetcher.guards.network.heads import Head
from fetcher.guards.network.response import MAX_AWS_CHUNK_BYTES, check_chunks
from fetcher.model import Hop
from fetcher.parsers.digest_headers import parse_digests
from fetcher.transport import faults
from fetcher.transport.body import Body
from fetcher.transport.coding import Decoder
from fetcher.transport.dialling.dial import SourceConnection
from fetcher.transport.dialling.receive_buffer import ReceivePool
from fetcher.transport.request import SourceRequest

# What says something of the bytes or their source; all else is of no use to anybody later.
SHOWN_FIELDS = (
    "content-type",
    "content-length",
    "content-encoding",
    "content-disposition",
    "content-range",
    "etag",
    "last-modified",
    "date",
    "server",
)
_SHOWN_CHARACTERS = 200
LEAST_DIRECT_BYTES = 65_536  # Taking the connection over costs more than it saves on less.


class Source:
    """An answer whose head passed every check.

    Args:
        response: With its body still to come.
        head: What the guard of answers made of it.
        further: Asks the same place once more.

    Attributes:
        hops: All requests that led here.
        status: 200; 206 or 304 where they were asked for.
        declared_bytes: Of the whole representation, if the source says so.
        offset: Where in the whole the bytes begin: 0 but for a range that was honoured.
        etag: None unless well-formed; weak ones begin with W/.
        last_modified: None unless an HTTP date.
        accepts_ranges: The source says that it does.
        headers: Those that describe the bytes, made printable.
        digests: What the source says the whole is: hashlib's names, lower-case hex.
        length_verified: Its end can be distinguished from a broken connection.
        received_bytes: Read so far, of this answer, as they came.
        waited_seconds: Spent waiting for the source so far, and for nothing else.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, head: Head, settings: Settings, further: SourceRequest
    ) -> None:
        self.further = further
        self.status = head.status
        self.declared_bytes = head.declared_bytes
        self.offset = head.offset
        self.etag = head.etag
        self.last_modified = head.last_modified
        self.accepts_ranges = head.accepts_ranges
        self.coding = head.coding
        self.undone = head.undone
        self.headers = shown_headers(response)
        self.hops: tuple[Hop, ...] = ()
        self.digests = stated_digests(response, "Repr-Digest")
        self._part_digest = self._judge_content(stated_digests(response, "Content-Digest"))
        self.length_verified = head.is_chunked or head.body_bytes is not None
        self.received_bytes = 0
        self.waited_seconds = 0.0
        self._content: aiohttp.StreamReader | Body = response.content
        self._has_body = head.status != 304
        self._body_bytes = head.body_bytes
        self._decoder = self._undo(head)
        self._is_unjudged = head.may_hold_chunks and head.offset == 0
        self._is_ended = False
        self._idle_seconds = settings.pace.idle_seconds

    def waited(self) -> float:
        """Tell the seconds spent waiting for the source, as a clock for the rate floor."""
        return self.waited_seconds

    def read_direct(self, connection: SourceConnection, shared: ReceivePool, room: Callable[[], int]) -> None:
        """Read what follows straight from the connection where the head said how long it is.

        A body that has come already, or soon will have, stays with aiohttp.
        """
        content = self._content
        assert isinstance(content, aiohttp.StreamReader)
        left = (self._body_bytes or 0) - content.total_bytes
        if not self._has_body or left < LEAST_DIRECT_BYTES or connection.transport is None:
            return
        self._content = body = Body(connection, shared, content.read_nowait(), left, room)
        body.begin()

    def close(self) -> None:
        """Hold nothing any more."""
        if isinstance(self._content, Body):
            self._content.close()

    async def read(self) -> bytes:
        """Wait for the next bytes and take all that have come; empty at the honest end.

        Raises:
            SourceTooSlow: Silence for longer than allowed.
            Truncated: The connection ended before the body did.
            BadResponse: The body is not framed as the head said.
        """
        if not self._has_body:
            return b""
        if self._decoder is None:
            return await self._read_coded()
        while not self._is_ended:
            if plain := self._decoder.take():
                return plain
            chunk = await self._read_coded()
            if chunk:
                self._decoder.feed(chunk)
                continue
            self._is_ended = True
            return self._decoder.finish()
        return b""

    async def _read_coded(self) -> bytes:
        began = time.monotonic()
        try:
            chunk = await self._next_chunk()
        except TimeoutError as error:
            seconds = self._idle_seconds
            raise SourceTooSlow(reason=f"silent for {seconds:g} seconds", limit_seconds=seconds) from error
        except faults.FOREIGN as error:
            chunk = self._rest()
            if not chunk:
                received = self.offset + self.received_bytes
                raise faults.in_body(error, received, self.declared_bytes) from error
        finally:
            self.waited_seconds += time.monotonic() - began
        self.received_bytes += len(chunk)
        if self._part_digest is not None:
            self._part_digest.update(chunk)
        if not chunk:
            self._check_length()
            self._check_part()
        return await self._judged(chunk) if self._is_unjudged else chunk

    async def _judged(self, beginning: bytes) -> bytes:
        """Let nobody have the first bytes before they are enough to be judged by."""
        self._is_unjudged = False
        while len(beginning) < MAX_AWS_CHUNK_BYTES and (more := await self._read_coded()):
            beginning += more
        check_chunks(beginning)
        return beginning

    async def _next_chunk(self) -> bytes:
        if isinstance(self._content, Body):
            return await self._content.readany(self._idle_seconds)
        if (chunk := self._content.read_nowait()) or self._content.at_eof():
            return chunk  # It is there: nobody has to watch how long it takes.
        async with asyncio.timeout(self._idle_seconds):
            return await self._content.readany()

    def _judge_content(self, stated: dict[str, str]) -> "PartDigest | None":
        """Find out what Content-Digest is of: the whole where all of it comes, else this part.

        Raises:
            BadResponse: It gives the same bytes another digest than Repr-Digest does.

        Source: RFC 9530 sections 2 and 3.
        """
        if self.status == 206:
            return next(
                (PartDigest(name, stated[name]) for name in ("sha512", "sha256") if name in stated), None
            )
        if any(self.digests.get(name, value) != value for name, value in stated.items()):
            raise BadResponse(reason="it gives two digests for the same bytes")
        self.digests |= stated
        return None

    def _undo(self, head: Head) -> Decoder | None:
        """Prepare to undo a coding; a digest that the source gives is of the coded bytes."""
        if head.undone is None:
            return None
        stated, self.digests = self.digests, {}
        names = [name for name in ("sha512", "sha256") if name in stated]
        if names:
            self._part_digest = PartDigest(names[0], stated[names[0]])
        return Decoder(head.undone)

    def _check_part(self) -> None:
        if self._part_digest is not None and not self._part_digest.is_met():
            raise BadResponse(reason="the bytes it sends are not what its digest says")

    def _rest(self) -> bytes:
        """Take what had come before the connection broke; aiohttp would raise the break first."""
        if isinstance(self._content, Body):
            return b""
        return self._content._read_nowait(-1)  # noqa: SLF001 - the public ways raise before they read

    def _check_length(self) -> None:
        """Count for ourselves: nobody else's arithmetic decides whether an image is whole."""
        if self._body_bytes is not None and self.received_bytes != self._body_bytes:
            raise Truncated(
                received_bytes=self.offset + self.received_bytes,
                declared_bytes=self.offset + self._body_bytes,
            )


class PartDigest:
    """The digest that a range should have, and the one that it has so far."""

    def __init__(self, name: str, expected: str) -> None:
        self._expected = expected
        self._hasher = hashlib.new(name)

    def update(self, chunk: bytes) -> None:
        """Take the next bytes in."""
        self._hasher.update(chunk)

    def is_met(self) -> bool:
        """Return whether the bytes have the digest."""
        return self._hasher.hexdigest() == self._expected


def stated_digests(response: aiohttp.ClientResponse, field: str) -> dict[str, str]:
    """Return the digests that a header field states."""
    fields = response.headers.getall(field, [])
    return parse_digests(fields) if fields else {}


def shown_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Take the fields that describe the bytes, short and printable."""
    found = {name: response.headers.get(name) for name in SHOWN_FIELDS}
    return {name: make_printable(value) for name, value in found.items() if value is not None}


def make_printable(value: str) -> str:
    """Make a foreign header field fit for a terminal, a log and a page."""
    shown = value[:_SHOWN_CHARACTERS]
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(letter if " " <= letter <= "~" else "?" for letter in shown)
