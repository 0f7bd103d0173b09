"""Group I, what a request may cost: the dearest ones that a search finds are still cheap."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from fetcher.errors import ReadGivenUp
from fetcher.index.sqlite.image_records.images import insert_image
from fetcher.index.values import READER, Reader
from fetcher.model import Actor
from tests.index.conftest import image
from tests.service import Running

LOCAL = Actor(project_id="default", user_id="local")

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
IMAGES = 1_500
LOOP_SECONDS, READER_SECONDS = 0.05, 0.2
# What `calibrate` costs on the machine that the bounds are meant for.
USUAL_SECONDS = 0.02
TEXTS = ("id", "name", "status", "disk_format", "container_format")
KEYS = (*TEXTS, "created_at", "size", "updated_at")


def calibrate() -> float:
    """How many times slower this machine is now than the one that the bounds are meant for; never faster."""
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        sum(hash(str(number)) % 3 for number in range(100_000))
        best = min(best, time.thread_time() - began)
    return max(1.0, best / USUAL_SECONDS)


def filters(dice: random.Random) -> list[str]:
    """One filter of each kind."""
    values = (
        dice.choice(("a", "active", "raw", str(dice.randrange(9)), "")) for _ in range(dice.randint(1, 256))
    )
    return [
        f"{dice.choice(TEXTS)}=in:{','.join(values)}",
        f"tag={dice.randint(0, 25)}",
        f"p{dice.randint(0, 8)}={dice.randint(0, 4)}",
        f"{dice.choice(('size_min', 'size_max', 'min_ram', 'virtual_size'))}={dice.randint(0, 2000)}",
        f"{dice.choice(('created_at', 'updated_at'))}={dice.choice(('neq', 'gte', 'lt'))}:2026-01-01",
        f"{dice.choice(('checksum', 'os_hash_value'))}={'a' * dice.randint(1, 64)}",
    ]


def query(dice: random.Random) -> str:
    """A query for `GET /v2/images` that costs as much as may be."""
    parts = [dice.choice(filters(dice)) for _ in range(dice.choice((0, 1, 2, 5, 20, 62)))]
    keys = dice.sample(KEYS, dice.randint(1, len(KEYS)))
    parts.append("sort=" + ",".join(f"{key}:{dice.choice(('asc', 'desc'))}" for key in keys))
    parts.append(f"limit={dice.choice((1, 25, 1000))}")
    parts.append(
        dice.choice(("visibility=all", "member_status=all", "owner=default", "os_hidden=true", "a=b"))
    )
    return "&".join(parts)


def fill(db: Database) -> None:
    """Images that differ in little, so that no filter is selective."""
    for number in range(IMAGES):
        properties = {f"p{name}": str(number % 3) for name in range(8)}
        tags = tuple(str(tag) for tag in range(20))
        insert_image(db, image(LOCAL, number % 5, name=f"n{number % 7}", tags=tags, properties=properties))


class Costs:
    """Processor time of one request: of the loop's thread, and of all others."""

    def __init__(self, service: Running) -> None:
        self._service = service

    async def of(self, path: str) -> tuple[int, float, float]:
        """The status of an answer, seconds on the loop, and seconds in readers."""
        began, all_began = time.thread_time(), time.process_time()
        status = await self._get(path)
        loop, whole = time.thread_time() - began, time.process_time() - all_began
        return status, loop, max(0.0, whole - loop)

    async def _get(self, path: str) -> int:
        """Ask in as few steps as can be: they are in this thread too."""
        host, port = self._service.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readline()
        await reader.read()
        writer.close()
        return int(head.split()[1])


async def test_i09_no_list_of_images_is_dear(tmp_path: Path) -> None:
    """A search over filters, orders, markers and lists of values finds none that costs much."""
    async with Running(tmp_path) as service:
        await service.service.app.state.services.index.connection.write(fill)
        costs, dice = Costs(service), random.Random(14)
        slowness = calibrate()
        for _ in range(60):
            path = f"/v2/images?{query(dice)}"
            status, loop, reader = min(
                [await costs.of(path) for _ in range(2)], key=lambda cost: sum(cost[1:])
            )
            assert status in {200, 400}, path
            assert loop < LOOP_SECONDS * slowness, (loop, path)
            assert reader < READER_SECONDS * slowness, (reader, path)


