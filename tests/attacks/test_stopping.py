"""Group I: clients of a service that stops, and followers of imports that do nothing."""

import asyncio
import json
import signal
import time
from pathlib import Path

from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running

UPLOADS = 12


async def test_i13_uploads_in_flight_hear_that_the_service_stops(tmp_path: Path) -> None:
    """Each gets a problem with Retry-After, and the log has no trace of our code."""
    Running(tmp_path).write_config(server={"shutdown_seconds": 0.5})
    async with Process(tmp_path / "config.toml") as service:
        wires = []
        for _ in range(UPLOADS):
            _status, image = await service.call(
                "POST", "/v2/images", json={"disk_format": "raw", "container_format": "bare"}
            )
            host, port = service.base.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"PUT /v2/images/{image['id']}/file HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n".encode()
                + b"x" * 1000
            )
            wires.append((reader, writer))
        while (await service.call("GET", "/healthz"))[1]["imports"]["running"] < UPLOADS:
            await asyncio.sleep(0.01)
        ending = asyncio.create_task(service.kill(signal.SIGTERM))
        for reader, writer in wires:
            answer = await asyncio.wait_for(reader.read(), 60)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503"), answer
            assert b"retry-after" in head.lower()
            assert "not-ready" in json.dumps(json.loads(body))
            writer.close()
        await ending
        assert not any(b"Traceback" in line or b"exc_info" in line for line in service.said)


async def test_i13_followers_get_a_last_event(tmp_path: Path) -> None:
    """A stream that the end of the service cuts short says so, and when to come back."""
    async with Origin({"/x": behaviours.silent()}) as origin:
        Running(tmp_path, origin).write_config()
        async with Process(tmp_path / "config.toml") as service:
            import_id = (await service.call("POST", "/imports", json={"url": origin.url("/x")}))[1]["id"]
            async with service.client.get(f"/imports/{import_id}/events") as answer:
                await answer.content.readline()
                ending = asyncio.create_task(service.kill(signal.SIGTERM))
                text = await asyncio.wait_for(answer.content.read(), 60)
            assert b"event: stopping" in text
            assert b"retry: 5000" in text
            await ending
            assert not any(b"Traceback" in line or b'"error"' in line for line in service.said)


async def test_i14_a_follower_of_a_queued_import_hears_of_changes_alone(tmp_path: Path) -> None:
    """Nothing is sent, and the index is not asked, while nothing happens."""
    opened = asyncio.Event()
    routes = {"*": behaviours.gated(behaviours.serve(qcow2()), opened)}
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, imports={"max_running": 1}, reuse={"share": False}) as service,
    ):
        first = await service.submit(url=origin.url("/1"), disk_format="qcow2")
        await origin.wait_requests(1)
        queued = await service.submit(url=origin.url("/2"), disk_format="qcow2")
        seen: list[str] = []

        async def follow() -> None:
            async for name, document in service.events(queued["id"]):
                seen.append(f"{name} {document['state']}")

        following = [asyncio.create_task(follow()) for _ in range(3)]
        while len(seen) < 3:
            await asyncio.sleep(0.01)
        index = service.service.app.state.services.index
        reads = 0
        plain = index.connection.read

        async def counted(*args: object, **kwargs: object) -> object:
            nonlocal reads
            reads += 1
            return await plain(*args, **kwargs)

        index.connection.read = counted
        # Each may look once more after the submit's own news; then a whole window has to be silent.
        for _ in range(10):
            reads = 0
            await asyncio.sleep(0.5)  # Twenty-five times as long as the least time between two events.
            if not reads:
                break
        assert len(seen) == 3
        assert reads == 0
        index.connection.read = plain
        opened.set()
        await asyncio.wait_for(asyncio.gather(*following), 60)
        assert seen.count("end succeeded") == 3
        assert (await service.get(f"/imports/{first['id']}"))["state"] == "succeeded"


async def test_i14_a_thousand_followers_cost_next_to_nothing(tmp_path: Path) -> None:
    """They all get the first event, and none costs anything while nothing happens."""
    routes = {"*": behaviours.silent()}
    async with Origin(routes) as origin, Running(tmp_path, origin, imports={"max_running": 1}) as service:
        await service.submit(url=origin.url("/1"))
        queued = await service.submit(url=origin.url("/2"))
        host, port = service.base.removeprefix("http://").split(":")
        request = f"GET /imports/{queued['id']}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        wires = []
        for _ in range(500):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            wires.append((reader, writer))
        for reader, _writer in wires:
            await asyncio.wait_for(reader.readuntil(b"event: progress"), 60)
        began = time.process_time()
        await asyncio.sleep(1.0)
        assert time.process_time() - began < 0.3
        for _reader, writer in wires:
            writer.close()
