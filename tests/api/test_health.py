"""Probes: alive is not the same as ready."""

import shutil
from pathlib import Path

import pytest

from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


async def test_a_healthy_service_is_alive_and_ready(tmp_path: Path) -> None:
    """Both answer at once, and are never cached."""
    async with Running(tmp_path) as service:
        for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
            code, document, headers = await service.call("GET", path)
            assert (code, document["status"]) == (200, status)
            assert headers["cache-control"] == "no-store"


async def test_no_room_is_a_reason(tmp_path: Path) -> None:
    """A balancer sends nobody to a service whose store is full."""
    async with Running(tmp_path, store={"reserve_bytes": 2**60}) as service:
        code, document, _ = await service.call("GET", "/readyz")
        assert code == 503
        assert document["reasons"] == ["the store has no room"]
        assert (await service.call("GET", "/healthz"))[0] == 200


async def test_a_full_queue_is_a_reason(tmp_path: Path) -> None:
    """And passes with the queue."""
    async with (
        Origin({"*": behaviours.stall(b"x" * 100, 10)}) as origin,
        Running(tmp_path, origin, imports={"max_queued": 1, "max_running_per_origin": 1}) as service,
    ):
        await service.submit(url=origin.url("/d"))
        waiting = await service.submit(url=origin.url("/e"))
        assert (await service.call("GET", "/readyz"))[1]["reasons"] == ["the queue is full"]
        await service.call("DELETE", f"/imports/{waiting['id']}")
        assert (await service.call("GET", "/readyz"))[0] == 200


@pytest.mark.parametrize("what", ["staging", ""])
async def test_a_store_that_is_gone_is_a_reason(tmp_path: Path, what: str) -> None:
    """Somebody unmounted it; the reason names no path."""
    async with Running(tmp_path) as service:
        shutil.rmtree(service.data / what)
        code, document, _ = await service.call("GET", "/readyz")
        (service.data / "staging").mkdir(parents=True, exist_ok=True)
    assert code == 503, document
    assert set(document["reasons"]) <= {
        *("the index cannot be read", "the index cannot be written"),
        *("the store's folders are gone", "the store cannot be reached"),
    }
    assert str(tmp_path) not in str(document)
