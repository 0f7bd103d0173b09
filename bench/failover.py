"""Time how long a pull stands still when its host is killed: `python -m bench.failover [TURNS]`.

Two hosts on one PostgreSQL and one bucket, with a lease of 5 seconds. For each turn: from SIGKILL to the
other host's request for the rest, and to the image.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from fetcher.store.s3.bucket import Bucket
from tests.contract.index import postgres
from tests.contract.index.postgres import PostgresPlaces
from tests.exporter.receiver import Receiver
from tests.lab.bucket import bucket_server
from tests.lab.origin import Origin
from tests.several.hosts import Hosts
from tests.several.test_in_a_bucket import MARK_BYTES, Parted, Site
from tests.store.s3.test_service import bucket_config, place_in


async def measure(folder: Path, turns: int) -> None:
    """Kill the host that pulls, again and again."""
    with postgres.server() as server, bucket_server(folder) as weed:
        database = PostgresPlaces(server).new()
        resume = {"mark_bytes": MARK_BYTES, "save_seconds": 0.2}
        sections = bucket_config(weed, folder) | {"resume": resume}
        async with Origin() as origin:
            site = Site(Hosts(folder, database, origin, 2, **sections), origin, Receiver(), database)
            site.bucket = Bucket(place_in(sections))
            site.bucket.open()
            try:
                async with site.hosts:
                    for turn in range(turns):
                        print(await fail_over(site, turn), flush=True)
            finally:
                site.bucket.close()


async def fail_over(site: Site, turn: int) -> str:
    """Do it once, and tell."""
    hosts = site.hosts
    parted = site.origin.routes[f"/{turn}"] = Parted(turn)
    parted.opened.set()
    made = await hosts.submit(turn % 2, url=site.origin.url(f"/{turn}"))
    await site.until_kept()
    there = int(hosts.runs_at(made["id"])[-1])
    began = time.monotonic()
    await hosts[there].kill()
    while len(parted.asked) < 2:
        await asyncio.sleep(0.005)
    asked = time.monotonic() - began
    await hosts[1 - there].until(made["id"], "succeeded")
    done = time.monotonic() - began
    await hosts[there].start()
    share = parted.sent / len(parted.body)
    load = os.getloadavg()[0]
    return f"asked after {asked:.2f} s, done after {done:.2f} s, served {share:.3f} times, load {load:.1f}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(measure(Path(made), int((sys.argv[1:] or ["3"])[0])))
