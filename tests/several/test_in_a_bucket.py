"""Two hosts on one database and one bucket: what a lost host had received is not asked for again."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import pytest_asyncio

from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.inventory import staged_records
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.exporter.receiver import Receiver
from tests.exporter.test_put import QUICK
from tests.images import raw
from tests.lab import behaviours
from tests.lab.bucket import BucketServer
from tests.lab.bucket_store import PART_BYTES
from tests.lab.origin import Exchange, Origin
from tests.several.hosts import Hosts, freeze, thaw
from tests.store.s3.test_resume import names_in
from tests.store.s3.test_service import bucket_config, place_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("hosts")]

PATIENT_SECONDS = 60
SMALL = raw(200_000, seed=8)
EXCESS = 1_048_576  # Beyond the last whole part: these are lost with their host.
MARK_BYTES = 262_144
WHOLE_PARTS = 2 * PART_BYTES
CAME = WHOLE_PARTS + EXCESS


class Parted:
    """A body of which the first asker gets two parts and a bit; the next one the rest, when the test says so.

    Attributes:
        asked: The range and its condition, by request.
    """

    def __init__(self, seed: int) -> None:
        self.body = raw(WHOLE_PARTS + 4_000_000, seed=seed)
        self.sha256 = hashlib.sha256(self.body).hexdigest()
        self.etag = f'"{seed}"'
        self.asked: list[tuple[str | None, str | None]] = []
        self.sent = 0
        self.gone = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        """Serve it."""
        asked = exchange.request.header("Range")
        self.asked.append((asked, exchange.request.header("If-Range")))
        first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        size = len(self.body)
        head = {"Content-Length": size - first, "ETag": self.etag, "Accept-Ranges": "bytes"}
        if asked:
            head["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
        await exchange.send_head("206 Partial Content" if asked else "200 OK", head)
        middle = min(size, WHOLE_PARTS + (EXCESS if len(self.asked) == 1 else 2 * EXCESS))
        await self._send(exchange, first, middle)
        if len(self.asked) == 1:
            await exchange.wait_gone()
            self.gone.set()
        else:
            await self.opened.wait()
            await self._send(exchange, middle, size)

    async def _send(self, exchange: Exchange, first: int, end: int) -> None:
        self.sent += end - first
        await exchange.send_body(self.body[first:end])


class Site:
    """Two hosts, where they fetch from and send to, and what they share."""

    def __init__(self, hosts: Hosts, origin: Origin, receiver: Receiver, database: PostgresPlace) -> None:
        self.hosts = hosts
        self.origin = origin
        self.receiver = receiver
        self.database = database
        self.bucket: Bucket

    async def until_kept(self) -> None:
        """Wait until the one pull that runs has both parts in the bucket, and a row that names them."""
        async with asyncio.timeout(PATIENT_SECONDS):
            while not (await self.marked() > PART_BYTES and [name for _host, name in self.pulls() if name]):
                await asyncio.sleep(0.05)

    async def marked(self) -> int:
        """How many bytes of the one pull that runs would outlive its host."""
        records = (await self.bucket.call(staged_records(self.bucket))).found
        return max((record.mark_size for record, _at in records.values()), default=0)

    def pulls(self) -> list[tuple[str, str]]:
        """Whose pulls are written down, and what they have staged."""
        with psycopg.connect(self.database.url) as connection:
            return connection.execute("SELECT host, staged FROM pulls").fetchall()

    async def check_end(self, import_id: str, parted: Parted, kept: int, *, number: int, others: int) -> None:
        """Check that a host has the whole image, that the source served it once, and that nothing is left."""
        ended = await self.hosts[number].until(import_id, "succeeded", "failed", "refused")
        assert (ended["state"], ended["digests"]["sha256"]) == ("succeeded", parted.sha256)
        assert parted.asked == [(None, None), (f"bytes={kept}-", parted.etag)]
        assert parted.sent == len(parted.body) + CAME - kept
        async with self.hosts[number].client.get(f"/v2/images/{ended['image_id']}/file") as answer:
            assert hashlib.sha256(await answer.read()).hexdigest() == parted.sha256
        async with asyncio.timeout(PATIENT_SECONDS):  # The row goes after the verdict.
            while self.pulls():
                await asyncio.sleep(0.02)
        assert await names_in(self.bucket) == ["blobs"] * (others + 1) + ["objects"] * (others + 1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(
    databases: PostgresPlaces, weed: BucketServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """Two hosts, configured once; a test starts what it needs."""
    folder = tmp_path_factory.mktemp("bucket")
    async with Origin() as origin, Receiver() as receiver:
        database = databases.new()
        sections = bucket_config(weed, folder) | {
            "resume": {"mark_bytes": MARK_BYTES, "save_seconds": 0.2},
            "exports": {"receivers": [receiver.host], **QUICK},
            "address": {
                "allow": [{"cidr": f"{one.host}/32", "ports": [one.port]} for one in (origin, receiver)]
            },
        }
        made = Site(Hosts(folder, database, origin, 2, **sections), origin, receiver, database)
        made.bucket = Bucket(place_in(sections))
        made.bucket.open()
        try:
            async with made.hosts:
                yield made
        finally:
            made.bucket.close()


@pytest.fixture(autouse=True)
def let_go(site: Site) -> Iterator[None]:
    """Leave nothing for the tests to come that would wait for ever."""
    yield
    site.receiver.release.set()
    for route in site.origin.routes.values():
        if isinstance(route, Parted):
            route.opened.set()


async def test_a_killed_hosts_pull_and_export_go_on_elsewhere(site: Site) -> None:
    """The pull after the last whole part, under the source's validator; the export from its first byte."""
    hosts, receiver = site.hosts, site.receiver
    site.origin.routes["/small"] = behaviours.serve(SMALL)
    small = await hosts.submit(0, url=site.origin.url("/small"))
    image = (await hosts[0].until(small["id"], "succeeded"))["image_id"]
    await hosts[1].kill()  # So that the other one runs what comes now.
    receiver.behaviour = "hold"
    body = {"image": image, "url": receiver.url("/there")}
    status, export = await hosts[0].call("POST", "/exports", json=body)
    assert status == 202, export
    parted = site.origin.routes["/killed"] = Parted(1)
    made = await hosts.submit(0, url=site.origin.url("/killed"))
    await site.until_kept()
    await asyncio.wait_for(receiver.arrived.wait(), PATIENT_SECONDS)
    await hosts[1].start()
    assert [host for host, _name in site.pulls()] == ["host0"]

    receiver.behaviour = "take"
    parted.opened.set()
    await hosts[0].kill()
    kept = await site.marked()
    await site.check_end(made["id"], parted, kept, number=1, others=1)
    async with asyncio.timeout(PATIENT_SECONDS):
        while (await hosts[1].call("GET", f"/exports/{export['id']}"))[1]["state"] != "succeeded":
            await asyncio.sleep(0.05)
    assert (receiver.taken, len(receiver.heads)) == ({"/there": SMALL}, 2)
    receiver.release.set()
    await hosts[0].start()
    await site.check_end(made["id"], parted, kept, number=0, others=1)


