"""Everything at once: backups during imports and deletions, deletions during downloads, a stop."""

import asyncio
import hashlib
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import aiohttp
import sqlite_utils

from fetcher.maintenance.backup import back_up
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.maintenance.test_service import LATER, admin, parts, rot
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config

BODIES = {f"/{number}": raw(100_000 + number, seed=number) for number in range(6)}
ROUTES = {path: behaviours.serve(body, etag='"v1"') for path, body in BODIES.items()}
BIG = raw(24_000_000, seed=9)


async def storm(service: Running, origin: Origin, stop: asyncio.Event) -> int:
    """Import and delete, again and again, four at a time; how many images were made."""
    made = 0

    async def churn(number: int) -> None:
        nonlocal made
        paths = sorted(BODIES)
        while not stop.is_set():
            ended = await service.run(url=origin.url(paths[(made + number) % len(paths)]))
            assert ended["state"] == "succeeded", ended
            made += 1
            if made % 3:
                assert (await service.call("DELETE", f"/v2/images/{ended['image_id']}"))[0] == 204

    await asyncio.gather(*(churn(number) for number in range(4)))
    return made


async def test_backups_in_a_storm_are_whole(tmp_path: Path) -> None:
    """Each of three backups taken while imports come and images go is a store that agrees and serves."""
    async with Origin(ROUTES) as origin:
        async with Running(tmp_path, origin) as service:
            stop = asyncio.Event()
            storming = asyncio.create_task(storm(service, origin, stop))
            for number in range(3):
                await back_up(service.service.app.state.services.store, tmp_path / f"backup{number}")
                await asyncio.sleep(0.1)
            stop.set()
            assert await storming > 4
        for number in range(3):
            await restored(tmp_path / f"backup{number}", origin)
        agree(service.data)


async def restored(backup: Path, origin: Origin) -> None:
    """Start a service on a backup; what it holds agrees, and each image's bytes are some origin's."""
    folder = backup.with_name(f"{backup.name} restored")
    folder.mkdir()
    digests = {hashlib.sha256(body).hexdigest() for body in BODIES.values()}
    async with Running(folder, origin, store={"folder": str(backup)}) as service:
        async with asyncio.timeout(30):
            while any((await service.get("/healthz"))["imports"].values()):
                await asyncio.sleep(0.02)
        assert await service.service.app.state.services.index.maintenance.miscounted() == []
        for image in (await service.get("/v2/images?status=active&limit=100"))["images"]:
            async with service.client.get(f"/v2/images/{image['id']}/file") as answer:
                assert hashlib.sha256(await answer.read()).hexdigest() in digests
    agree(backup)


async def test_a_deletion_while_others_download_import_and_scrub(tmp_path: Path) -> None:
    """The reader finishes, the import of the same bytes succeeds, the scrub marks nothing, one blob stays."""
    sha256 = hashlib.sha256(BIG).hexdigest()
    async with Origin({"/x": behaviours.serve(BIG)}) as origin, Running(tmp_path, origin) as service:
        maintenance, _store = parts(service)
        first = (await service.run(url=origin.url("/x")))["image_id"]
        for _ in range(3):
            async with service.client.get(f"/v2/images/{first}/file") as answer:
                begun = await answer.content.readexactly(1000)
                importing = await service.submit(url=origin.url("/x"))
                scrubbing = asyncio.create_task(maintenance.scrub(before=LATER))
                deleting = asyncio.create_task(service.call("DELETE", f"/v2/images/{first}"))
                assert begun + await answer.content.read() == BIG
            ended = await service.ended(importing["id"])
            assert (await deleting)[0] == 204
            found = await scrubbing
            assert (found["missing"], found["corrupt"]) == (0, 0)
            assert ended["state"] == "succeeded"
            assert service.traces() == [f"blobs/{sha256[:2]}/{sha256}"]
            first = ended["image_id"]
    agree(service.data)


