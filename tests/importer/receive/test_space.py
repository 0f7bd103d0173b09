"""Room while bytes come in that nobody announced: the quota of the project, and the machine's reserve."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.guards.stream.quota import QuotaCap
from fetcher.store.filesystem.disk import Disk
from fetcher.store.reservation import Reservation
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.service import Running

MIB = 1 << 20
ENDLESS = raw(1 << 16)


class SmallDisk(Disk):
    """A file system of so many bytes, of which every write takes its part."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.written_bytes = 0

    def write(self, descriptor: int, piece: memoryview, offset: int) -> int:
        written = super().write(descriptor, piece, offset)
        self.written_bytes += written
        return written

    def room(self, _path: Path) -> tuple[int, int]:
        return self.total_bytes - self.written_bytes, self.total_bytes


async def gone(service: Running, code: str, origin: Origin, path: str = "/x") -> dict[str, Any]:
    """Run an import that must end in a code and leave nothing behind, neither here nor at the origin."""
    ended = await service.run(url=origin.url(path))
    assert ended["verdict"]["code"] == code, ended
    assert service.traces() == []
    services = service.service.app.state.services
    usage = await services.index.usage.find("default")
    assert (usage.images, usage.bytes, usage.held_bytes) == (0, 0, 0)
    assert services.store._promised == 0
    await origin.wait_idle()
    return ended


async def test_bytes_without_end_stop_at_the_quota(tmp_path: Path) -> None:
    """Nobody said how many there are, so each one is counted; the source is hung up on."""
    quota = {"max_bytes": 2 * MIB}
    async with (
        Origin({"/x": behaviours.endless(ENDLESS)}) as origin,
        Running(tmp_path, origin, quota=quota) as service,
    ):
        ended = await gone(service, "quota-exceeded", origin)
        assert ended["verdict"]["fields"]["quota"] == 2 * MIB
        assert ended["progress"]["received_bytes"] <= 2 * MIB
        assert origin.sent_bytes < 32 * MIB  # What sockets and buffers hold, and no more.


@pytest.mark.parametrize("is_over", [False, True])
async def test_the_quota_is_met_to_the_byte(is_over: bool, tmp_path: Path) -> None:
    """At the limit passes, one past it fails, also where no length was announced."""
    body = raw(100_000 + is_over)
    routes = {"/x": behaviours.chunked([body[:70_000], body[70_000:]])}
    async with Origin(routes) as origin, Running(tmp_path, origin, quota={"max_bytes": 100_000}) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == ("quota-exceeded" if is_over else "ok")
        assert len(service.traces()) == (0 if is_over else 1)


async def test_bytes_without_end_stop_at_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is asked for again and again while they come: what must stay free is never written into."""
    monkeypatch.setattr(Reservation, "STEP_BYTES", MIB)
    disk = SmallDisk(24 * MIB)
    keys = {"reserve_bytes": 16 * MIB, "write_bytes": 65_536}
    async with (
        Origin({"/x": behaviours.endless(ENDLESS)}) as origin,
        Running(tmp_path, origin, store=keys) as service,
    ):
        service.service.app.state.services.store._disk = disk
        await gone(service, "store-full", origin)
        assert disk.written_bytes <= 8 * MIB


async def test_room_that_others_take_is_seen_while_bytes_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A declared body had its room at the start; when somebody else fills the disk, it stops all the same."""
    monkeypatch.setattr(Reservation, "STEP_BYTES", MIB)
    body, disk = raw(16 * MIB), SmallDisk(64 * MIB)
    keys = {"reserve_bytes": 16 * MIB, "write_bytes": 65_536}
    routes = {"/x": behaviours.serve(body, bytes_per_second=40 * MIB)}
    async with Origin(routes) as origin, Running(tmp_path, origin, store=keys) as service:
        service.service.app.state.services.store._disk = disk
        created = await service.submit(url=origin.url("/x"))
        while disk.written_bytes < MIB:
            await asyncio.sleep(0.005)
        disk.total_bytes -= 47 * MIB
        assert (await service.ended(created["id"]))["verdict"]["code"] == "store-full"
        assert service.traces() == []
        assert disk.written_bytes < len(body)


async def test_announced_bytes_that_do_not_fit_are_not_begun(tmp_path: Path) -> None:
    """Room is held before the first byte; two that fit one at a time race, and one is told early."""
    body = raw(5 * MIB)
    opened = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Content-Length": len(body), "Connection": "close"})
        await opened.wait()
        await exchange.send_body(body)

    keys = {"reserve_bytes": 16 * MIB}
    async with (
        Origin({"/a": held, "/b": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, store=keys) as service,
    ):
        store = service.service.app.state.services.store
        store._disk = SmallDisk(24 * MIB)
        first = await service.submit(url=origin.url("/a"))
        while not store._promised:
            await asyncio.sleep(0.005)
        second = await service.run(url=origin.url("/b"))
        assert second["verdict"]["code"] == "store-full"
        assert second["progress"]["received_bytes"] == 0
        opened.set()
        assert (await service.ended(first["id"]))["state"] == "succeeded"
        assert store.blob_path(hashlib.sha256(body).hexdigest()).read_bytes() == body


def slowly(body: bytes) -> behaviours.Behaviour:
    """Chunks of a body whose length nobody says, with time for others in between."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Connection": "close"})
        for start in range(0, len(body), 65_536):
            await exchange.send_body(body[start : start + 65_536])
            await asyncio.sleep(0.002)

    return behave


async def test_two_at_once_share_one_quota_from_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies of unknown length that fit alone and not together: one is refused before all of it is here."""
    monkeypatch.setattr(QuotaCap, "LOOK_BYTES", 65_536)
    bodies = [raw(5 * MIB // 2, seed=seed) for seed in range(2)]
    routes = {f"/{number}": slowly(body) for number, body in enumerate(bodies)}
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, quota={"max_bytes": 4 * MIB}) as service,
    ):
        made = [await service.submit(url=origin.url(path)) for path in routes]
        ended = sorted([await service.ended(one["id"]) for one in made], key=lambda one: one["state"])
        assert [one["verdict"]["code"] for one in ended] == ["quota-exceeded", "ok"]
        assert ended[0]["progress"]["received_bytes"] < 9 * MIB // 4
        assert len(service.traces()) == 1


async def test_sent_bytes_without_a_length_stop_at_the_quota_too(tmp_path: Path) -> None:
    """A sender that goes on for ever is told 413 at the quota, and nothing stays."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield ENDLESS
            await asyncio.sleep(0)

    async with Running(tmp_path, quota={"max_bytes": 2 * MIB}) as service:
        record = {"disk_format": "raw", "container_format": "bare"}
        image = (await service.call("POST", "/v2/images", json=record))[1]["id"]
        headers = {"Content-Type": "application/octet-stream"}
        status, document, _headers = await service.call(
            "PUT", f"/v2/images/{image}/file", data=endless(), headers=headers
        )
        assert (status, document["error"]["type"]) == (413, "quota-exceeded")
        assert service.traces() == []
