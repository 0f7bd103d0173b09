"""Measure several hosts as their clients see them.

    python -m bench.hosts submits [TURNS]    submissions a second: four hosts on PostgreSQL, and one on SQLite
    python -m bench.hosts cancel [TURNS]     from a cancel at one host to the end of the pull at another

Servers of the tests' own (PostgreSQL without fsync, SQLite as it ships), clients and hosts share one machine.
Turns of what is compared follow each other, so that only their ratio counts on a machine that has other work.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.contract.index import postgres
from tests.contract.index.postgres import PostgresPlaces
from tests.lab.origin import Exchange, Origin
from tests.processes import Process
from tests.service import Running
from tests.several.hosts import Hosts
from tests.several.lives import Host, Nursery

HOSTS = 4
CLIENTS = 32
SUBMISSIONS = 400
WARM = 64
HEAD = "POST /imports HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
CALM = {
    "imports": {
        "max_submits_per_minute": 1_000_000,
        "max_submits_per_minute_per_origin": 1_000_000,
        "lease_seconds": 60.0,  # As it ships.
    },
    "index": {"max_connections": 8},
}


class Client:
    """A client with one connection to each host, which costs next to nothing beside what it asks for.

    A library's took as much of the processor for each submission as a host, and of the same two cores.
    """

    def __init__(self, hosts: Sequence[Process]) -> None:
        self._hosts = hosts
        self._open: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def submit(self, number: int, url: str) -> None:
        """Submit a URL to one of the hosts, and wait for its answer."""
        base = self._hosts[number % len(self._hosts)].base
        place = base.removeprefix("http://")
        if base not in self._open:
            address, _, port = place.rpartition(":")
            self._open[base] = await asyncio.open_connection(address, int(port))
        reader, writer = self._open[base]
        body = b'{"url": "%s", "disk_format": "raw"}' % url.encode()
        head = HEAD.format(place, len(body))
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].split(None, 1)[0])
        text = await reader.readexactly(length)
        assert answer.startswith(b"http/1.1 202 "), answer + text

    def close(self) -> None:
        """Hang up."""
        for _reader, writer in self._open.values():
            writer.close()


async def submit(hosts: Sequence[Process], url: str, count: int) -> float:
    """Submit so often, all hosts in turn, by clients side by side; return how many a second."""
    numbers = iter(range(count))
    began = time.perf_counter()

    async def work(client: Client) -> None:
        for number in numbers:
            await client.submit(number, f"{url}/{began}/{number}")
        client.close()

    await asyncio.gather(*(work(Client(hosts)) for _ in range(CLIENTS)))
    return count / (time.perf_counter() - began)


async def rested(hosts: Sequence[Process], refuse: asyncio.Event) -> None:
    """Let all that was submitted end, so that the next turn finds the machine idle."""
    refuse.set()
    for host in hosts:
        while any((await host.call("GET", "/healthz"))[1]["imports"].values()):
            await asyncio.sleep(0.05)
    refuse.clear()


async def submits(folder: Path, server: str, turns: int) -> None:
    """Compare."""
    refuse = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        """Keep pulls out of the way of submissions; what comes when all is counted is a refusal."""
        await refuse.wait()
        await exchange.send_head("404 Not Found", {"Content-Length": 0})

    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(Origin({"*": wait}))
        nursery = await stack.enter_async_context(Nursery())
        several = Hosts(folder, PostgresPlaces(server).new(), origin, HOSTS, **CALM).forked_from(nursery)
        await stack.enter_async_context(several)
        (folder / "alone").mkdir()
        running = Running(folder / "alone", origin, imports=CALM["imports"])
        running.write_config()
        alone = [await stack.enter_async_context(Host(running.config, nursery))]
        sides: dict[str, Sequence[Process]] = {
            "one on SQLite": alone,
            "four on PostgreSQL": several.processes,
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(turns + 1):
            for name, hosts in sides.items():
                rate = await submit(hosts, origin.url(""), SUBMISSIONS if turn else WARM)
                await rested(hosts, refuse)
                if turn:
                    rates[name].append(rate)
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.0f} a second ({min(found):.0f} .. {max(found):.0f})")
    first, second = rates.values()
    ratios = [after / before for before, after in zip(first, second, strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})", end=", ")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


async def cancel(folder: Path, server: str, turns: int) -> None:
    """Cancel at the host that answers what the one that pulls runs."""
    begun, gone = asyncio.Event(), asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Content-Length": 10_000_000})
        await exchange.send_body(bytes(500_000))
        begun.set()
        await exchange.wait_gone()
        gone.set()

    async with Origin({"*": endless}) as origin:
        several = Hosts(folder, PostgresPlaces(server).new(), origin, 0, imports={"lease_seconds": 60.0})
        roles: dict[int, Any] = {0: {"roles": ["api"]}, 1: {"roles": ["worker"]}}
        several.processes = [several.make(number, cluster=role) for number, role in roles.items()]
        found = []
        async with several:
            for turn in range(turns):
                made = await several.submit(0, url=origin.url(f"/{turn}"))
                await begun.wait()
                began = time.perf_counter()
                status, answer = await several[0].call("DELETE", f"/imports/{made['id']}")
                assert status < 300, answer
                answered = time.perf_counter() - began
                await gone.wait()
                found.append(time.perf_counter() - began)
                print(f"answered after {answered:.3f} s, the source was let go of after {found[-1]:.3f} s")
                begun.clear()
                gone.clear()
    print(f"median {statistics.median(found):.3f} s, most {max(found):.3f} s, load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Run the command."""
    what, turns = sys.argv[1], int((sys.argv[2:] or ["5"])[0])
    with tempfile.TemporaryDirectory() as folder, postgres.server() as server:
        asyncio.run({"submits": submits, "cancel": cancel}[what](Path(folder), server, turns))


if __name__ == "__main__":
    main()
