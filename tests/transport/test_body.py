"""A body of known length, read straight from its connection: over both loops, with and without TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from fetcher.errors import SourceTooSlow, Truncated
from fetcher.model import BLOCK_BYTES
from fetcher.transport import Gate, SourceRequest
from fetcher.transport.body import Body
from fetcher.transport.source import Source
from tests.lab import Origin, lab_settings
from tests.lab.behaviours import answer, cut, serve, stall
from tests.lab.origin import Behaviour

Test = Callable[[Source, Origin], Awaitable[None]]
Run = Callable[..., None]
DATA = bytes(range(256)) * 16_384  # 4 MiB


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=[f"{loop}-{scheme}" for loop in LOOPS for scheme in ("http", "https")])
def run(request: pytest.FixtureRequest, tmp_path: Path):
    """Runs a test with an origin, on each loop, with and without TLS: all must behave alike."""
    loop, scheme = request.param.split("-")
    tls = None
    if scheme == "https":
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)

    def run_on(test: Test, behaviour: Behaviour, **pace: float) -> None:
        async def with_origin() -> None:
            async with Origin({"/x": behaviour}, tls=tls) as origin:
                settings = settings_for(origin, tmp_path, **pace)
                request = SourceRequest(url=origin.url("/x"))
                async with Gate().open(request, settings, lambda _: None) as source:
                    await test(source, origin)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(with_origin())

    return run_on


def settings_for(origin: Origin, tmp_path: Path, **pace: float):
    ca = tmp_path / "ca.pem"
    return lab_settings(
        origin,
        url={"allow_literals": True},
        tls={"ca_file": str(ca) if ca.exists() else ""},
        pace={"idle_seconds": 5.0, "unreachable_step_seconds": 0.0} | pace,
    )


async def read_all(source: Source) -> bytes:
    parts = []
    while chunk := await source.read():
        parts.append(chunk)
    return b"".join(parts)


def test_every_byte_comes_once_and_in_order(run: Run) -> None:
    """Taking the connection over loses nothing of what the parser had read before."""

    async def test(source: Source, _origin: Origin) -> None:
        assert isinstance(source._content, Body)
        assert await read_all(source) == DATA
        assert await source.read() == b""

    run(test, serve(DATA))


def test_bytes_after_the_body_are_never_read(run: Run) -> None:
    """What follows the announced length is no part of the image, whatever it is."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()

    async def test(source: Source, _origin: Origin) -> None:
        assert await read_all(source) == DATA

    run(test, answer(head + DATA + b"surplus" * 1000))


def test_an_early_end_is_told_after_the_bytes_before_it(run: Run) -> None:
    """A resumed attempt goes on from the last byte that came."""

    async def test(source: Source, _origin: Origin) -> None:
        with pytest.raises(Truncated) as raised:
            await read_all(source)
        assert source.received_bytes == raised.value.received_bytes == len(DATA) - 1
        assert raised.value.declared_bytes == len(DATA)

    run(test, cut(DATA, after=len(DATA) - 1))


def test_silence_ends_it(run: Run) -> None:
    """A source that stops in mid-body is given up after the idle time."""

    async def test(source: Source, _origin: Origin) -> None:
        with pytest.raises(SourceTooSlow):
            await read_all(source)
        assert source.received_bytes == len(DATA) // 2

    run(test, stall(DATA, after=len(DATA) // 2), idle_seconds=0.3)


def test_the_source_waits_when_nobody_reads(run: Run) -> None:
    """Backpressure reaches the socket: a reader that stands still holds a few mebibytes, not the image."""
    large = bytes(64 << 20)

    async def test(source: Source, origin: Origin) -> None:
        await source.read()
        before = -1
        while before != origin.sent_bytes:
            before = origin.sent_bytes
            await asyncio.sleep(0.1)
        assert isinstance(source._content, Body)
        assert source._content.held_bytes < 4 << 20
        assert before < len(large)
        await read_all(source)
        assert source.received_bytes == len(large)

    run(test, serve(large))


def test_chunks_of_a_fast_source_are_large_and_end_at_blocks(run: Run) -> None:
    """A reader is woken seldom, and what it gets can be written without being cut."""
    large = bytes(range(256)) * 131_072  # 32 MiB

    async def test(source: Source, _origin: Origin) -> None:
        sizes = []
        while chunk := await source.read():
            sizes.append(len(chunk))
        assert sum(sizes) == len(large)
        ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
        small = [end for end in ends[:-1] if end % BLOCK_BYTES]
        assert len(small) < len(ends) / 2
        assert len(large) / len(sizes) > 65_536
        assert min(sizes[:-1]) >= BLOCK_BYTES  # A begun block does not come by itself.

    run(test, serve(large))
