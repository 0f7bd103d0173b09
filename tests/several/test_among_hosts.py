"""Three hosts on one database: pulled once, seen and cancelled everywhere, capped over all."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from fetcher.cli.app import run
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.page.test_page import BROWSER, proven
from tests.service import Running
from tests.several.hosts import SIZE, Held

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = 100
PATIENT_SECONDS = 25


class Site:
    """Three hosts, what they share, and where they fetch from."""

    def __init__(self, database: PostgresPlace, origin: Origin, mirror: Origin, folder: Path) -> None:
        self.database = database
        self.origin = origin
        self.mirror = mirror
        self.blobs = folder / "blobs"
        self.blobs.mkdir()
        self.hosts: list[Running] = []
        for name in ("a", "b", "c"):
            (folder / name / "data").mkdir(parents=True, mode=0o700)
            (folder / name / "data" / "blobs").symlink_to(self.blobs)
            self.hosts.append(
                Running(
                    folder / name,
                    origin,
                    mirror,
                    index={"url": database.as_url},
                    cluster={"host": name},
                    imports={"max_running_per_origin": 4},
                    links={"enabled": True},
                    publish={"enabled": True, "cache_seconds": 0.05},
                )
            )

    def worker(self, import_id: str) -> int:
        """Which host claimed an import last."""
        with psycopg.connect(self.database.url) as connection:
            row = connection.execute("SELECT worker FROM imports WHERE id = %s", [import_id]).fetchone()
        assert row is not None
        return "abc".index(row[0])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(databases: PostgresPlaces, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """They are started once."""
    async with Origin() as origin, Origin(host="127.0.0.3") as mirror:
        made = Site(databases.new(), origin, mirror, tmp_path_factory.mktemp("site"))
        async with made.hosts[0], made.hosts[1], made.hosts[2]:
            yield made


@pytest.fixture(autouse=True)
def let_go(site: Site) -> Iterator[None]:
    """Leave nothing for the tests to come that would wait for ever."""
    yield
    for route in site.origin.routes.values():
        if isinstance(route, Held):
            route.opened.set()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while not is_so():
            await asyncio.sleep(0.01)


def running(host: Running) -> int:
    """How many imports a host runs."""
    return int(host.service.app.state.services.importer.counts()["running"])


async def test_a_hundred_clients_of_three_hosts_are_one_pull(site: Site) -> None:
    """The source serves the bytes once, and one blob is kept; every host serves every image."""
    held = site.origin.routes["/once"] = Held(1)
    url = site.origin.url("/once")
    made = await asyncio.gather(*(site.hosts[number % 3].submit(url=url) for number in range(CLIENTS)))
    await until(lambda: sum(map(running, site.hosts)) == CLIENTS)
    assert sorted(map(running, site.hosts)) == [0, 0, CLIENTS]
    held.opened.set()
    ended = await asyncio.gather(*(site.hosts[(n + 1) % 3].ended(one["id"]) for n, one in enumerate(made)))
    assert {one["state"] for one in ended} == {"succeeded"}
    assert {one["digests"]["sha256"] for one in ended} == {held.sha256}
    assert (held.asked, len(list(site.blobs.rglob(held.sha256)))) == (1, 1)
    for host in site.hosts:
        async with host.client.get(f"/v2/images/{ended[0]['image_id']}/file") as answer:
            assert hashlib.sha256(await answer.read()).hexdigest() == held.sha256


async def test_who_follows_at_another_host_sees_the_bytes_come(site: Site) -> None:
    """By events and by asking; and an end there wakes a follower here at once."""
    held = site.origin.routes["/seen"] = Held(2)
    made = await site.hosts[0].submit(url=site.origin.url("/seen"))
    await until(lambda: held.asked == 1)
    elsewhere = site.hosts[(site.worker(made["id"]) + 1) % 3]
    seen: list[Any] = []

    async def follow() -> None:
        async for name, document in elsewhere.events(made["id"]):
            seen.append(document)
            if name == "end":
                return

    follower = asyncio.create_task(follow())
    await until(lambda: any(one["progress"]["received_bytes"] >= SIZE // 4 for one in seen))
    progress = (await elsewhere.get(f"/imports/{made['id']}"))["progress"]
    assert (progress["received_bytes"] >= SIZE // 4, progress["expected_bytes"]) == (True, SIZE)
    held.opened.set()
    await asyncio.wait_for(follower, PATIENT_SECONDS)
    assert seen[-1]["state"] == "succeeded"


async def test_a_cancel_reaches_the_host_that_runs_it(site: Site) -> None:
    """Whoever is asked, the run ends and its bytes are gone, without waiting for a lease or a poll."""
    held = site.origin.routes["/cancel"] = Held(3)
    made = await site.hosts[0].submit(url=site.origin.url("/cancel"))
    await until(lambda: held.asked == 1)
    there = site.worker(made["id"])
    began = asyncio.get_running_loop().time()
    asked = await site.hosts[(there + 1) % 3].call("DELETE", f"/imports/{made['id']}")
    assert asked[0] < 300
    await until(lambda: running(site.hosts[there]) == 0)
    seconds = asyncio.get_running_loop().time() - began
    assert seconds < site.hosts[0].service.settings.imports.lease_seconds / 3
    await until(lambda: list((site.hosts[there].data / "staging").iterdir()) == [])
    assert (await site.hosts[there].ended(made["id"]))["state"] == "cancelled"


async def test_caps_of_an_origin_hold_over_all_hosts(site: Site) -> None:
    """Ten URLs of one origin at three hosts: four at a time, and all come to their end."""
    most = now = 0
    opened = asyncio.Event()

    async def counted(exchange: Exchange) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await opened.wait()
        await behaviours.serve(raw(1000))(exchange)
        now -= 1

    site.origin.routes |= {f"/cap/{number}": counted for number in range(10)}
    urls = [site.origin.url(f"/cap/{number}") for number in range(10)]
    made = [await site.hosts[number % 3].submit(url=url) for number, url in enumerate(urls)]
    await until(lambda: now == 4)
    opened.set()
    ended = [await site.hosts[number % 3].ended(one["id"]) for number, one in enumerate(made)]
    assert ({one["state"] for one in ended}, most) == ({"succeeded"}, 4)


async def test_a_mirrors_origin_has_its_cap_over_all_hosts(site: Site) -> None:
    """Pulls that went on at a mirror count there, and no longer where they came from, at every host."""
    most = now = 0
    opened = asyncio.Event()

    async def counted(exchange: Exchange) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await opened.wait()
        await behaviours.serve(raw(1000, seed=len(exchange.request.path)))(exchange)
        now -= 1

    site.origin.routes |= {f"/gone/{number}": behaviours.status(404) for number in range(6)}
    site.mirror.routes |= {f"/{kind}/{number}": counted for kind in ("moved", "own") for number in range(6)}

    async def submitted(number: int) -> dict[str, Any]:
        mirrors = [site.mirror.url(f"/moved/{number}")]
        return await site.hosts[number % 3].submit(url=site.origin.url(f"/gone/{number}"), mirrors=mirrors)

    made = [await submitted(number) for number in range(3)]
    await until(lambda: now == 3)
    held = site.origin.routes["/still"] = Held(5)
    made += [await site.hosts[0].submit(url=site.origin.url("/still"))]
    await until(lambda: held.asked == 1)
    made += [await site.hosts[n % 3].submit(url=site.mirror.url(f"/own/{n}")) for n in range(6)]
    await until(lambda: now == 4)
    assert _taken(site) == {site.origin.url(""): 1, site.mirror.url(""): 4}
    made += [await submitted(number) for number in range(3, 6)]
    opened.set()
    held.opened.set()
    ended = [await site.hosts[number % 3].ended(one["id"]) for number, one in enumerate(made)]
    assert ({one["state"] for one in ended}, most) == ({"succeeded"}, 4)


def _taken(site: Site) -> dict[str, int]:
    """Return the pulls of all hosts by the origin at which they count."""
    with psycopg.connect(site.database.url) as connection:
        rows = connection.execute(
            "SELECT origin, count(*) FROM places WHERE origin <> '' GROUP BY 1"
        ).fetchall()
    return dict(rows)


async def test_one_host_does_what_is_done_for_all(site: Site) -> None:
    """Each chore has one leader among the living; the list of hosts says whose it is."""
    engine = site.hosts[0].service.app.state.services.engine

    async def led() -> list[str]:
        return [chore for host in await engine.hosts() for chore in host.chores]

    async with asyncio.timeout(PATIENT_SECONDS):
        while sorted(await led()) != ["attestations", "maintenance", "schedules", "webhooks"]:
            await asyncio.sleep(0.05)
    assert [host.name for host in await engine.hosts() if host.is_alive] == ["a", "b", "c"]


async def test_published_lists_are_the_same_at_every_host(site: Site) -> None:
    """To the byte, whichever host made them first; another list has a later moment at all of them."""
    moments = []
    for number in range(2):
        route = f"/public{number}"
        site.origin.routes[route] = behaviours.serve(raw(1000, seed=80 + number))
        made = await site.hosts[number].submit(url=site.origin.url(route), visibility="public")
        image = (await site.hosts[number].ended(made["id"]))["image_id"]
        lists = await _agreed(site, image)
        moments.append(parsedate_to_datetime(json.loads(lists[1])["updated"]))
    assert moments[0] < moments[1]


async def _agreed(site: Site, image: str) -> list[bytes]:
    """The lists that have an image, once all hosts have the same: one may still have made those before."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            lists = [await _published(host, image) for host in (*site.hosts, site.hosts[0])]
            if lists == [lists[0]] * 4:
                return lists[0]
            await asyncio.sleep(0.02)