async def test_i09_no_other_list_is_dear(tmp_path: Path) -> None:
    """Every other route that takes a query, with the longest that a head may hold."""
    paths = (
        "/imports",
        "/v2/tasks",
        "/v2/images",
        "/v2/schemas/image",
        "/",
        "/page/imports",
        "/openapi.json",
    )
    async with Running(tmp_path) as service:
        await service.service.app.state.services.index.connection.write(fill)
        costs, slowness = Costs(service), calibrate()
        for path in paths:
            for pattern in (
                "{n}=a",
                "state={n}",
                "name=in:" + "a," * 40,
                "sort=name,",
                "tag=%20",
                "marker=%00",
            ):
                many = "&".join(
                    pattern.replace("{n}", str(number)) for number in range(30_000 // len(pattern) // 2)
                )
                status, loop, reader = await costs.of(f"{path}?{many}"[:30_000])
                assert status < 500, path
                assert loop < LOOP_SECONDS * slowness, (loop, path, pattern)
                assert reader < READER_SECONDS * slowness, (reader, path, pattern)


@pytest.mark.parametrize("path", ["/imports", "/exports", "/v2/images", "/v2/tasks", "/catalogue"])
async def test_i09_a_number_without_end_is_refused(tmp_path: Path, path: str) -> None:
    """A limit of more digits than Python turns into a number is the client's mistake, no fault of ours."""
    async with Running(tmp_path) as service:
        for digits in (5_000, 20_000):
            status, _document, _headers = await service.call("GET", f"{path}?limit={'9' * digits}")
            assert status in {200, 400}, path


@pytest.mark.parametrize("count", [257, 12_000])
async def test_i09_a_list_of_values_has_a_bound(tmp_path: Path, count: int) -> None:
    """More values than anybody needs are refused, and the answer says how many there may be."""
    async with Running(tmp_path) as service:
        path = f"/v2/images?name=in:{','.join('a' * count)}"
        status, document, _headers = await service.call("GET", path)
        assert status == 400
        assert "256" in document["error"]["message"]
        assert (await service.call("GET", f"/v2/images?name=in:{','.join('a' * 256)}"))[0] == 200


async def test_i09_a_read_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """No statement runs past its time, and the readers are free again."""
    async with Running(tmp_path) as service:
        connection = service.service.app.state.services.index.connection
        READER.set(Reader(0.05, lambda: False, asyncio.current_task()))
        with pytest.raises(ReadGivenUp):
            await connection.read(lambda db: db.conn.execute(ENDLESS).fetchone())
        READER.set(None)
        assert await connection.read(lambda db: db.conn.execute("SELECT 1").fetchone()) == (1,)


async def test_i09_a_read_ends_when_its_client_leaves(tmp_path: Path) -> None:
    """Who hangs up, or is cancelled, takes the statement along."""
    async with Running(tmp_path) as service:
        connection = service.service.app.state.services.index.connection
        gone: list[bool] = []
        READER.set(Reader(600.0, lambda: bool(gone), asyncio.current_task()))
        asyncio.get_running_loop().call_later(0.05, gone.append, True)
        with pytest.raises(ReadGivenUp):
            await connection.read(lambda db: db.conn.execute(ENDLESS).fetchone())
        READER.set(None)
        reads = [
            asyncio.create_task(connection.read(lambda db: db.conn.execute(ENDLESS).fetchone()))
            for _ in range(2)
        ]
        await asyncio.sleep(0.05)
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)
        assert await connection.read(lambda db: db.conn.execute("SELECT 1").fetchone()) == (1,)


async def test_i09_an_import_does_not_hang_on_the_client_that_submitted_it(tmp_path: Path) -> None:
    """What a request starts is not bound by the request's own time."""
    async with Running(tmp_path) as service:
        connection = service.service.app.state.services.index.connection
        READER.set(Reader(600.0, lambda: True, asyncio.current_task()))
        started = asyncio.create_task(connection.read(lambda db: db.conn.execute("SELECT 1").fetchone()))
        assert await started == (1,)
