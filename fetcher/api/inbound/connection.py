"""One client's connection: uvicorn's protocol, with deadlines and bounds that it does not have."""

import asyncio
import logging
import random
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, is_ssl
from uvicorn.server import ServerState

from fetcher.api.inbound.answers import Outgoing, plain_answer
from fetcher.api.inbound.crowd import Crowd, Place
from fetcher.api.inbound.file_response import BREAKS_OFF, SENDS_FILES
from fetcher.api.inbound.file_sender import FileSender
from fetcher.api.inbound.files_out import FilesOut
from fetcher.api.inbound.framing import ambiguity_of
from fetcher.api.inbound.parser import Parser
from fetcher.api.inbound.slices import Slices
from fetcher.api.inbound.stall import LATER, LEAVING_SECONDS, StallTimer, unsent_by_kernel
from fetcher.api.inbound.turns import Turns
from fetcher.errors import Failure, HeadTooLarge, InvalidRequest, NotReady, RequestTooSlow
from fetcher.settings.server import Inbound

# Requests that are answered from the reserved places without asking who makes them.
OPEN_PATHS = frozenset({b"/healthz", b"/readyz", b"/metrics"})
SAFE = frozenset({"GET", "HEAD"})  # Changes nothing: where nobody waits for the answer, it need not be made.
CROWDED = "fetcher.crowded"  # In the scope of a request on a reserved place: for admins alone.
IS_GONE = "fetcher.is_gone"  # In the scope of a request: a function; whether nobody waits for the answer.
# Each byte of a chunked body pays for itself and for as much around it as a chunk of one byte has at most:
# what is beyond that adds up, and may be as long as a head.
FRAMED = 9

# Of a client's mistakes, however many, uvicorn writes no line; of our own faults it does.
_LOGGER = logging.getLogger("uvicorn.error.connection")
_LOGGER.setLevel(logging.ERROR)
# An answered request whose body still comes is read for so long, else the client might miss the answer.
LINGER_SECONDS = 6.0


