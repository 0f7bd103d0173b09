"""Followers hear of every change, whatever happens between two looks, and wait for no look now and then."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.importer import service as engine
from fetcher.lifecycle import State
from fetcher.model import Actor
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ACTOR = Actor(project_id="default", user_id="local", roles=frozenset({"admin"}))
PATIENT_SECONDS = 50
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(autouse=True)
def nobody_looks_by_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not told is never heard of."""
    monkeypatch.setattr(engine, "MAX_SILENT_SECONDS", 10_000.0)


async def an_image(service: Running) -> str:
    """A record that waits for bytes."""
    fields = {"disk_format": "raw", "container_format": "bare"}
    _status, image, _headers = await service.call("POST", "/v2/images", json=fields)
    return str(image["id"])


async def test_a_change_while_the_follower_is_busy_is_not_missed(tmp_path: Path) -> None:
    """Whoever is slow to take one picture gets the next one, though nothing happens after it."""
    routes = {"/x": behaviours.in_turn(behaviours.status(503), behaviours.silent())}
    retry = {"first_wait_seconds": 1000.0, "max_wait_seconds": 1000.0}
    async with Origin(routes) as origin, Running(tmp_path, origin, retry=retry) as service:
        services = service.service.app.state.services
        made = await service.submit(url=origin.url("/x"))
        events = services.importer.follow(made["id"], ACTOR, least_seconds=0.0)
        async with asyncio.timeout(PATIENT_SECONDS):
            record = await anext(events)
            while (await service.get(f"/imports/{made['id']}"))["state"] != "waiting":
                await asyncio.sleep(0.01)
            while record.state is not State.WAITING:
                record = await anext(events)
        await events.aclose()
        assert (await service.call("DELETE", f"/imports/{made['id']}"))[0] == 204


@pytest.mark.parametrize("moment", ["begin", "end"])
async def test_an_upload_that_begins_or_ends_between_two_looks(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower who read the row of an upload a moment ago hears what became of it meanwhile."""
    async with Running(tmp_path) as service:
        services = service.service.app.state.services
        image_id = await an_image(service)
        tap, seen, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def body() -> AsyncIterator[bytes]:
            yield raw(100_000)
            await tap.wait()

        begin = services.index.uploads.begin

        async def noted(record: Any, status: str) -> None:
            await begin(record, status)
            begun.set_result(record.id)
            if moment == "begin":
                await seen.wait()

        monkeypatch.setattr(services.index.uploads, "begin", noted)
        find = services.index.imports.find

        async def late(import_id: str, actor: Actor) -> Any:
            found = await find(import_id, actor)
            if not seen.is_set() and moment == "end":
                seen.set()
                await go_on.wait()
            return found

        path = f"/v2/images/{image_id}/file"
        sending = asyncio.create_task(service.call("PUT", path, data=body(), headers=OCTETS))
        import_id = await begun
        monkeypatch.setattr(services.index.imports, "find", late)
        states: list[State] = []
        told = asyncio.Event()

        async def follow() -> None:
            async for record in services.importer.follow(import_id, ACTOR, least_seconds=0.0):
                states.append(record.state)
                if record.received_bytes:
                    told.set()
                if moment == "begin":
                    seen.set()

        following = asyncio.create_task(follow())
        async with asyncio.timeout(PATIENT_SECONDS):
            await seen.wait()
            if moment == "begin":
                await told.wait()
            tap.set()
            assert (await sending)[0] == 204
            go_on.set()
            await following
        assert states[-1] is State.SUCCEEDED


@pytest.mark.slow
async def test_no_follower_is_left_behind(tmp_path: Path) -> None:
    """Hundreds of followers, whenever they come, see the end of pulls, refusals, retries and cancels."""
    dice = random.Random(3)
    routes = {
        "/good": behaviours.serve(raw(50_000)),
        "/gone": behaviours.status(404),
        "/late": behaviours.in_turn(behaviours.status(503), behaviours.serve(raw(60_000))),
        "/held": behaviours.silent(),
    }
    rules: dict[str, Any] = {
        "imports": {"max_running": 8, "max_running_per_origin": 8},
        "retry": {"attempts": 20, "first_wait_seconds": 0.01, "max_wait_seconds": 0.02},
    }
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        importer = service.service.app.state.services.importer
        followers: list[asyncio.Task[State]] = []

        async def follow(import_id: str) -> State:
            await asyncio.sleep(dice.uniform(0, 0.2))
            state = State.QUEUED
            async for record in importer.follow(import_id, ACTOR, least_seconds=dice.choice([0.0, 0.02])):
                state = record.state
                if dice.random() < 0.3:
                    await asyncio.sleep(dice.uniform(0, 0.05))
            return state

        async def send() -> None:
            image_id = await an_image(service)
            sending = asyncio.create_task(
                service.call("PUT", f"/v2/images/{image_id}/file", data=raw(30_000), headers=OCTETS)
            )
            while not (found := (await service.get(f"/imports?image_id={image_id}"))["imports"]):
                await asyncio.sleep(0)
            followers.extend(asyncio.create_task(follow(found[0]["id"])) for _ in range(4))
            await sending

        for number in range(60):
            path = dice.choice(["/good", "/gone", "/late", "/held", "upload"])
            if path == "upload":
                await send()
                continue
            made = await service.submit(url=origin.url(f"{path}?{number}"))
            followers += [asyncio.create_task(follow(made["id"])) for _ in range(4)]
            if path == "/held":
                await asyncio.sleep(dice.uniform(0, 0.05))
                await service.call("DELETE", f"/imports/{made['id']}")
        done, waiting = await asyncio.wait(followers, timeout=PATIENT_SECONDS)
        for task in waiting:
            task.cancel()
        assert not waiting
        assert all(task.result().is_final for task in done)
