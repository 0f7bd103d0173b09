"""kill -9 at any moment: after the next start, index and store agree and every import has its end."""

import asyncio
import hashlib
import signal
from pathlib import Path

import pytest
import sqlite_utils

from fetcher.model import algorithm_of
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running


def agree(data: Path) -> None:
    """Every row has its file, every file its row, and the bytes are those of the name."""
    db = sqlite_utils.Database(data / "index.sqlite")
    rows = {row["sha256"] for row in db.query("SELECT sha256 FROM blobs")}
    used = {row["sha256"] for row in db.query("SELECT sha256 FROM images WHERE sha256 IS NOT NULL")}
    files = {path.name: path for path in (data / "blobs").rglob("*") if path.is_file()}
    assert rows == used == set(files)
    for name, path in files.items():
        assert hashlib.new(algorithm_of(name), path.read_bytes()).hexdigest() == name
    assert [*(data / "staging").iterdir()] == []
    db.conn.close()


def config(folder: Path, *origins: Origin, **sections) -> Path:
    running = Running(folder, *origins, **sections)
    running.write_config()
    return running.config


async def test_kill_in_the_middle_of_a_pull(tmp_path: Path) -> None:
    """The import is taken up at the next start and ends with the origin's bytes; nothing is left over."""
    body = raw(4_000_000)
    turns = behaviours.in_turn(behaviours.stall(body, 2_000_000), behaviours.serve(body))
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin)) as service:
        created = (
            await service.call("POST", "/imports", json={"url": origin.url("/x"), "disk_format": "raw"})
        )[1]
        await origin.wait_requests(1)
        await service.until(created["id"], "running")
        await service.kill()
        await service.start()
        ended = await service.until(created["id"], "succeeded", "failed", "refused")
        assert ended["digests"]["sha256"] == hashlib.sha256(body).hexdigest()
        await service.kill()
        agree(tmp_path / "data")


@pytest.mark.parametrize("after_bytes", [0, 65_536, 1_000_000, 3_999_999, 4_000_000])
async def test_kill_at_points_of_many_pulls(after_bytes: int, tmp_path: Path) -> None:
    """Eight imports, killed when the origin has sent so many bytes; all come to their end."""
    bodies = {f"/{number}": raw(4_000_000 + number, seed=number) for number in range(8)}
    routes = {path: behaviours.serve(body) for path, body in bodies.items()}
    limits = {"max_running_per_origin": 8}
    async with Origin(routes) as origin, Process(config(tmp_path, origin, imports=limits)) as service:
        made = {}
        for path in bodies:
            made[path] = (
                await service.call("POST", "/imports", json={"url": origin.url(path), "disk_format": "raw"})
            )[1]["id"]
        while origin.sent_bytes < after_bytes:
            await asyncio.sleep(0)
        await service.kill()
        await service.start()
        for path, import_id in made.items():
            ended = await service.until(import_id, "succeeded", "failed", "refused", "cancelled")
            assert ended["digests"]["sha256"] == hashlib.sha256(bodies[path]).hexdigest()
        await service.kill()
        agree(tmp_path / "data")


async def test_a_terminated_service_parks_what_runs(tmp_path: Path) -> None:
    """SIGTERM gives running imports a moment, then leaves them for the next start; the exit is clean."""
    body = raw(1_000_000)
    turns = behaviours.in_turn(behaviours.stall(body, 10), behaviours.serve(body))
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin)) as service:
        created = (
            await service.call("POST", "/imports", json={"url": origin.url("/x"), "disk_format": "raw"})
        )[1]
        await origin.wait_requests(1)
        assert await service.kill(signal.SIGTERM) in {0, -signal.SIGTERM}
        agree(tmp_path / "data")
        await service.start()
        assert (await service.until(created["id"], "succeeded", "failed"))["state"] == "succeeded"


async def test_a_second_server_on_the_same_store_gives_up(tmp_path: Path) -> None:
    """Two writers would corrupt the store; the second one says so and exits."""
    file = config(tmp_path)
    async with Process(file):
        second = Process(file)
        with pytest.raises(AssertionError):
            await second.start()
        await second.kill()
