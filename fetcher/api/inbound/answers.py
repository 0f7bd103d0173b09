"""Answers that are given before there is a request, made without the application; how answers go out."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from fetcher.api.problems import advice_of, detail_of, retry_after, status_of, summary
from fetcher.errors import Failure

IMAGE_API = b"/v2/"
CONTINUE = b"HTTP/1.1 100 "
MAX_JOINED_BYTES = 65_536  # To copy more would cost as much as a system call does.


class Outgoing:
    """A client's transport, which sends the head of an answer together with what follows it at once.

    uvicorn writes each by itself: two system calls, and two reads for the client. A head that nothing
    follows in the same pass of the loop goes alone, as that of a stream does.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._is_awaited = False

    def __getattr__(self, name: str) -> Any:
        """Return what else the transport can do."""
        return getattr(self._transport, name)

    def begin(self) -> None:
        """Take the next piece for the head of an answer."""
        self._is_awaited = True

    def write(self, data: bytes) -> None:
        """Send a piece, or keep a head until the next one."""
        if self._is_awaited and not data.startswith(CONTINUE):
            self._is_awaited, self._head = False, data
            self._loop.call_soon(self.flush)
        elif self._head and len(data) <= MAX_JOINED_BYTES:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        else:
            self.flush()
            self._transport.write(data)

    def flush(self) -> None:
        """Send the head that is kept, if there is one."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        """Send what is kept, and hang up."""
        self.flush()
        self._transport.close()


def plain_answer(failure: Failure, target: bytes = b"") -> bytes:
    """Build a whole answer for a connection that ends with it.

    Args:
        failure: What went wrong.
        target: What was asked for, as far as it is known; it decides the form, which is the Image API's
            (an `error` object) or a problem document (RFC 9457; its `type` is relative).
    """
    status = status_of(failure)
    is_image_api = target.startswith(IMAGE_API)
    document = _error_object(failure, status) if is_image_api else _problem(failure, status)
    body = json.dumps(document).encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: application/{'json' if is_image_api else 'problem+json'}",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name.lower()}: {value}" for name, value in retry_after(failure).items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _problem(failure: Failure, status: int) -> dict[str, Any]:
    return {
        "type": f"/errors/{failure.code}",
        "title": summary(type(failure)),
        "status": status,
        "detail": detail_of(failure),
        "code": failure.code,
        "advice": advice_of(failure),
        **failure.public_fields(),
    }


def _error_object(failure: Failure, status: int) -> dict[str, Any]:
    return {
        "error": {
            "code": status,
            "title": HTTPStatus(status).phrase,
            "message": f"{detail_of(failure)} {advice_of(failure)}",
            "type": failure.code,
            "fields": failure.public_fields(),
        }
    }
