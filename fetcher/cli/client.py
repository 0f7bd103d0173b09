"""Talks to a server of ours that the operator named; never fetches a submitted URL."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

ANSWER_SECONDS = 60.0
MAX_BYTES = 67_108_864
MAX_LINE_BYTES = 4_194_304


class Unreachable(Exception):
    """No server answers at the address, or something else than ours does."""


class Untrusted(Unreachable):
    """The server's certificate does not check out."""


class Refused(Exception):
    """The server answered with a problem.

    Args:
        status: The HTTP status.
        document: The problem details (RFC 9457), or what could be made of the answer.
    """

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(document.get("detail") or f"The server answered with status {status}.")
        self.status = status
        self.document = document

    @property
    def code(self) -> str:
        """Return the code of the table of errors; empty when the answer had none."""
        return str(self.document.get("code", ""))


class Client:
    """A server's API, one request at a time.

    Args:
        server: `http(s)://host[:port][/prefix]`.
        token: Sent as X-Auth-Token where the server wants one.
        cacert: A file with authorities (PEM) to trust in place of the system's.

    Raises:
        ValueError: The address is not of that form.
    """

    def __init__(self, server: str, token: str | None = None, cacert: Path | None = None) -> None:
        parts = urlsplit(server if "://" in server else f"http://{server}")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{server} is not an address of the form http(s)://host:port")
        self.server = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._scheme, self._host = parts.scheme, parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._cacert = cacert

    def get(self, path: str, **query: Any) -> Any:
        """GET a JSON document; parameters that are None are left out.

        Raises:
            Refused, Unreachable: As for every call.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return self.call("GET", f"{path}?{urlencode(given)}" if given else path)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Make one request and read its JSON answer; None when it has none.

        Raises:
            Refused: The server answered with a problem.
            Unreachable: There is no such server.
        """
        connection = self._connect()
        try:
            answer = self._send(connection, method, path, body, headers or {})
            text = answer.read(MAX_BYTES)
        except (OSError, HTTPException) as error:
            raise self._why(error) from error
        finally:
            connection.close()
        return self._read(answer.status, text)

    @contextmanager
    def body(self, path: str, headers: dict[str, str]) -> Iterator["Body"]:
        """GET bytes, to be read piece by piece.

        Raises:
            Refused, Unreachable: As for every call.
        """
        connection = self._connect()
        try:
            try:
                answer = self._send(connection, "GET", path, None, {"Accept": "*/*", **headers})
                if answer.status not in {200, 206}:
                    self._read(answer.status, answer.read(MAX_BYTES))
                    raise self._why(HTTPException(f"status {answer.status}"))
            except (OSError, HTTPException) as error:
                raise self._why(error) from error
            yield Body(answer)
        finally:
            connection.close()

    def events(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Follow a stream of server-sent events: names with their JSON documents, until it ends.

        Raises:
            Refused, Unreachable: As for every call; also when the stream breaks off.
        """
        connection = self._connect()
        try:
            answer = self._send(connection, "GET", path, None, {"Accept": "text/event-stream"})
            if answer.status != 200:
                self._read(answer.status, answer.read(MAX_BYTES))
                raise self._why(HTTPException(f"status {answer.status}"))
            yield from parse_events(_lines(answer))
        except (OSError, HTTPException) as error:
            raise self._why(error) from error
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        if self._scheme == "https":
            return HTTPSConnection(self._host, self._port, timeout=ANSWER_SECONDS, context=self._trust)
        return HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        try:
            trust = ssl.create_default_context(cafile=self._cacert)
        except OSError as error:  # Which ssl.SSLError is, too.
            raise ValueError(f"--cacert: {self._cacert} cannot be read as certificates (PEM)") from error
        trust.minimum_version = (
            ssl.TLSVersion.TLSv1_2
        )  # Debian's Python has OpenSSL's default, which is lower.
        return trust

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> HTTPResponse:
        sent = {"Accept": "application/json", "User-Agent": "fetcher"}
        if self._token:
            sent["X-Auth-Token"] = self._token
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection.request(method, self._prefix + path, payload, sent | headers)
        return connection.getresponse()

    def _read(self, status: int, text: bytes) -> Any:
        try:
            document = json.loads(text) if text else None
        except ValueError as error:
            if status < 400:
                raise Unreachable(f"What answers at {self.server} is not Glance Fetcher.") from error
            document = None
        if status >= 400:
            raise Refused(status, _problem(document) if isinstance(document, dict) else {})
        return document

    def _why(self, error: Exception) -> Unreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = error.verify_message.rstrip(".")
            return Untrusted(
                f"The server's certificate is not trusted ({reason}); give --cacert. Asked was {self.server}."
            )
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, ssl.SSLError):
            return Unreachable(f"No TLS with {self.server} ({reason}).")
        return Unreachable(f"No server answers at {self.server} ({reason}); start one with `fetcher serve`.")


class Body:
    """The bytes of an answer.

    Args:
        answer: Its status and headers are read already.
    """

    def __init__(self, answer: HTTPResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.content_range = answer.headers.get("Content-Range", "")

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes; none at the end, and none where the connection breaks off."""
        try:
            return self._answer.read1(most_bytes)
        except (OSError, HTTPException):
            return b""


def _problem(document: dict[str, Any]) -> dict[str, Any]:
    """Return an error of the Image API as the problem document of the other API."""
    error = document.get("error")
    if not isinstance(error, dict):
        return document
    return {"code": error.get("type", ""), "detail": error.get("message"), "status": error.get("code")}


def segment(text: str) -> str:
    """Return an id as one segment of a path, whatever was typed."""
    return quote(text, safe="")


def _lines(answer: HTTPResponse) -> Iterator[str]:
    while line := answer.readline(MAX_LINE_BYTES):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def parse_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read server-sent events; comments and unknown fields are skipped.

    Source: WHATWG HTML, section 9.2.6, interpreting an event stream.
    """
    name = "message"
    gathered: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if gathered:
                yield name, json.loads("\n".join(gathered))
            name, gathered = "message", []
        elif field == "event":
            name = value
        elif field == "data":
            gathered.append(value)
