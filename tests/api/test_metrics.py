"""Metrics: every import is counted once, by its true code, and nothing hostile makes a series."""

import asyncio
import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from fetcher.api.submit.watch import MAX_POINTS, Curve
from tests.images import HTML, qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


async def samples(service: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples by name and labels."""
    async with service.client.get("/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def at(found: dict[Any, float], name: str, **labels: str) -> float | None:
    """One sample."""
    return found.get((name, frozenset(labels.items())))


async def test_every_import_is_counted_once_by_its_code(tmp_path: Path) -> None:
    """However fast it ends, and however often somebody looks."""
    body = qcow2(clusters=10)
    async with (
        Origin({"/d": behaviours.serve(body), "/p": behaviours.serve(HTML)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        await samples(service)
        for _ in range(3):
            await service.run(url=origin.url("/d"), disk_format="qcow2")
        await service.run(url=origin.url("/p"), disk_format="qcow2")
        await service.run(url=origin.url("/gone"))
        first, again = await samples(service), await samples(service)
    for found in (first, again):
        assert at(found, "fetcher_imports_ended_total", state="succeeded", code="ok") == 3
        assert at(found, "fetcher_imports_ended_total", state="refused", code="format-mismatch") == 1
        assert at(found, "fetcher_imports_ended_total", state="failed", code="source-status") == 1
        assert at(found, "fetcher_import_bytes_total", state="succeeded") == 3 * len(body)
        assert at(found, "fetcher_import_seconds_count", state="succeeded") == 3
        assert at(found, "fetcher_images") == 3
        assert at(found, "fetcher_blobs") == 1
        assert at(found, "fetcher_blob_bytes") == len(body)
        assert at(found, "fetcher_blobs_faulty") == 0
        assert 0 < (at(found, "fetcher_scrub_age_seconds") or 0) < 60
        assert at(found, "fetcher_imports", state="running") == 0
        assert (at(found, "fetcher_guard_bytes_total", guard="FormatGuard") or 0) >= 3 * len(body)
        assert (at(found, "fetcher_guard_seconds_total", guard="ByteCap") or 0) > 0
        assert (at(found, "fetcher_disk_bytes", kind="usable") or 0) > 0
        assert (at(found, "fetcher_index_bytes", part="file") or 0) > 0


async def test_what_ended_before_is_not_counted_again(tmp_path: Path) -> None:
    """A restart begins at zero, as Prometheus expects of a new process."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin:
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/d"), disk_format="qcow2")
        async with Running(tmp_path, origin) as service:
            found = await samples(service)
    assert at(found, "fetcher_imports_ended_total", state="succeeded", code="ok") is None
    assert at(found, "fetcher_images") == 1


async def test_running_imports_show(tmp_path: Path) -> None:
    """Queue, phase and bytes of what runs this moment."""
    async with (
        Origin({"/d": behaviours.stall(qcow2(), 5000)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        created = await service.submit(url=origin.url("/d"), disk_format="qcow2")
        async with asyncio.timeout(20):
            while at(await samples(service), "fetcher_receiving_bytes") != 5000:
                await asyncio.sleep(0.02)
        found = await samples(service)
        assert at(found, "fetcher_imports", state="running") == 1
        assert at(found, "fetcher_imports_by_phase", phase="pulling") == 1
        await service.call("DELETE", f"/imports/{created['id']}")
        cancelled = await samples(service)
        assert at(cancelled, "fetcher_imports_ended_total", state="cancelled", code="cancelled") == 1


async def test_paths_and_methods_of_strangers_make_no_series(tmp_path: Path) -> None:
    """Requests are counted by route; whatever else is asked for shares one series."""
    async with Running(tmp_path) as service:
        for path in ("/nope", "/nope2", "/imports/a", "/imports/b"):
            await service.call("GET", path)
        await service.call("WEIRD", "/imports")
        async with service.client.get("/metrics") as answer:
            text = await answer.text()
    assert "nope" not in text
    assert 'route="/imports/{id}",status="404"} 2.0' in text
    assert set(re.findall(r'method="(\w+)"', text)) <= {"GET", "other"}
    assert "WEIRD" not in text


def test_a_long_curve_is_thinned_and_keeps_its_shape() -> None:
    """A day-long import costs no more memory than a short one, and a restart is no negative rate."""
    curve = Curve()
    for second in range(100_000):
        curve.add(float(second), second * 1000)
    assert len(curve.points) <= MAX_POINTS
    assert all(abs(rate - 1000) < 1 for _, rate in curve.rates())
    assert curve.points[-1][0] > 99_000
    curve.add(200_000.0, 0)
    assert min(rate for _, rate in curve.rates()) >= 0


async def test_a_curve_begins_with_the_import(tmp_path: Path) -> None:
    """What came before the first look is part of it, so that a stall after a burst shows the burst."""
    async with (
        Origin({"/x": behaviours.stall(raw(3_000_000), 2_000_000)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        created = await service.submit(url=origin.url("/x"))
        watch = service.service.app.state.watch
        async with asyncio.timeout(30):
            while (curve := watch.curve(created["id"])) is None or curve.points[-1][1] < 2_000_000:
                await asyncio.sleep(0.05)
        assert curve.points[0] == (0.0, 0)
        assert max(rate for _, rate in curve.rates()) > 100_000
        await service.call("DELETE", f"/imports/{created['id']}")