class Connection(HttpToolsProtocol):
    """A connection that never waits for its client without end.

    Its server looks at it several times a second (`look`) and tells it how
    much time has passed; what is due then is decided from what is going on.

    Args:
        rules: In force when the client connected.
        crowd: Where it has its place.
        address: Whom its place counts for.
        place: Which one it has.
        peer: Its address, as `accept` gave it.
        files: Sends what the application names by file.
        turns: Says when a request may begin.
    """

    def __init__(  # noqa: PLR0913 - uvicorn's own four, and ours
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        rules: Inbound,
        crowd: Crowd,
        address: str,
        place: Place,
        peer: object,
        files: FileSender,
        turns: Turns,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = _LOGGER
        self._parser = Parser(self)
        self.parser = cast(Any, self._parser)
        self._rules = rules
        self._crowd = crowd
        self._address = address
        self._place = place
        self._turns = turns
        if isinstance(peer, tuple):
            self.client = (str(peer[0]), int(peer[1]))
        self._files = FilesOut(files)
        self._slices = Slices(self._feed, lambda: not self.flow.read_paused)
        self._reading: str | None = "head"
        self._answering = 0
        self._waited = 0.0
        self._head_seconds = rules.head_seconds * random.uniform(1.0, LATER)  # noqa: S311 - no secret
        self._begun = 0
        self._head_bytes = 0
        self._head_fields = 0
        self._frame_bytes = 0
        self._early = b""
        self._last_words = b""
        self._is_over = False
        self._is_gone = False
        self._unsent = 0
        self._upward = StallTimer(rules.stall_seconds, rules.min_bytes_per_second)
        self._downward = StallTimer(rules.stall_seconds, rules.min_bytes_per_second)

    @property
    def stall_milliseconds(self) -> int:
        """Return how long the kernel waits for the client to take what was sent."""
        return min(2**31 - 1, int(self._rules.stall_seconds * 2000))

    # --- what comes in

    def begin_with(self, said: bytes) -> None:
        """Note what the client has said before there was a transport."""
        self._early = said

    def connection_made(self, transport: Any) -> None:
        """Begin, unless the place was needed meanwhile.

        uvicorn asks the kernel for both addresses here. Each such question lets another thread have the
        interpreter, and most of those who come in a crowd never ask for anything.
        """
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self._outgoing = Outgoing(transport, self.loop)
        self.scheme = "https" if is_ssl(transport) else "http"
        if self._is_over:
            transport.abort()
        elif self._early:  # A transport reads after this, also when it is paused here.
            self.loop.call_soon(self.data_received, b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._is_gone = True
        self._crowd.exit(self)
        self._files.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the connection is over."""
        if self._is_over or self.transport.is_closing():
            return
        if self._early:
            data, self._early = self._early + data, b""
        self._unset_keepalive_if_required()
        self._slices.take(data, self.transport)

    def _feed(self, data: bytes) -> None:
        if self._is_over:
            return
        before, begun = self._reading, self._begun
        self._frame_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        self._judge_size(data, before, begun)

    def _judge_size(self, data: bytes, before: str | None, begun: int) -> None:
        """Refuse heads, and what stands around bodies, that are longer than any honest ones."""
        if self._reading == "head":
            if self._begun > begun + 1 or before == "body":
                self._head_bytes = 0  # Some of this piece is of earlier requests: it is not counted.
            else:
                self._head_bytes += len(data)
            if self._head_bytes > self._rules.max_head_bytes:
                self._refuse(self._too_large())
        elif self._reading == "body" and self._frame_bytes > self._rules.max_head_bytes:
            self._refuse(InvalidRequest(reason="chunk extensions or trailers are longer than a head may be"))

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self.server is None:
            self.server = get_local_addr(self.transport)
        super().on_message_begin()
        self._reading, self._waited = "head", 0.0
        self._begun += 1
        self._head_fields = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's line; one that is too long is refused when the head is complete."""
        if len(self.url) <= self._rules.max_head_bytes:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; those after a chunked body are dropped: the request was judged without them."""
        if self._reading != "head":
            return
        self._head_fields += 1
        if self._head_fields <= self._rules.max_head_fields:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, if its head is one that an honest client could send."""
        if self._is_over:
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._rules.max_head_bytes or self._head_fields > self._rules.max_head_fields:
            self._refuse(self._too_large())
            return
        if len(self.pipeline) >= self._rules.max_pipelined:
            self._refuse(InvalidRequest(reason="too many requests were sent before the first was answered"))
            return
        doubt = ambiguity_of(self.url, self.headers, self.parser.get_http_version())
        if doubt is not None:
            self._refuse(doubt)
            return
        self.expect_100_continue &= self.parser.get_http_version() != "1.0"  # RFC 9110 section 10.1.1
        self._parser.begin_body(self.headers)
        self._reading, self._head_bytes, self._frame_bytes = "body", 0, 0
        self._upward = StallTimer(self._rules.stall_seconds, self._rules.min_bytes_per_second)
        self._answering += 1
        self._crowd.begin(self)
        if self._place is Place.RESERVED and self.url.partition(b"?")[0] not in OPEN_PATHS:
            cast(dict[str, object], self.scope)[CROWDED] = True
        cast(dict[str, object], self.scope)[IS_GONE] = lambda: self._is_gone
        self.scope["extensions"] = {BREAKS_OFF: {}}
        if self.scheme == "http":  # What TLS wraps has to pass through this process.
            self.scope["extensions"][SENDS_FILES] = {}
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._frame_bytes = max(0, self._frame_bytes - FRAMED * len(body))
        self._upward.restore(len(body))
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; its answer may be long under way."""
        if self._is_over or self._parser.is_halted:
            return
        self._reading, self._waited = None, 0.0
        super().on_message_complete()
        self._rest()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Run a request when its turn comes; answer one that is overtaken by the end of the service."""

        async def run(scope: Any, receive: Any, send: Any) -> None:
            async def send_any(message: Any) -> None:
                if message["type"] == SENDS_FILES:
                    self._outgoing.flush()
                    await self._files.send(cycle, message)
                elif message["type"] == BREAKS_OFF:
                    self._end_unfinished(cycle)
                else:
                    await send(message)

            try:
                await app(scope, receive, send_any)
            except asyncio.CancelledError:
                self._end_unfinished(cycle)

        def begin() -> None:
            if not (cycle.disconnected and cycle.scope["method"] in SAFE):
                self._begin(cycle, run)

        self._turns.take(begin, is_probe=cycle.scope["raw_path"] in OPEN_PATHS)

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._place is Place.RESERVED:  # It is for one request.
            cycle.keep_alive = False
        self._run(cycle, app)

    def _run(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have the application answer."""
        self._outgoing.begin()
        cycle.transport = cast(asyncio.Transport, self._outgoing)
        super()._start_asgi_task(cycle, app)

    def _end_unfinished(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        if cycle.response_started or self.transport.is_closing():
            self._outgoing.flush()
            self.transport.abort()
        else:
            self.transport.write(plain_answer(NotReady(reason="it is stopping"), self.url))
            self.transport.close()

    def on_response_complete(self) -> None:
        """End an answer."""
        self._outgoing.flush()  # Of one without a body, before another's begins.
        self._answering -= 1
        self._waited = 0.0
        super().on_response_complete()
        self._rest()
        if self._last_words and not self._answering:
            self._hang_up()

    def _rest(self) -> None:
        """Let others have the place, also while the rest of a body or a further head comes."""
        if not self._answering:
            self._crowd.rest(self)

    # --- what does not come

    def look(self, seconds: float) -> None:
        """Judge what has been waited for since the last look.

        Args:
            seconds: Since then.
        """
        if self._is_stuck(seconds):
            self.leave()
        elif self.transport.is_closing():
            return
        elif self._answering:
            self._judge_body(seconds)
        else:
            self._judge_silence(seconds)

    def _is_stuck(self, seconds: float) -> bool:
        """Return whether the client has stopped reading what is on its way to it."""
        waiting = self.transport.get_write_buffer_size() + self._files.left
        if not waiting:
            self._unsent = 0
            self._downward.restore(self._rules.min_bytes_per_second * 3600)
            return False
        sent = unsent_by_kernel(self.transport)
        if self._files.left and not sent:
            return False  # The client has taken all there was: the wait is for the file, or our own.
        unsent = waiting + sent
        self._downward.restore(max(0, self._unsent - unsent))
        self._unsent = unsent
        return self._downward.spend(seconds)

    def resume_writing(self) -> None:
        """Note that what was written has left us: what follows it is counted from here."""
        self._downward.restore(self._unsent)
        self._unsent = 0
        super().resume_writing()

    def _judge_body(self, seconds: float) -> None:
        """Judge a body that the application waits for; while it is not read, the wait is our own."""
        is_ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if self._reading == "body" and not is_ours and self._upward.spend(seconds):
            self._refuse(RequestTooSlow(part="body", limit_seconds=self._rules.stall_seconds))

    def _judge_silence(self, seconds: float) -> None:
        self._waited += seconds
        if self._reading == "head" and self._waited >= self._head_seconds:
            if self._head_bytes:
                self._refuse(RequestTooSlow(part="head", limit_seconds=self._rules.head_seconds))
            else:
                self.leave()
        elif self._reading == "body" and self._waited >= LINGER_SECONDS:
            self.leave()
        elif self._reading is None and self._waited >= self._rules.idle_seconds:
            self.transport.close()

    # --- the end

    def leave(self) -> None:
        """Hang up at once."""
        self._is_over = True
        if self.transport is not None:  # Else it is accepted only half.
            self.transport.abort()

    def leave_soon(self) -> None:
        """Listen no more, and hang up in a moment."""
        self._is_over = True
        if self.transport is not None:
            self.transport.pause_reading()
            self.loop.call_later(LEAVING_SECONDS, self.leave)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are replaced by ours
        """Refuse what is no HTTP."""
        self._refuse(InvalidRequest(reason="it is no valid HTTP request"))

    def _too_large(self) -> Failure:
        rules = self._rules
        return HeadTooLarge(max_head_bytes=rules.max_head_bytes, max_head_fields=rules.max_head_fields)

    def _refuse(self, failure: Failure) -> None:
        """Answer and hang up, when what was asked before has its answers; one that has begun is cut off.

        Source: RFC 9112 section 9.3.2.
        """
        if self._is_over:
            return
        self._is_over = True
        is_of_body = self._reading == "body"
        self._last_words = plain_answer(failure, self.url if is_of_body else b"")
        if self._answering > is_of_body:
            if is_of_body:  # It waits for its turn, and is not begun.
                self.pipeline.popleft()
                self._answering -= 1
        elif is_of_body and not self._answering:  # It has its answer, and the next would be another's.
            self.transport.close()
        elif not self._answering:
            self._hang_up()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.abort() if self.cycle.response_started else self._hang_up()

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._last_words)
            self.transport.close()
