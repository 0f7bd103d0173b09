"""Hosts that freeze, are killed and are stopped: what they ran is taken over, and they spoil nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.index.postgres import PostgresPlaces
from tests.lab import skew
from tests.lab.origin import Exchange, Origin
from tests.several.hosts import LEASE_SECONDS, Held, Hosts, freeze, thaw
from tests.several.lives import Nursery

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("hosts")]

PATIENT_SECONDS = 40
CANCEL_SECONDS = 8.0  # A fraction of one on a quiet machine.


@pytest.fixture(autouse=True)
def let_go(origin: Origin) -> Iterator[None]:
    """Leave nothing for the tests to come that would wait for ever."""
    yield
    for route in origin.routes.values():
        if isinstance(route, Held):
            route.opened.set()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def origin() -> AsyncIterator[Origin]:
    """One origin for all tests."""
    async with Origin() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hosts(
    databases: PostgresPlaces, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Hosts]:
    """Two hosts, started once; the clock of one is an hour ahead, which must make no difference."""
    folder = tmp_path_factory.mktemp("hosts")
    several = Hosts(folder, databases.new(), origin, 2)
    loaded = skew.environment(folder, 0)
    several.forked_from(Nursery(loaded), is_own=True)
    several[1].environment = {"SKEW_SECONDS": "3600"} if loaded else {}
    async with several as made:
        yield made


async def test_a_wrong_clock_takes_nothing_over(hosts: Hosts, origin: Origin) -> None:
    """An hour is many leases: what the other host runs is left alone, and both hosts live."""
    held = origin.routes["/clock"] = Held(6)
    made = await hosts.submit(0, url=origin.url("/clock"))
    await asked(held, 1)
    dates = [one.client.get("/healthz") for one in hosts.processes]
    said = [parsedate_to_datetime((await date).headers["Date"]) for date in dates]
    assert not hosts[1].environment or (said[1] - said[0]).total_seconds() > 3000
    await asyncio.sleep(LEASE_SECONDS / 2)  # Others look once a second for what is overdue.
    assert held.asked == 1
    held.opened.set()
    assert (await hosts[1].until(made["id"], "succeeded"))["digests"]["sha256"] == held.sha256


async def asked(held: Held, count: int) -> None:
    """Wait until the source was asked so often."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while held.asked < count:
            await asyncio.sleep(0.02)


async def test_a_frozen_host_is_taken_over_and_changes_nothing(hosts: Hosts, origin: Origin) -> None:
    """After its lease another host pulls anew; when it wakes, it lets go, and the image is the other's."""
    held = origin.routes["/frozen"] = Held(3)
    made = await hosts.submit(1, url=origin.url("/frozen"))

    await asked(held, 1)
    await hosts[1].until(made["id"], "running")
    there = int(hosts.runs_at(made["id"])[-1])
    frozen, living = hosts[there], hosts[(there + 1) % 2]
    freeze(frozen)
    try:
        await asked(held, 2)
        assert int(hosts.runs_at(made["id"])[-1]) != there
    finally:
        thaw(frozen)

    async with asyncio.timeout(PATIENT_SECONDS):
        while (await frozen.call("GET", "/healthz"))[1]["imports"]["running"]:
            await asyncio.sleep(0.02)
    held.opened.set()
    ended = await living.until(made["id"], "succeeded", "failed")
    assert ended["digests"]["sha256"] == held.sha256
    assert (await frozen.call("GET", f"/imports/{made['id']}"))[1]["state"] == "succeeded"
    assert hosts.blobs().count(held.sha256) == 1


async def test_a_killed_host_is_taken_over_within_its_lease(hosts: Hosts, origin: Origin) -> None:
    """Killed, it is missed for a lease by the database's clock; another pulls, and all tell the end."""
    held = origin.routes["/killed"] = Held(4)
    made = await hosts.submit(0, url=origin.url("/killed"))

    await asked(held, 1)
    await hosts[0].until(made["id"], "running")
    there = int(hosts.runs_at(made["id"])[-1])
    await hosts[there].kill()
    await asked(held, 2)
    held.opened.set()
    assert (await hosts[(there + 1) % 2].until(made["id"], "succeeded"))["digests"]["sha256"] == held.sha256
    await hosts[there].start()
    assert (await hosts[there].call("GET", "/readyz"))[0] == 200


async def test_a_host_that_stops_hands_over(hosts: Hosts, origin: Origin) -> None:
    """SIGTERM: what does not end in time is another host's at once, without any lease to wait for."""
    held = origin.routes["/stopped"] = Held(5)
    made = await hosts.submit(0, url=origin.url("/stopped"))

    await asked(held, 1)
    await hosts[0].until(made["id"], "running")
    there = int(hosts.runs_at(made["id"])[-1])
    stopped = asyncio.create_task(hosts[there].kill(signal.SIGTERM))
    await asked(held, 2)
    held.opened.set()
    assert (await hosts[(there + 1) % 2].until(made["id"], "succeeded"))["digests"]["sha256"] == held.sha256
    await stopped
    await hosts[there].start()


async def test_a_cancel_at_another_host_ends_the_pull_at_once(
    hosts: Hosts, databases: PostgresPlaces, origin: Origin, tmp_path: Path
) -> None:
    """The source sees the connection go within moments, where leases are held anew every 20 seconds only."""
    gone, begun = asyncio.Event(), asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Content-Length": 10_000_000})
        await exchange.send_body(bytes(500_000))
        begun.set()
        await exchange.wait_gone()
        gone.set()

    origin.routes["/cancelled"] = endless
    several = Hosts(tmp_path, databases.new(), origin, 0, imports={"lease_seconds": 60.0})
    several.forked_from(hosts.nursery)
    several.processes = [
        several.make(number, cluster={"roles": [role]}) for number, role in enumerate(("api", "worker"))
    ]
    async with several:
        made = await several.submit(0, url=origin.url("/cancelled"))
        await asyncio.wait_for(begun.wait(), PATIENT_SECONDS)
        began = asyncio.get_running_loop().time()
        status, _document = await several[0].call("DELETE", f"/imports/{made['id']}")
        await asyncio.wait_for(gone.wait(), PATIENT_SECONDS)
        seconds = asyncio.get_running_loop().time() - began
        assert (status < 300, seconds < CANCEL_SECONDS) == (True, True), (status, seconds)
        async with asyncio.timeout(PATIENT_SECONDS):
            while list((tmp_path / "host1" / "data" / "staging").iterdir()):
                await asyncio.sleep(0.02)
