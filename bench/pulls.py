"""Nothing twice: what an origin serves when many ask, when it breaks off, when we die, when it is slow.

python -m bench.pulls [once] [cut] [kill] [ranges] [--bytes N]

Each scenario starts the real service as a process of its own, and an origin on
loopback that counts the bytes of its bodies; each prints a line and fails
when its bound does not hold.
"""

import argparse
import asyncio
import contextlib
import hashlib
import mmap
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running

TAG = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
CLIENTS = 100
CUTS = 10
PER_CONNECTION = 10_000_000
MAX_SERVED = 1.05


def config(folder: Path, origin: Origin, **sections: dict[str, Any]) -> Path:
    running = Running(folder, origin, **sections)
    running.write_config()
    return running.config


async def submit(service: Process, url: str) -> str:
    status, document = await service.call("POST", "/imports", json={"url": url, "disk_format": "raw"})
    assert status == 202, document
    return str(document["id"])


async def ended(service: Process, import_id: str, sha256: str) -> dict[str, Any]:
    async with asyncio.timeout(3600):
        while not (document := (await service.call("GET", f"/imports/{import_id}"))[1])["verdict"]:
            await asyncio.sleep(0.1)
    assert document["state"] == "succeeded", document
    assert document["digests"]["sha256"] == sha256
    return dict(document)


def tell(name: str, origin: Origin, size: int, began: float, more: str) -> None:
    ratio = origin.sent_bytes / size
    seconds = time.monotonic() - began
    print(f"{name}: {ratio:.3f} of {size:,} bytes served in {seconds:.1f} s; {more}", flush=True)
    assert ratio <= MAX_SERVED


async def once(folder: Path, body: memoryview, sha256: str) -> None:
    """100 clients submit one URL."""
    behaviour = behaviours.serve(body, etag='"v1"')
    async with Origin({"/x": behaviour}) as origin, Process(config(folder, origin)) as service:
        began = time.monotonic()
        made = await asyncio.gather(*(submit(service, origin.url("/x")) for _ in range(CLIENTS)))
        images = {(await ended(service, one, sha256))["image_id"] for one in made}
        blobs = [path.stat().st_size for path in (folder / "data" / "blobs").rglob("*") if path.is_file()]
        more = (
            f"{len(origin.requests)} request, {len(images)} images, {len(blobs)} blob of {sum(blobs):,} bytes"
        )
        tell("once", origin, len(body), began, more)
        assert (len(images), blobs) == (CLIENTS, [len(body)])


async def cut(folder: Path, body: memoryview, sha256: str) -> None:
    """The connection is cut ten times."""
    cuts = [behaviours.cut(body, len(body) // (CUTS + 1), fields=TAG) for _ in range(CUTS)]
    turns = behaviours.in_turn(*cuts, behaviours.serve(body, etag='"v1"'))
    async with Origin({"/x": turns}) as origin, Process(config(folder, origin)) as service:
        began = time.monotonic()
        document = await ended(service, await submit(service, origin.url("/x")), sha256)
        tell("cut", origin, len(body), began, f"{len(document['attempts'])} attempts")
        assert len(document["attempts"]) == CUTS + 1


async def kill(folder: Path, body: memoryview, sha256: str) -> None:
    """The process is killed in the middle and started again."""
    behaviour = behaviours.serve(body, etag='"v1"')
    async with Origin({"/x": behaviour}) as origin, Process(config(folder, origin)) as service:
        began = time.monotonic()
        import_id = await submit(service, origin.url("/x"))
        while origin.sent_bytes < len(body) // 2:
            await asyncio.sleep(0)
        await service.kill()
        served = origin.sent_bytes
        with contextlib.closing(sqlite3.connect(folder / "data" / "index.sqlite")) as db:
            kept = db.execute("SELECT kept_bytes FROM pulls").fetchone()
        await service.start()
        document = await ended(service, import_id, sha256)
        offsets = [attempt["offset"] for attempt in document["attempts"]]
        more = f"killed after {served:,}, kept {kept[0] if kept else 0:,}, attempts from {offsets}"
        tell("kill", origin, len(body), began, more)


async def ranges(folder: Path, body: memoryview, sha256: str) -> None:
    """10 MB/s for each connection: with one, and with as many as the limit for an origin."""
    behaviour = behaviours.serve(body, etag='"v1"', bytes_per_second=PER_CONNECTION)
    seconds = []
    for connections in (1, 4):
        beside = folder / str(connections)
        beside.mkdir()
        rules = {"ranges": {"connections": connections}}
        async with Origin({"/x": behaviour}) as origin, Process(config(beside, origin, **rules)) as service:
            began = time.monotonic()
            document = await ended(service, await submit(service, origin.url("/x")), sha256)
            seconds.append(time.monotonic() - began)
            used = document["attempts"][0]["connections"]
            rate = len(body) / seconds[-1] / 1e6
            tell("ranges", origin, len(body), began, f"connections: {used}, {rate:.1f} MB/s")
            assert used == connections
    print(f"ranges: {seconds[0] / seconds[1]:.2f} times as fast")
    assert seconds[0] / seconds[1] > 2.5


SCENARIOS: dict[str, Callable[[Path, memoryview, str], Awaitable[None]]] = {
    "once": once,
    "cut": cut,
    "kill": kill,
    "ranges": ranges,
}


def make_body(file: Path, size: int) -> memoryview:
    """A body on disk, every mebibyte of it another one."""
    block = hashlib.shake_128(b"body").digest(1 << 20)
    with file.open("wb+") as handle:
        for start in range(0, size, len(block)):
            handle.write(start.to_bytes(8, "big") + block[8 : min(len(block), size - start)])
        handle.flush()
        return memoryview(mmap.mmap(handle.fileno(), size, access=mmap.ACCESS_READ))


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.pulls", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--bytes", type=int, default=1 << 30, metavar="N", help="size of the body (1 GiB)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        body = make_body(Path(folder) / "body", options.bytes)
        sha256 = hashlib.sha256(body).hexdigest()
        for name in options.names or SCENARIOS:
            place = Path(folder) / name
            place.mkdir()
            asyncio.run(SCENARIOS[name](place, body, sha256))


if __name__ == "__main__":
    main()
