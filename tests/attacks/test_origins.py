"""Origins that others are sent to: row S08 of the attacks and its neighbours, and caps for all together."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from pathlib import Path

from tests.images import raw
from tests.lab import Origin, behaviours
from tests.lab.behaviours import gated, serve, status
from tests.lab.origin import Exchange
from tests.service import Running

BODY = raw(50_000)
SUMS = f"{hashlib.sha256(BODY).hexdigest()}  x\n".encode()


class Crowd:
    """Counts how many requests are held at once."""

    def __init__(self, then: behaviours.Behaviour) -> None:
        self.most = self.now = 0
        self._then = then

    async def __call__(self, exchange: Exchange) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.2)
            await self._then(exchange)
        finally:
            self.now -= 1


async def test_s08_checksum_files_are_connections_too(tmp_path: Path) -> None:
    """Imports from many places that all name one victim's checksum file are few connections to the victim."""
    crowd = Crowd(serve(SUMS))
    async with AsyncExitStack() as stack:
        victim = await stack.enter_async_context(Origin({"/s": crowd}, host="127.0.0.9"))
        homes = [await stack.enter_async_context(Origin({"/x": serve(BODY)})) for _ in range(8)]
        rules = {"imports": {"max_running_per_origin": 2}}
        service = await stack.enter_async_context(Running(tmp_path, victim, *homes, **rules))
        made = [await service.submit(url=home.url("/x"), checksum_url=victim.url("/s")) for home in homes]
        ended = [await service.ended(one["id"]) for one in made]
        assert [(one["state"], one["verified_by"]) for one in ended] == [("succeeded", "sums")] * 8
        assert crowd.most <= 2


async def test_s08_origins_that_point_at_each_other_hold_nobody(tmp_path: Path) -> None:
    """Imports whose mirrors are each other's homes: nobody keeps a place that it does not use."""
    opened = asyncio.Event()
    routes = {"/gone": gated(status(404), opened), "/x": serve(BODY)}
    async with (
        Origin(routes) as one,
        Origin(routes, host="127.0.0.3") as two,
        Running(tmp_path, one, two, imports={"max_running_per_origin": 1}) as service,
    ):
        made = [
            await service.submit(url=here.url("/gone"), mirrors=[there.url("/x")])
            for here, there in ((one, two), (two, one))
        ]
        made += [await service.submit(url=here.url("/x")) for here in (one, two)]
        await one.wait_requests(1)
        await two.wait_requests(1)
        opened.set()
        async with asyncio.timeout(20):
            ended = [await service.ended(record["id"]) for record in made]
        assert [record["state"] for record in ended] == ["succeeded"] * 4


async def test_caps_on_submissions_hold_for_one_origin_and_for_all(tmp_path: Path) -> None:
    """So many a minute to one origin, and so many in all, whoever submits; each is told when to come back."""
    async with Origin({"*": status(404)}) as one, Origin({"*": status(404)}, host="127.0.0.3") as two:
        rules = {
            "max_submits_per_minute": 100,
            "max_submits_per_minute_per_origin": 2,
            "max_submits_per_minute_in_all": 3,
        }
        async with Running(tmp_path, one, two, imports=rules) as service:
            told = []
            for url in (one.url("/a"), one.url("/b"), one.url("/c"), two.url("/a"), two.url("/b")):
                body = {"url": url, "disk_format": "raw"}
                told.append(await service.call("POST", "/imports", json=body))
            assert [status for status, _, _ in told] == [202, 202, 429, 202, 429]
            for _, problem, headers in (told[2], told[4]):
                assert problem["code"] == "queue-full"
                assert 0 < int(headers["retry-after"]) <= 60
            assert "origin" in told[2][1]["detail"]