async def _published(host: Running, image: str) -> list[bytes]:
    """Both lists of a host, and the Metalink of an image, once the lists have the image."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            found = []
            for path in ("index.json", "images.json"):
                async with host.client.get(f"/streams/v1/{path}") as answer:
                    assert answer.status == 200
                    found.append(await answer.read())
            if image.encode() in found[1]:
                async with host.client.get(f"/streams/images/{image}.meta4") as answer:
                    return [*found, (await answer.read()).replace(host.base.encode(), b"")]
            await asyncio.sleep(0.02)


async def test_what_one_host_signed_is_taken_by_all(site: Site) -> None:
    """A form and a link of one host are good at the next one; a link that was revoked is good at none."""
    site.origin.routes["/signed"] = behaviours.serve(raw(1000, seed=77))
    first, second, third = site.hosts
    form, cookies = await proven(first, url=site.origin.url("/signed"), disk_format="raw")
    async with second.client.post(
        "/page/submit", data=form, cookies=cookies, headers=BROWSER, allow_redirects=False
    ) as answer:
        assert answer.status == 303, await answer.text()
        ended = await third.ended(answer.headers["Location"].rpartition("/")[2])
    status, made, _ = await first.call("POST", f"/images/{ended['image_id']}/links", json={})
    assert status == 201, made
    path = made["url"][made["url"].index("/images/") :]
    for host in site.hosts:
        async with host.client.get(path) as answer:
            assert (answer.status, await answer.read()) == (200, raw(1000, seed=77))
    command = ["keys", "revoke-links", "--config", str(first.config)]
    assert await asyncio.to_thread(run, command) == 0
    for host in site.hosts:
        async with host.client.get(path) as answer:
            assert answer.status == 403
