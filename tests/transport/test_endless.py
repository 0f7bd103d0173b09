"""Streams that never get anywhere, as fast as they can: rows H06, H08, H09, H10, Z02 and their neighbours."""

import resource

import pytest

from fetcher.errors import BadResponse, Failure, SourceTooSlow, Truncated
from fetcher.transport import Gate, SourceRequest
from tests.lab import Origin, lab_settings
from tests.lab.origin import Exchange
from tests.transport.attack import attack

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK = 65_536
MAX_GROWTH_KIB = 48 * 1024
SHORT = {"idle_seconds": 1.0, "header_seconds": 1.0, "chain_seconds": 2.0}

STREAMS = {
    "extension of a chunk": (CHUNKED + b"5;x=", b"y" * BLOCK),
    "quoted extension": (CHUNKED + b'5;x="', b"y" * BLOCK),
    "many extensions": (CHUNKED + b"5", b";x=y" * (BLOCK // 4)),
    "zeros before a size": (CHUNKED, b"0" * BLOCK),
    "digits of a size": (CHUNKED + b"1", b"0" * BLOCK),
    "one trailer": (CHUNKED + b"0\r\nX: ", b"y" * BLOCK),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * (BLOCK // 6)),
    "name of a trailer": (CHUNKED + b"0\r\n", b"x" * BLOCK),
    "lines before the status": (b"", b"\r\n" * (BLOCK // 2)),
    "reason": (b"HTTP/1.1 200 ", b"y" * BLOCK),
    "one field": (OK + b"X: ", b"y" * BLOCK),
    "blanks in a field": (OK + b"X: ", b" " * BLOCK),
    "fields": (OK, b"X: y\r\n" * (BLOCK // 6)),
    "folds": (OK + b"X: y\r\n", b" y\r\n" * (BLOCK // 4)),
    "interim answers": (b"", b"HTTP/1.1 103 E\r\nLink: x\r\n\r\n" * 2000),
    "fields of an interim answer": (b"HTTP/1.1 103 E\r\n", b"X: y\r\n" * (BLOCK // 6)),
    "fields of a redirect": (b"HTTP/1.1 302 F\r\nLocation: /y\r\n", b"X: y\r\n" * (BLOCK // 6)),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_h06_h08_h09_h10_what_never_ends_is_ended(name: str) -> None:
    """A flood that never becomes a byte of the body costs a moment, and memory for its buffers."""
    head, block = STREAMS[name]

    async def flood(exchange: Exchange) -> None:
        await exchange.send(head)
        while True:
            await exchange.send_body(block)

    async with Origin({"*": flood}) as origin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert isinstance(outcome.failure, BadResponse | SourceTooSlow | Truncated)
    assert outcome.body == b""
    assert outcome.seconds < 60
    assert grown < MAX_GROWTH_KIB


async def test_z02_chunks_without_bytes_are_no_progress() -> None:
    """One byte, then extensions for ever: silence is told by bytes of the body, not of the framing."""

    async def tease(exchange: Exchange) -> None:
        await exchange.send(CHUNKED + b"1\r\na\r\n5;")
        while True:
            await exchange.send(b"x" * 100)

    async with Origin({"/x": tease}) as origin:
        settings, request = (
            lab_settings(origin, pace={"idle_seconds": 1.0}),
            SourceRequest(url=origin.url("/x")),
        )
        async with Gate().open(request, settings, lambda _: None) as source:
            assert await source.read() == b"a"
            with pytest.raises(Failure) as caught:
                await source.read()
    assert isinstance(caught.value, SourceTooSlow | BadResponse)
