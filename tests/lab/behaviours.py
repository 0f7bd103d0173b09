"""What an origin may do, from honest to hostile. Each maker gives a behaviour for `Origin(routes)`."""

import asyncio
import re
from collections.abc import Mapping, Sequence

from tests.lab.origin import Behaviour, Exchange

CLOSE = {"Connection": "close"}


def serve(
    data: bytes,
    *,
    etag: str | None = None,
    last_modified: str | None = None,
    ranges: bool = True,
    fields: Mapping[str, object] | None = None,
    bytes_per_second: float | None = None,
    pieces_per_second: int = 20,
) -> Behaviour:
    """Serve bytes honestly: length, ranges with If-Range, conditional requests.

    `ranges` tells whether ranges are honoured and announced; `bytes_per_second`
    holds for each connection, None means as fast as it goes; it comes in so many
    pieces a second.
    """

    async def behave(exchange: Exchange) -> None:
        shown: dict[str, object] = {"ETag": etag, "Last-Modified": last_modified}
        shown = {name: value for name, value in shown.items() if value} | dict(fields or {}) | CLOSE
        if ranges:
            shown["Accept-Ranges"] = "bytes"
        asked = exchange.request.header
        if etag and asked("If-None-Match") == etag:
            await exchange.send_head("304 Not Modified", shown)
            return
        first, last, is_part = (
            _range(exchange, len(data), etag, last_modified) if ranges else (0, len(data) - 1, False)
        )
        if first > last and data:
            await exchange.send_head(
                "416 Range Not Satisfiable", {"Content-Range": f"bytes */{len(data)}", **CLOSE}
            )
            return
        body = memoryview(data)[first : last + 1]
        head = {"Content-Length": len(body), **shown}
        if is_part:
            head["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        await exchange.send_head("206 Partial Content" if is_part else "200 OK", head)
        await _send_paced(exchange, body, bytes_per_second, pieces_per_second)

    return behave


def answer(raw: bytes | str) -> Behaviour:
    """Say exactly this, then hang up."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(raw)

    return behave


def status(code: int | str, fields: Mapping[str, object] | None = None, body: bytes = b"") -> Behaviour:
    """Answer with a status, fields and a short body."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head(code, {"Content-Length": len(body), **CLOSE, **(fields or {})})
        await exchange.send_body(body)

    return behave


def redirect(
    location: str | None, *, code: int = 302, fields: Mapping[str, object] | None = None
) -> Behaviour:
    """Send the client somewhere else; None leaves Location out."""
    where = {} if location is None else {"Location": location}
    return status(code, {**where, **(fields or {})})


def cut(
    data: bytes, after: int, *, reset: bool = False, fields: Mapping[str, object] | None = None
) -> Behaviour:
    """Announce all of the data, send a part of what was asked for, and hang up.

    `after` bytes of this connection's body are sent; `reset` breaks off hard
    instead of closing.
    """

    async def behave(exchange: Exchange) -> None:
        first, last, is_part = _range(exchange, len(data), (fields or {}).get("ETag"), None)
        head = {"Content-Length": last + 1 - first, "Accept-Ranges": "bytes", **(fields or {})}
        if is_part:
            head["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        await exchange.send_head("206 Partial Content" if is_part else "200 OK", head)
        await exchange.send_body(memoryview(data)[first : min(first + after, last + 1)])
        if reset:
            exchange.reset()

    return behave


def stall(data: bytes, after: int, *, fields: Mapping[str, object] | None = None) -> Behaviour:
    """Announce all of the data, send a part, then hold the connection in silence until the client goes."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Content-Length": len(data), **(fields or {})})
        await exchange.send_body(memoryview(data)[:after])
        await exchange.wait_gone()

    return behave


def silent() -> Behaviour:
    """Take the request and never say a word."""

    async def behave(exchange: Exchange) -> None:
        await exchange.wait_gone()

    return behave


def drip(data: bytes, *, piece: int = 1, pause_seconds: float = 0.01) -> Behaviour:
    """Send all of the data, a little at a time."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Content-Length": len(data), **CLOSE})
        for start in range(0, len(data), piece):
            await exchange.send_body(data[start : start + piece])
            await asyncio.sleep(pause_seconds)

    return behave


def drip_raw(raw: bytes, *, pause_seconds: float = 0.01) -> Behaviour:
    """Say exactly this byte by byte: for heads that never end."""

    async def behave(exchange: Exchange) -> None:
        for position in range(len(raw)):
            await exchange.send(raw[position : position + 1])
            await asyncio.sleep(pause_seconds)

    return behave


def endless(piece: bytes = b"\xa5" * 65536, *, fields: Mapping[str, object] | None = None) -> Behaviour:
    """Send without end and without a length."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {**CLOSE, **(fields or {})})
        while True:
            await exchange.send_body(piece)

    return behave


def chunked(
    parts: Sequence[bytes],
    *,
    is_ended: bool = True,
    trailers: str = "",
    fields: Mapping[str, object] | None = None,
) -> Behaviour:
    """Send parts in the chunked coding.

    `is_ended` tells whether the last, empty chunk is sent; `trailers` are lines
    with their CRLF after it.
    """

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Transfer-Encoding": "chunked", **CLOSE, **(fields or {})})
        for part in parts:
            await exchange.send(f"{len(part):x}\r\n")
            await exchange.send_body(part)
            await exchange.send("\r\n")
        if is_ended:
            await exchange.send(f"0\r\n{trailers}\r\n")

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Do one thing after the other, request by request; the last one for ever after."""
    left = list(behaviours)

    async def behave(exchange: Exchange) -> None:
        current = left.pop(0) if len(left) > 1 else left[0]
        await current(exchange)

    return behave


def gated(behaviour: Behaviour, opened: asyncio.Event) -> Behaviour:
    """Hold a request back until an event is set."""

    async def behave(exchange: Exchange) -> None:
        await opened.wait()
        await behaviour(exchange)

    return behave


async def _send_paced(
    exchange: Exchange, body: memoryview, bytes_per_second: float | None, pieces_per_second: int
) -> None:
    if bytes_per_second is None:
        await exchange.send_body(body)
        return
    loop = asyncio.get_running_loop()
    began, piece = loop.time(), max(int(bytes_per_second / pieces_per_second), 1)
    for start in range(0, len(body), piece):
        await exchange.send_body(body[start : start + piece])
        ahead = (start + piece) / bytes_per_second - (loop.time() - began)
        await asyncio.sleep(max(ahead, 0))


def _range(exchange: Exchange, size: int, etag: object, last_modified: object) -> tuple[int, int, bool]:
    """Find the first and the last byte asked for, and whether that is a part."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.request.header("Range") or "")
    bound = exchange.request.header("If-Range")
    if match is None or (bound is not None and bound not in {etag, last_modified}):
        return 0, size - 1, False
    last = int(match[2]) if match[2] else size - 1
    return int(match[1]), min(last, size - 1), True
