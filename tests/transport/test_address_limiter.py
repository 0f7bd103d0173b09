"""Connections to one address are bounded, whatever led there: row S08 of the attacks."""

import asyncio
from contextlib import AsyncExitStack
from ipaddress import ip_address

import pytest

from fetcher.config import Settings
from fetcher.errors import Failure, SourceTooSlow
from fetcher.transport import Gate, SourceRequest
from fetcher.transport.dialling.address_limiter import AddressLimiter
from tests.lab import FakeNames, Origin, lab_settings
from tests.lab.behaviours import redirect, serve, stall
from tests.transport.attack import attack, nothing_left

VICTIM = ip_address("192.0.2.1")


async def test_s08_one_address_has_so_many_places_and_half_for_one_project() -> None:
    """At the limit passes, one past it waits, and is let in when somebody leaves."""
    places = AddressLimiter()

    async def visit(project: str, *addresses: str) -> None:
        async with places.hold([ip_address(address) for address in addresses], project, 4):
            pass

    async with AsyncExitStack() as stack:
        for project in ("a", "a", "b"):
            await stack.enter_async_context(places.hold([VICTIM], project, 4))
        greedy = asyncio.create_task(visit("a", str(VICTIM)))
        await asyncio.sleep(0)
        assert not greedy.done()
        await stack.enter_async_context(places.hold([VICTIM], "c", 4))
        late = asyncio.create_task(visit("d", "192.0.2.2", str(VICTIM)))
        await asyncio.sleep(0)
        assert not late.done()
    await asyncio.wait_for(asyncio.gather(greedy, late), 5)
    assert len(places) == 0
    assert len(places._waiting) == 0


async def pull(gate: Gate, request: SourceRequest, settings: Settings) -> Failure | None:
    """Pull to the end; tell what came in between."""
    try:
        async with gate.open(request, settings, lambda _: None) as source:
            while await source.read():
                pass
    except Failure as failure:
        return failure
    return None


@pytest.mark.parametrize("way", ["names", "redirects"])
async def test_s08_many_names_and_redirects_are_few_connections(way: str) -> None:
    """Whether a hundred names have the victim's address or a hundred redirects lead there."""
    async with Origin({"*": stall(b"a" * 1000, 10)}) as victim, Origin() as first, nothing_left():
        names = FakeNames({f"n{number}.example": ["127.0.0.1"] for number in range(20)})
        first.routes["*"] = redirect(victim.url("/x"))
        settings = lab_settings(
            victim, first, imports={"max_connections_per_address": 6}, pace={"chain_seconds": 1.0}
        )
        gate = Gate(names)
        urls = [
            victim.url("/x", f"n{number}.example") if way == "names" else first.url(f"/{number}")
            for number in range(20)
        ]
        requests = [SourceRequest(url=url, project=f"p{number % 4}") for number, url in enumerate(urls)]
        tasks = [asyncio.create_task(pull(gate, request, settings)) for request in requests]
        await victim.wait_connections(4)
        done, waiting = await asyncio.wait(tasks, timeout=3.0)
        assert len(waiting) == victim.open_connections == 6
        assert all(isinstance(task.result(), SourceTooSlow) for task in done)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await victim.wait_idle()
        assert len(gate._places) == 0


async def test_place_is_given_back_at_each_hop() -> None:
    """A chain of redirects over one address holds one place at a time, and none at its end."""
    routes = {f"/{number}": redirect(f"/{number + 1}") for number in range(5)} | {"/5": serve(b"image")}
    async with Origin(routes) as origin:
        gate = Gate()
        settings = lab_settings(origin, imports={"max_connections_per_address": 1})
        for _ in range(2):
            assert (await attack(origin.url("/0"), settings, gate)).body == b"image"
        assert len(gate._places) == 0
