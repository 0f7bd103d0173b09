"""Shortages of a running service: they pass, and nothing ends by them."""

import asyncio
import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running
from tests.store.faults import FaultyDisk

SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """Let a process open nothing more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def test_i08_an_import_outlasts_a_shortage_of_descriptors(tmp_path: Path) -> None:
    """Imports that run and that begin while nothing can be opened wait, and end well."""
    body = qcow2(clusters=64)
    routes = {"/slow": behaviours.serve(body, bytes_per_second=2_000_000), "/fast": behaviours.serve(body)}
    async with Origin(routes) as origin:
        Running(tmp_path, origin).write_config(imports={"max_running_per_origin": 100})
        async with Process(tmp_path / "config.toml") as service:
            ids = [await _submit(service, origin.url("/slow")) for _ in range(3)]
            await service.until(ids[0], "running", "succeeded")
            with no_descriptors(service.pid):
                ids += [await _submit(service, origin.url("/fast")) for _ in range(3)]
                await _until_said(service, b"attempt.short")
                for import_id in ids:
                    record = (await service.call("GET", f"/imports/{import_id}"))[1]
                    assert record["state"] in {"queued", "running", "waiting", "succeeded"}, record
                assert (await service.call("GET", "/readyz"))[0] == 503
                with pytest.raises(
                    (aiohttp.ClientError, TimeoutError)
                ):  # A new connection cannot be taken in yet ...
                    async with aiohttp.request(
                        "GET", service.base + "/healthz", timeout=aiohttp.ClientTimeout(total=0.5)
                    ):
                        pass
            for import_id in ids:
                record = await service.until(import_id, "succeeded", "failed", "rejected")
                assert record["state"] == "succeeded", record["verdict"]
                assert {attempt["code"] for attempt in record["attempts"]} == {"ok"}
            async with aiohttp.request("GET", service.base + "/healthz") as answer:  # ... and now it is.
                assert answer.status == 200
            assert (await service.call("GET", "/readyz"))[0] == 200


async def _submit(service: Process, url: str) -> str:
    status, document = await service.call("POST", "/imports", json={"url": url, "disk_format": "qcow2"})
    assert status == 202, document
    return str(document["id"])


async def _until_said(service: Process, text: bytes) -> None:
    async with asyncio.timeout(60):
        while not any(text in line for line in service.said):
            await asyncio.sleep(0.02)


async def test_i08_a_flood_of_connections_leaves_descriptors_for_imports(tmp_path: Path) -> None:
    """At a low limit clients share what is left of it; an import beside them ends well."""
    async with Origin({"/d": behaviours.serve(qcow2(clusters=64))}) as origin:
        Running(tmp_path, origin).write_config(inbound={"max_descriptors": 256})
        async with Process(tmp_path / "config.toml") as service:
            hard = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (256, hard))
            host, port = service.base.removeprefix("http://").split(":")
            silent = [await asyncio.open_connection(host, int(port)) for _ in range(600)]
            import_id = await _submit(service, origin.url("/d"))
            record = await service.until(import_id, "succeeded", "failed", "rejected")
            assert record["state"] == "succeeded", record["verdict"]
            assert len(list(Path(f"/proc/{service.pid}/fd").iterdir())) < 200
            for _reader, writer in silent:
                writer.close()


async def test_the_limit_of_descriptors_is_raised_and_said(tmp_path: Path) -> None:
    """A start takes as many descriptors as it is configured to and may have, and says what they are for."""
    Running(tmp_path).write_config(inbound={"max_descriptors": 3000})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    try:
        async with Process(tmp_path / "config.toml", loads_anew=True) as service:
            assert resource.prlimit(service.pid, resource.RLIMIT_NOFILE)[0] == 3000
            await _until_said(service, b"start.descriptors")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("number", SHORT, ids=lambda number: errno.errorcode[number])
async def test_i08_no_shortage_ends_an_import(tmp_path: Path, number: int) -> None:
    """Whichever call of the file system meets it: an import waits and ends well; a sender is told when."""
    body = raw(73 * 4096) + bytes(5 * 4096)
    async with Origin({"/d": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        store = service.service.app.state.services.store
        for operation in ("open", "write", "truncate", "sync", "rename", "sync_folder"):
            store._disk = FaultyDisk(operation, number)
            ended = await service.run(url=origin.url("/d"), disk_format="raw")
            assert (ended["state"], store._disk.calls > 0) == ("succeeded", True), (
                operation,
                ended["verdict"],
            )
        fields = {"disk_format": "raw", "container_format": "bare"}
        image = (await service.call("POST", "/v2/images", json=fields))[1]
        sent = {"data": body, "headers": {"Content-Type": "application/octet-stream"}}
        path = f"/v2/images/{image['id']}/file"
        store._disk = FaultyDisk("write", number, for_good=True)
        status, document, headers = await service.call("PUT", path, **sent)
        assert (status, document["error"]["type"]) == (503, "shortage"), document
        assert int(headers["retry-after"]) > 0
        store._disk = FaultyDisk("open", number)
        assert (await service.call("PUT", path, **sent))[0] == 204
        assert store._disk.calls > 0