async def test_a_frozen_host_that_wakes_spoils_nothing(site: Site) -> None:
    """Another host has its bytes by then: whatever it writes or removes of them is refused."""
    hosts = site.hosts
    parted = site.origin.routes["/frozen"] = Parted(2)
    made = await hosts.submit(0, url=site.origin.url("/frozen"))
    await site.until_kept()
    there = int(hosts.runs_at(made["id"])[-1])
    freeze(hosts[there])
    try:
        kept = await site.marked()
        async with asyncio.timeout(PATIENT_SECONDS):
            while len(parted.asked) < 2:
                await asyncio.sleep(0.05)
    finally:
        thaw(hosts[there])
    await asyncio.wait_for(parted.gone.wait(), PATIENT_SECONDS)
    async with asyncio.timeout(PATIENT_SECONDS):
        while (await hosts[there].call("GET", "/healthz"))[1]["imports"]["running"]:
            await asyncio.sleep(0.02)
    assert [host for host, _name in site.pulls()] == [f"host{1 - there}"]
    parted.opened.set()
    await site.check_end(made["id"], parted, kept, number=1 - there, others=2)
    assert (await hosts[there].call("GET", f"/imports/{made['id']}"))[1]["state"] == "succeeded"


async def _come(site: Site, path: str, seed: int) -> tuple[str, Parted, int]:
    """Submit a body and wait until all that the first asker is given has come; return who runs it, too."""
    parted = site.origin.routes[path] = Parted(seed)
    made = await site.hosts.submit(0, url=site.origin.url(path))
    async with asyncio.timeout(PATIENT_SECONDS):
        while (await site.hosts[0].call("GET", f"/imports/{made['id']}"))[1]["progress"][
            "received_bytes"
        ] < CAME:
            await asyncio.sleep(0.05)
    return made["id"], parted, int(site.hosts.runs_at(made["id"])[-1])


async def _gone_on(parted: Parted) -> int:
    """Wait for the second request, and return where it goes on: beyond the last whole part."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while len(parted.asked) < 2:
            await asyncio.sleep(0.05)
    parted.opened.set()
    kept = int((parted.asked[1][0] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
    assert WHOLE_PARTS < kept <= CAME
    return kept


async def test_what_a_living_host_lost_goes_on(site: Site) -> None:
    """A host that lives hands over what it had of an import that was taken over, to the last bytes."""
    import_id, parted, _there = await _come(site, "/lost", 3)
    with psycopg.connect(site.database.url) as connection:  # As another host does whose lease is over.
        connection.execute(
            "UPDATE imports SET state = 'queued', phase = NULL, claim = claim + 1 WHERE id = %s", [import_id]
        )
    kept = await _gone_on(parted)
    await site.check_end(import_id, parted, kept, number=0, others=3)


async def test_what_a_host_had_that_stops_goes_on(site: Site) -> None:
    """SIGTERM: another host goes on at once with what had come, while the one that stops still lives."""
    import_id, parted, there = await _come(site, "/stopped", 4)
    stopped = asyncio.create_task(site.hosts[there].kill(signal.SIGTERM))
    kept = await _gone_on(parted)
    await site.check_end(import_id, parted, kept, number=1 - there, others=4)
    await stopped
    await site.hosts[there].start()
