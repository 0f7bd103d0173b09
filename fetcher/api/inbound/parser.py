"""The parser of requests, which never changes the protocol."""

from typing import Any, Protocol

import httptools


class Callbacks(Protocol):
    """The callbacks of the parser as a request comes in."""

    def on_message_begin(self) -> None:
        """Begin a head."""

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""

    def on_headers_complete(self) -> None:
        """Take note that the head is complete."""

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""

    def on_message_complete(self) -> None:
        """Take note that the request is complete."""


class Parser:
    """httptools' parser for a server that stays with HTTP/1.1.

    A client may ask for another protocol with any request (Java's does with each, bodies included), and a
    server that has no other goes on as if it had not been asked. httptools takes the end of such a head for
    the end of HTTP: the body would be taken for the next request, which is a way to smuggle one.

    Source: RFC 9110 section 7.8.
    """

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._parser = _parser(callbacks)
        self._framing = b""

    @property
    def is_halted(self) -> bool:
        """Return whether what is said to be the end of the request is the end of its head."""
        return bool(self._framing)

    def feed_data(self, data: bytes) -> None:
        """Parse some bytes.

        Raises:
            HttpParserError: They are no HTTP.
        """
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._framing:
                    self._go_on()
            else:
                return

    def begin_body(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Note how the body is framed, where the parser is about to skip it."""
        if self._parser.should_upgrade():
            lines = [
                name + b": " + value + b"\r\n"
                for name, value in fields
                if name in {b"content-length", b"transfer-encoding"}
            ]
            self._framing = b"".join(lines)

    def _go_on(self) -> None:
        """Let another parser take the body, after a head that says no more than how it is framed."""
        relay = _Relay(self._callbacks)
        self._parser = _parser(relay)
        head, self._framing = b"POST / HTTP/1.1\r\n" + self._framing + b"\r\n", b""
        self._parser.feed_data(head)
        relay.is_silent = False

    def get_method(self) -> bytes:
        """Return the method of the request."""
        method: bytes = self._parser.get_method()
        return method

    def get_http_version(self) -> str:
        """Return the version of HTTP that the client speaks."""
        version: str = self._parser.get_http_version()
        return version

    def should_keep_alive(self) -> bool:
        """Return whether another request may follow."""
        return bool(self._parser.should_keep_alive())

    def should_upgrade(self) -> bool:
        """Return that no protocol is changed."""
        return False


class _Relay:
    """Callbacks that say nothing of a head that no client sent."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self.is_silent = True
        self.on_body = callbacks.on_body
        self.on_message_complete = callbacks.on_message_complete

    def on_message_begin(self) -> None:
        if not self.is_silent:
            self._callbacks.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.is_silent:
            self._callbacks.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_silent:
            self._callbacks.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self.is_silent:
            self._callbacks.on_headers_complete()


def _parser(callbacks: Callbacks) -> Any:
    parser = httptools.HttpRequestParser(callbacks)
    # What comes after the last request is nobody's, and no mistake (uvicorn does the same).
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
