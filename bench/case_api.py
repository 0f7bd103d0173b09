"""The API over indexes of all sizes: lists, single images, the start; and how fast submissions are taken."""

import asyncio
import http.client
import json
import time
from pathlib import Path

import aiohttp
from sqlite_utils.db import Database

from bench.figures import Row, compare, row
from bench.lab.origin import origin
from bench.lab.place import Lab, make_file
from bench.lab.service import Service, service
from fetcher.index.sqlite.schema import migrate

SIZES = (100, 10_000, 100_000, 1_000_000)
GLANCE_LIST_MS = 297.0  # Glance 33.0.0 with MariaDB, 10,000 images, list of 100, p50
GLANCE_CREATES = 29.0  # likewise: image-create in a second


def index(lab: Lab) -> list[Row]:
    """Lists and single images over growing indexes; how soon the service is ready with them."""
    rows: list[Row] = []
    first: float | None = None
    lists: list[float] = []
    deep: list[float] = []
    one: list[float] = []
    for size in SIZES:
        home = lab.folder / f"index{size}"
        seed(home / "data" / "index.sqlite", size)
        starts: list[float] = []
        for _ in range(lab.rounds):
            with Service(home, None) as ours:
                starts.append(ours.ready_seconds)
                if len(starts) < lab.rounds:
                    continue
                lists = timed(ours, "/v2/images?limit=100", 100 * lab.rounds)
                deep = timed(ours, f"/v2/images?limit=100&marker={image_id(size // 2)}", 50 * lab.rounds)
                one = timed(ours, f"/v2/images/{image_id(size // 2)}", 100 * lab.rounds)
        name = f"{size:,} images"
        line = row(f"list of 100 of {name}", lists, "ms")
        first = first or line.value
        rows.append(compare(line, [line.value / GLANCE_LIST_MS], "Glance, 10,000 images (297 ms)", most=0.1))
        flat = row(f"list of 100 from the middle of {name}", deep, "ms")
        rows.append(compare(flat, [flat.value / first], f"first page of {SIZES[0]} images", most=2))
        rows.append(row(f"one of {name}", one, "ms"))
        rows.append(row(f"start with {name}", starts, "s", most=1.0 if size == SIZES[-1] else None))
    return rows


def image_id(number: int) -> str:
    """The id that `seed` gives an image."""
    return f"00000000-0000-4000-8000-{number:012x}"


def seed(path: Path, size: int) -> None:
    """Fill an index as the service would have, straight through SQLite."""
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    db = Database(str(path))
    db.enable_wal()
    migrate(db)
    # The numbers run down so that the newest image is number 1 and pages run up.
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {size} UNION ALL SELECT i - 1 FROM n WHERE i > 1)"
    made = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1767225600 - i, 'unixepoch')"
    digest = "printf('%064x', i)"
    with db.conn:
        db.execute(
            f"""{numbers} INSERT INTO blobs (sha256, size, virtual_bytes, md5, sha512, digests, created_at)
            SELECT {digest}, 1000 + i, NULL, printf('%032x', i), printf('%0128x', i), json_object('md5',
                printf('%032x', i), 'sha256', {digest}, 'sha512', printf('%0128x', i)), {made} FROM n"""
        )
        db.execute(
            f"""{numbers} INSERT INTO images (id, project_id, name, status, visibility, disk_format,
                container_format, size, sha256, created_at, updated_at)
            SELECT '00000000-0000-4000-8000-' || printf('%012x', i), 'default', 'image ' || (i % 1000),
                'active', 'private', 'raw', 'bare', 1000 + i, {digest}, {made}, {made} FROM n"""
        )
        db.execute(
            f"""{numbers} INSERT INTO image_tags (image_id, tag)
            SELECT '00000000-0000-4000-8000-' || printf('%012x', i), 'tag' || (i % 50) FROM n"""
        )
        db.execute(
            f"""{numbers} INSERT INTO image_properties (image_id, name, value)
            SELECT '00000000-0000-4000-8000-' || printf('%012x', i), 'os_distro', 'd' || (i % 20) FROM n"""
        )
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.conn.close()


def timed(ours: Service, path: str, times: int) -> list[float]:
    """How long each of many requests on one connection takes, in milliseconds."""
    client = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
    waits = []
    for number in range(times + 5):
        began = time.perf_counter()
        client.request("GET", path)
        answer = client.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")
        if "limit=100" in path and text.count(b'"checksum"') < min(50, times):
            raise RuntimeError(f"{path}: a short list")
        if number >= 5:
            waits.append(1000 * (time.perf_counter() - began))
    client.close()
    return waits


def submits(lab: Lab) -> list[Row]:
    """Submissions in a second while one slow import runs and all others wait in line."""
    make_file(lab.fast / "trickle", 1 << 26)
    caps = {"max_running": 1, "max_queued": 100_000}
    rows: list[Row] = []
    with origin(lab, slow="64k") as source:
        for clients, count in ((1, 300), (16, 2000), (16, 10_000)):
            rates, cpu = [], []
            for _ in range(lab.rounds if count < 10_000 else 1):
                with service(lab, source, imports=caps) as ours:
                    spent = ours.cpu_seconds()
                    seconds = asyncio.run(_submit_all(ours, source.url("slow/trickle"), clients, count))
                    rates.append(count / seconds)
                    cpu.append(1000 * (ours.cpu_seconds() - spent) / count)
            line = row(f"submissions, {clients} clients, {count:,} in all", rates, "a second")
            least = 10.0 if clients > 1 else None
            versus = "Glance's image-create (29 a second)"
            rows.append(compare(line, [rate / GLANCE_CREATES for rate in rates], versus, least=least))
            rows.append(row(f"CPU of a submission, {clients} clients, {count:,} in all", cpu, "ms"))
    (lab.fast / "trickle").unlink()
    return rows


async def _submit_all(ours: Service, url: str, clients: int, count: int) -> float:
    left = iter(range(count))
    async with aiohttp.ClientSession(ours.base, headers={"Content-Type": "application/json"}) as session:

        async def client() -> None:
            for number in left:
                # Equal ones would share a pull.
                body = json.dumps({"url": f"{url}?{number}", "disk_format": "raw"})
                async with session.post("/imports", data=body) as answer:
                    if answer.status != 202:
                        raise RuntimeError(await answer.text())
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        return time.perf_counter() - began
