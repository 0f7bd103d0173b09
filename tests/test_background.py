"""Faults in the background of a whole service: it says so, and goes on."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fetcher.index.sqlite import connection
from fetcher.service import Service, background
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.webhooks.test_dispatcher import QUICK, Inbox, told

PATIENT_SECONDS = 60


async def test_one_fault_does_not_end_the_webhook_loop(tmp_path: Path) -> None:
    """A ValueError in the loop is told by /readyz and counted; later receivers are told all the same."""
    inbox = Inbox()
    async with Origin({"/x": behaviours.serve(raw(1000)), "/inbox": inbox}) as origin:
        notify: dict[str, Any] = {**QUICK, "url": origin.url("/inbox")}
        async with Running(tmp_path, origin, notify=notify) as service:
            services = service.service.app.state.services
            records = services.index.notices
            look, failed = records.excess, asyncio.Event()

            async def fail_once(most: int) -> Any:
                if not failed.is_set():
                    failed.set()
                    raise ValueError("a row that nobody expected")
                return await look(most)

            go_on = asyncio.Event()

            async def rest(_seconds: float) -> None:
                await go_on.wait()

            services.supervisor._sleep = rest
            records.excess = fail_once
            created = await service.run(url=origin.url("/x"))
            async with asyncio.timeout(PATIENT_SECONDS):
                await failed.wait()
            reasons = (await service.call("GET", "/readyz"))[1]["reasons"]
            assert reasons == ["the background task webhooks failed and will be restarted"]
            go_on.set()
            assert (await told(service, created["id"]))["notice"]["state"] == "delivered"
            assert services.supervisor.restarts["webhooks"] == 1
            _status, text, _headers = await service.call("GET", "/metrics")
            assert 'fetcher_task_restarts_total{task="webhooks"} 1.0' in text
            assert (await service.call("GET", "/readyz"))[0] == 200


async def test_one_fault_does_not_end_the_throughput_watcher(tmp_path: Path) -> None:
    """A ValueError at one look leaves the page with curves of what comes later."""
    async with Running(tmp_path) as service:
        services, watch = service.service.app.state.services, service.service.app.state.watch
        look, looked_again = watch.look, asyncio.Event()

        def fail_once() -> None:
            if services.supervisor.restarts["throughput"] == 0:
                raise ValueError("a clock that was set back")
            look()
            looked_again.set()

        watch.look = fail_once
        async with asyncio.timeout(PATIENT_SECONDS):
            await looked_again.wait()
        assert services.supervisor.restarts["throughput"] == 1


async def test_progress_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index locked while an import waits for its retry does not end that import."""
    monkeypatch.setattr(connection, "BUSY_MILLISECONDS", 20)
    body = raw(10_000)
    opened = asyncio.Event()
    turns = behaviours.in_turn(behaviours.gated(behaviours.status(503), opened), behaviours.serve(body))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        created = await service.submit(url=origin.url("/x"))
        await origin.wait_requests(1)
        holder = sqlite3.connect(service.data / "index.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        opened.set()
        await origin.wait_idle()
        for _ in range(3):  # Each is refused after the writer's own wait: the import's write was, too.
            status, _document, _headers = await service.call(
                "POST", "/imports", json={"url": origin.url("/x")}
            )
            assert status == 503
        holder.execute("ROLLBACK")
        holder.close()
        ended = await service.ended(created["id"])
        assert (ended["state"], ended["verdict"]["code"]) == ("succeeded", "ok")
        assert len(ended["attempts"]) == 2


async def test_a_start_has_the_index_for_itself(tmp_path: Path) -> None:
    """What looks after old images and tells receivers begins when all that was left behind is taken up."""
    running = Running(tmp_path)
    running.write_config()
    service = Service(running.config)
    seen: list[set[str]] = []
    async with service.open_services(is_started=False) as services:
        start = services.maintenance.start

        async def noted() -> None:
            await asyncio.sleep(0)
            seen.append(set(services.supervisor.tasks))
            await start()

        services.maintenance.start = noted  # type: ignore[method-assign] # it goes on to the real one
        await background.begin(services)
        seen.append(set(services.supervisor.tasks))
        await services.supervisor.close()
    assert seen[0] == set()
    assert {"maintenance", "webhooks", "schedules", "exports"} <= seen[1]


async def test_a_stop_waits_for_what_a_start_has_begun(tmp_path: Path) -> None:
    """The index and the store close after it: a start that is cancelled has let go of both."""
    running = Running(tmp_path)
    running.write_config()
    service = Service(running.config)
    begun, over = asyncio.Event(), []
    async with service.open_services(is_started=False) as services:

        async def slow() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                await services.index.recovery.left_behind()
                over.append("let go")

        services.maintenance.start = slow  # type: ignore[method-assign] # it stands for a long one
        starting = asyncio.ensure_future(background.begin(services))
        await begun.wait()
        starting.cancel()
        await asyncio.wait({starting})
        assert over == ["let go"]
        await services.supervisor.close()