async def test_a_reader_is_not_disturbed_by_a_mend(tmp_path: Path) -> None:
    """Whoever reads while fresh bytes take the old ones' place reads one file to its end."""
    async with Origin({"/x": behaviours.serve(BIG)}) as origin, Running(tmp_path, origin) as service:
        maintenance, store = parts(service)
        image = (await service.run(url=origin.url("/x")))["image_id"]
        async with service.client.get(f"/v2/images/{image}/file") as answer:
            begun = await answer.content.readexactly(10_000_000)
            await service.run(url=origin.url("/x"))  # A new file of the same bytes and name.
            assert begun + await answer.content.read() == BIG
        rot(store.blob_path(hashlib.sha256(BIG).hexdigest()))
        await maintenance.scrub(before=LATER)
        assert (await service.call("GET", f"/v2/images/{image}/file"))[0] == 503
        assert await maintenance.repair() == 1
        async with service.client.get(f"/v2/images/{image}/file") as answer:
            assert await answer.read() == BIG
        await service.service.app.state.services.importer.delete_image(image, admin())


def state_of(data: Path, import_id: str) -> tuple[str, int]:
    """What the index says of an import while no service has it open, and how many attempts it had."""
    with closing(sqlite3.connect(data / "index.sqlite")) as db:
        row = db.execute(
            "SELECT state, json_array_length(attempts) FROM imports WHERE id = ?", [import_id]
        ).fetchone()
    return str(row[0]), int(row[1])


async def test_a_stop_lets_what_can_end_end(tmp_path: Path) -> None:
    """SIGTERM: nothing new is taken, a pull that gets its bytes within the time ends well."""
    opened = asyncio.Event()
    gated = behaviours.gated(behaviours.serve(BODIES["/1"]), opened)
    rules = {"server": {"shutdown_seconds": 20.0}}
    async with Origin({"/x": gated}) as origin:
        service = Process(config(tmp_path, origin, **rules))
        await service.start()
        sent = {"url": origin.url("/x"), "disk_format": "raw"}
        made = (await service.call("POST", "/imports", json=sent))[1]
        await origin.wait_requests(1)
        began = time.monotonic()
        stopping = asyncio.create_task(service.kill(signal.SIGTERM))
        async with asyncio.timeout(100):
            while True:
                try:
                    async with (
                        aiohttp.ClientSession(service.base) as other,
                        other.post("/imports", json=sent) as answer,
                    ):
                        assert answer.status in {202, 503}
                except aiohttp.ClientError:
                    break  # It listens no more.
                await asyncio.sleep(0.01)
        opened.set()
        assert await stopping in {0, -signal.SIGTERM}
        assert time.monotonic() - began < 100
        assert state_of(tmp_path / "data", made["id"]) == ("succeeded", 1)
        agree_but_for_what_waits(tmp_path / "data")


def agree_but_for_what_waits(data: Path) -> None:
    """Whatever was taken in the last moment is done or waits; nothing is lost between the two."""
    db = sqlite_utils.Database(data / "index.sqlite")
    states = {row["state"] for row in db.query("SELECT DISTINCT state FROM imports")}
    db.conn.close()
    assert states <= {"succeeded", "queued"}


async def test_a_stop_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    """What does not end within the configured time is parked, and ends after the next start."""
    tag = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    body = raw(4_000_000)
    turns = behaviours.in_turn(
        behaviours.stall(body, 2_000_000, fields=tag), behaviours.serve(body, etag='"v1"')
    )
    rules = {"server": {"shutdown_seconds": 1.0}, "store": {"write_bytes": 4096}}
    async with Origin({"/x": turns}) as origin:
        service = Process(config(tmp_path, origin, **rules))
        await service.start()
        sent = {"url": origin.url("/x"), "disk_format": "raw"}
        made = (await service.call("POST", "/imports", json=sent))[1]
        while (await service.call("GET", f"/imports/{made['id']}"))[1]["progress"][
            "received_bytes"
        ] < 2_000_000:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        assert await service.kill(signal.SIGTERM) in {0, -signal.SIGTERM}
        assert 0.9 < time.monotonic() - began < 100
        assert state_of(tmp_path / "data", made["id"]) == ("queued", 1)
        await service.start()
        ended = await service.until(made["id"], "succeeded", "failed")
        assert ended["attempts"][1]["offset"] >= 2_000_000 - 4096
        await service.kill()
        agree(tmp_path / "data")
