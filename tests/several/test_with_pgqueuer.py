"""Hosts that pgqueuer wakes: one is killed while it pulls, and what one URL is asked for is pulled once."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import pytest_asyncio

from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.lab.origin import Origin
from tests.several.hosts import Held, Hosts

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("hosts")]

PATIENT_SECONDS = 60


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def origin() -> AsyncIterator[Origin]:
    """One origin for all tests."""
    async with Origin() as made:
        yield made


@pytest.fixture(autouse=True)
def let_go(origin: Origin) -> Iterator[None]:
    """Leave nothing for the tests to come that would wait for ever."""
    yield
    for route in origin.routes.values():
        if isinstance(route, Held):
            route.opened.set()


@pytest.fixture(scope="module")
def place(databases: PostgresPlaces) -> PostgresPlace:
    """One database for all tests."""
    return databases.new()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hosts(
    place: PostgresPlace, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Hosts]:
    """Two hosts, started once."""
    folder = tmp_path_factory.mktemp("hosts")
    async with Hosts(folder, place, origin, 2, engine={"kind": "pgqueuer"}) as made:
        yield made


async def test_equal_requests_at_two_hosts_are_pulled_once(hosts: Hosts, origin: Origin) -> None:
    """Whichever host a job goes to, the one that pulls takes the others in."""
    held = origin.routes["/once"] = Held(21)
    made = await asyncio.gather(
        *(hosts.submit(number % 2, url=origin.url("/once"), name=f"n{number}") for number in range(20))
    )
    for one in made:
        await hosts[0].until(one["id"], "running")
    held.opened.set()
    for number, one in enumerate(made):
        ended = await hosts[number % 2].until(one["id"], "succeeded")
        assert ended["digests"]["sha256"] == held.sha256
    assert held.asked == 1


async def test_a_killed_hosts_import_ends_on_the_other(
    hosts: Hosts, origin: Origin, place: PostgresPlace
) -> None:
    """After the lease the other host pulls anew; no job is left behind for what has ended."""
    held = origin.routes["/killed"] = Held(22)
    made = await hosts.submit(0, url=origin.url("/killed"))
    await hosts[0].until(made["id"], "running")
    there = int(hosts.runs_at(made["id"])[-1])
    await hosts[there].kill()
    held.opened.set()
    ended = await hosts[1 - there].until(made["id"], "succeeded")
    assert ended["digests"]["sha256"] == held.sha256
    assert hosts.runs_at(made["id"]) == f"host{1 - there}"
    await hosts[there].start()
    async with asyncio.timeout(PATIENT_SECONDS):
        while _jobs(place):
            await asyncio.sleep(0.1)


def _jobs(place: PostgresPlace) -> int:
    with psycopg.connect(place.url) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM pgqueuer.pgqueuer").fetchall()
    return int(count)
