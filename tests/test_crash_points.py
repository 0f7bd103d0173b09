"""Killed at each named step, one by one: the next start finds nothing it cannot put right."""

import asyncio
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fetcher.crash import STEPS, VARIABLE
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.test_crash import agree, config

BODY = raw(300_000)
FATES = [*(f"{step}:1" for step in STEPS if not step.startswith("index.")), "store.renamed:2"]
FATES += [f"{step}:{turn}" for step in STEPS if step.startswith("index.") for turn in (2, 4, 7, 10)]
OFTEN = {"resume": {"checkpoint_bytes": 131_072, "mark_bytes": 65_536}, "store": {"write_bytes": 65_536}}


async def everything(service: Process, origin: Origin) -> None:
    """Bring an image, be refused one, bring another, delete the first: every named step is come by."""
    made = []
    for path in ("/a", "/html", "/b"):
        sent = {"url": origin.url(path), "disk_format": "raw"}
        _status, document = await service.call("POST", "/imports", json=sent)
        made.append(document)
        await service.until(document["id"], "succeeded", "refused", "failed")
    await service.call("DELETE", f"/v2/images/{made[0]['image_id']}")


async def until_all_ended(service: Process) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            imports = (await service.call("GET", "/imports?limit=100"))[1]["imports"]
            if all(record["ended_at"] for record in imports):
                return imports
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("fate", FATES)
async def test_killed_at_a_named_step(fate: str, tmp_path: Path) -> None:
    """The process dies exactly there; after the next start all imports end, and index and store agree."""
    routes = {
        "/a": behaviours.serve(BODY),
        "/b": behaviours.serve(BODY[1:]),
        "/html": behaviours.serve(b"<!doctype html>"),
    }
    async with Origin(routes) as origin:
        service = Process(config(tmp_path, origin, **OFTEN))
        # Only a start that follows a death in mid-commit comes by this one.
        for each in ["store.renamed", fate] if fate.startswith("store.adopted") else [fate]:
            service.environment = {VARIABLE: each}
            with suppress(aiohttp.ClientError, OSError, AssertionError):  # It may die while it starts, too.
                await service.start()
                await everything(service, origin)
            async with asyncio.timeout(30):
                assert await service._process.wait() == -signal.SIGKILL, f"{each} was never come by"
            await service.kill()
        service.environment = {}
        await service.start()
        for record in await until_all_ended(service):
            assert record["state"] == ("refused" if record["url"].endswith("/html") else "succeeded")
        await service.kill()
        agree(tmp_path / "data")


def test_every_point_is_named_and_covered() -> None:
    """A step that the code comes by is on the list, a step on the list is come by, and each has its test."""
    sources = (Path(__file__).parent.parent / "fetcher").rglob("*.py")
    reached = {step for path in sources for step in re.findall(r'reach\("([\w.]+)"\)', path.read_text())}
    assert reached == {
        *STEPS,
        "migrate.filled",
    }  # For tests/several/test_moving.py.
    assert {fate.partition(":")[0] for fate in FATES} == set(STEPS)
