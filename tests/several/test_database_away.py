"""The database is restarted, and its primary is lost: hosts wait, refuse with words, and go on."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contract.index import postgres
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.several.hosts import Held
from tests.several.standby import Pair, pair

PATIENT_SECONDS = 60
LEASE_SECONDS = 12.0
SMALL = raw(20_000, seed=9)


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    """A primary and its standby."""
    with pair() as made:
        yield made


class Site:
    """Two hosts on one database, and what they were asked for."""

    def __init__(self, folder: Path, origin: Origin, url: str) -> None:
        self.origin = origin
        (folder / "blobs").mkdir()
        self.hosts = []
        for name in ("a", "b"):
            (folder / name / "data").mkdir(parents=True, mode=0o700)
            (folder / name / "data" / "blobs").symlink_to(folder / "blobs")
            sections: dict[str, dict[str, Any]] = {
                "index": {"url": url, "connect_seconds": 2.0},
                "cluster": {"host": name},
                "imports": {"lease_seconds": LEASE_SECONDS},
            }
            self.hosts.append(Running(folder / name, origin, **sections))

    async def refused(self) -> None:
        """Check that each host refuses what it cannot write down, and says when to come again."""
        await asyncio.gather(*(self._refused(host) for host in self.hosts))

    async def _refused(self, host: Running) -> None:
        submitted, listed, ready, healthy = await asyncio.gather(  # Each waits for the database for a while.
            host.call("POST", "/imports", json=self.asked()),
            host.call("GET", "/imports"),
            host.call("GET", "/readyz"),
            host.call("GET", "/healthz"),
        )
        assert (submitted[0], submitted[1]["code"]) == (503, "shortage"), submitted
        assert int(submitted[2]["retry-after"]) > 0
        assert (listed[0], "retry-after" in listed[2]) == (503, True), listed
        assert (ready[0], healthy[0]) == (503, 200)

    def asked(self) -> dict[str, Any]:
        """Return a submission of a small image."""
        return {"url": self.origin.url("/small"), "disk_format": "raw"}

    async def taken(self) -> list[str]:
        """Submit at each host until it takes it."""
        made = []
        async with asyncio.timeout(PATIENT_SECONDS):
            for host in self.hosts:
                while (answer := await host.call("POST", "/imports", json=self.asked()))[0] != 202:
                    assert answer[0] == 503, answer
                    await asyncio.sleep(0.05)
                made.append(answer[1]["id"])
        return made


async def outlive(
    folder: Path,
    url: str,
    lose: Callable[[], None],
    give_back: Callable[[], None],
    *,
    away_seconds: float = 0,
) -> None:
    """Have the database go away in the middle of a pull: all that was acknowledged succeeds."""
    held = Held(1)
    routes = {"/held": held, "/small": behaviours.serve(SMALL)}
    async with Origin(routes) as origin, AsyncExitStack() as stack:
        site = Site(folder, origin, url)
        for host in site.hosts:
            await stack.enter_async_context(host)
        running = await site.hosts[0].submit(url=origin.url("/held"))
        async with asyncio.timeout(PATIENT_SECONDS):
            while not held.asked:
                await asyncio.sleep(0.02)
        acknowledged = await site.taken()
        await asyncio.to_thread(lose)
        await site.refused()
        await asyncio.sleep(away_seconds)
        await asyncio.to_thread(give_back)
        acknowledged += await site.taken()
        held.opened.set()
        for import_id in [running["id"], *acknowledged]:
            for host in site.hosts:
                ended = await patiently(host, import_id)
                assert ended["state"] == "succeeded", ended
        assert held.asked == 1  # Nobody has taken over what a living host pulls.
        assert ended["digests"]["sha256"] == hashlib.sha256(SMALL).hexdigest()
        blobs = [path.name for path in (folder / "blobs").rglob("*") if path.is_file()]
        assert sorted(blobs) == sorted({held.sha256, hashlib.sha256(SMALL).hexdigest()})


async def patiently(host: Running, import_id: str) -> dict[str, Any]:
    """Ask until the import has ended."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            status, document, _headers = await host.call("GET", f"/imports/{import_id}")
            if status == 200 and document["ended_at"]:
                return dict(document)
            await asyncio.sleep(0.05)


def check_no_traces(caplog: pytest.LogCaptureFixture) -> None:
    """Check that nothing ended in a way that nobody had thought of."""
    assert "Traceback" not in caplog.text
    assert not [one for one in caplog.records if one.exc_info]


async def test_a_restart_of_the_database_costs_nothing_that_was_acknowledged(
    servers: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped as in a crash, and started when every lease has run out: 503 with Retry-After, and no trace."""
    with caplog.at_level(logging.INFO):
        await outlive(
            tmp_path,
            servers.new("restarted"),
            servers.lose_primary,
            lambda: postgres.start(servers.primary),
            away_seconds=LEASE_SECONDS,
        )
    check_no_traces(caplog)


async def test_a_promoted_standby_has_all_that_was_acknowledged(
    servers: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The primary is lost in the middle of a pull; hosts find the standby that takes its place."""
    with caplog.at_level(logging.INFO):
        await outlive(tmp_path, servers.new("promoted"), servers.lose_primary, servers.promote)
    check_no_traces(caplog)
