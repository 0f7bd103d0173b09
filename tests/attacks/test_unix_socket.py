"""Row I28: whoever may open the path of a Unix socket has the same deadlines and bounds as anybody else."""

import asyncio
import io
import select
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.attacks.test_inbound import GET, HURRIED, PATIENT_SECONDS, POST, Wire, problem_of, rest
from tests.images import raw
from tests.service import Running


def on_path(folder: Path, **inbound: object) -> Running:
    """Return a service that listens on a path."""
    server = {"listen": f"unix:{folder}/run.sock", "event_seconds": 0.02, "shutdown_seconds": 0.2}
    return Running(folder, server=server, inbound=inbound)


@asynccontextmanager
async def wire(service: Running) -> AsyncIterator[Wire]:
    """A bare connection to the service."""
    reader, writer = await asyncio.open_unix_connection(service.folder / "run.sock")
    try:
        yield reader, writer
    finally:
        writer.close()


async def assert_alone(service: Running) -> None:
    """Whoever asks now is the only one connected: those who were hung up on have no place any more."""
    async with wire(service) as (reader, writer), asyncio.timeout(PATIENT_SECONDS):
        writer.write(GET + b"\r\n")
        assert (await reader.readuntil(b"}}")).startswith(b"HTTP/1.1 200")
        assert len(service.crowd) == 1


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", b""),
        (GET, b"408"),
        (POST + b"Content-Length: 100\r\n\r\n{", b"408"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"408"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (GET + b"X: " + b"a" * 40_000, b"431"),
    ],
    ids=["nothing", "half a head", "half a body", "half a chunked body", "TLS", "a large head"],
)
async def test_i28_a_path_has_deadlines_and_bounds(tmp_path: Path, sent: bytes, said: bytes) -> None:
    """What does not come is not waited for; what is too much, or no HTTP, is refused."""
    async with on_path(tmp_path, **HURRIED) as service, wire(service) as (reader, writer):
        writer.write(sent)
        answer = await rest(reader)
        assert said in answer.partition(b"\r\n")[0]
        if said:
            assert problem_of(answer)["status"] == int(said)
        await assert_alone(service)


async def test_i28_an_answer_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    """Neither a document nor a file holds its connection for a client that takes nothing."""
    async with on_path(tmp_path, **HURRIED) as service:
        wanted = {"disk_format": "raw", "container_format": "bare"}
        image = (await service.call("POST", "/v2/images", json=wanted))[1]["id"]
        body = {"data": io.BytesIO(raw(8_000_000)), "headers": {"Content-Type": "application/octet-stream"}}
        assert (await service.call("PUT", f"/v2/images/{image}/file", **body))[0] == 204
        await service.client.close()
        for path in ("/openapi.json", f"/v2/images/{image}/file"):
            async with wire(service) as (_reader, writer):
                writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads, too
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * 8)
                hung_up = select.poll()
                hung_up.register(writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
                assert await asyncio.to_thread(hung_up.poll, 1000 * PATIENT_SECONDS)
                await assert_alone(service)


async def test_i28_silent_ones_leave_for_those_who_ask(tmp_path: Path) -> None:
    """A path has no addresses to share places by: beyond all places, who has been silent longest leaves."""
    async with (
        on_path(tmp_path, max_connections=8, reserved_connections=2) as service,
        AsyncExitStack() as stack,
    ):
        for _ in range(20):
            await stack.enter_async_context(wire(service))
        reader, writer = await stack.enter_async_context(wire(service))
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 200")
        assert len(service.crowd) <= 8
