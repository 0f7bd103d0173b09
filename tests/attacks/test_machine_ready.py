"""Ready means ready: row M15 of the attacks."""

import asyncio
import errno
import resource
import threading
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.images import raw
from tests.lab import Origin, behaviours
from tests.service import Running
from tests.store.faults import FaultyDisk


async def reasons(service: Running) -> list[str]:
    """Return why the service is not ready, by a probe that is not an earlier one's."""
    service.service.app.state.services.probes._at = float("-inf")
    status, document, _headers = await service.call("GET", "/readyz")
    assert (status == 503) == bool(document["reasons"])
    return list(document["reasons"])


@pytest.mark.parametrize(
    ("operation", "number", "reason"),
    [
        ("open", errno.EROFS, "the store cannot be written"),
        ("open", errno.EMFILE, "the store cannot be written"),
        ("write", errno.EIO, "the store cannot be written"),
        ("write", errno.EFBIG, "the store cannot be written"),
        ("write", errno.ENOSPC, "the store has no room"),
        ("sync", errno.EIO, "the store cannot be written"),
    ],
)
async def test_m15_a_disk_that_takes_no_bytes(
    operation: str, number: int, reason: str, tmp_path: Path
) -> None:
    """Read-only, full, broken, no descriptors: each is a reason, and goes when it passes; nothing is left."""
    async with Running(tmp_path) as service:
        store = service.service.app.state.services.store
        assert await reasons(service) == []
        store._disk = FaultyDisk(operation, number)
        assert await reasons(service) == [reason]
        assert await reasons(service) == []
        assert service.traces() == []


async def test_m15_files_that_may_not_be_large(tmp_path: Path) -> None:
    """A limit of the process below the largest image is a reason, before an import finds out."""
    async with Running(tmp_path) as service:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000_000, before[1]))
        try:
            (reason,) = await reasons(service)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "1,000,000,000 bytes" in reason
        assert await reasons(service) == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
async def test_m15_blobs_on_another_file_system(tmp_path: Path) -> None:
    """A rename from staging to blobs would fail at the end of every import."""
    async with Running(tmp_path) as service:
        staging = service.service.app.state.services.store.staging
        if Path("/dev/shm").stat().st_dev == staging.stat().st_dev:
            pytest.skip("it is the same one")
        service.service.app.state.services.store.blobs = Path("/dev/shm")
        assert await reasons(service) == ["staging and blobs are on different file systems"]


async def test_m15_a_failed_write_and_an_ended_task(tmp_path: Path) -> None:
    """What an import could not store, and a background task that is gone, are reasons too."""
    async with Origin({"/x": behaviours.serve(raw(10_000))}) as origin, Running(tmp_path, origin) as service:
        services = service.service.app.state.services
        services.store._disk = FaultyDisk("rename", errno.EIO)
        assert (await service.run(url=origin.url("/x")))["verdict"]["code"] == "store-failed"
        assert await reasons(service) == ["the last import could not be stored"]
        await service.run(url=origin.url("/x"))
        assert await reasons(service) == []
        services.supervisor.tasks["maintenance"].cancel()
        await asyncio.wait({services.supervisor.tasks["maintenance"]})
        assert await reasons(service) == ["the background task maintenance has ended"]


async def test_m15_a_malformed_index(tmp_path: Path) -> None:
    """An index that is overwritten while it is in use is found out by the probe."""
    async with Running(tmp_path) as service:
        path = service.data / "index.sqlite"
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
        damage = {"the index is damaged", "the index cannot be read", "the index cannot be written"}
        assert damage & set(await reasons(service))  # Tasks that found it out are further reasons.


async def test_m15_probes_cost_little_whoever_asks(tmp_path: Path) -> None:
    """A hundred probes at once are one write."""
    async with Running(tmp_path) as service:
        services = service.service.app.state.services
        await reasons(service)
        writes = 0
        probe = services.index.connection.probe

        async def count() -> None:
            nonlocal writes
            writes += 1
            await probe()

        services.index.connection.probe = count
        services.probes._at = float("-inf")
        await asyncio.gather(*(service.call("GET", "/readyz") for _ in range(100)))
        assert writes <= 4


@pytest.mark.parametrize("is_going_on", [True, False], ids=["busy", "stuck"])
async def test_m15_a_busy_index_is_no_broken_one(tmp_path: Path, is_going_on: bool) -> None:
    """A probe that waits behind other writes is a reason only where none of them goes well."""
    async with Running(tmp_path) as service:
        connection = service.service.app.state.services.index.connection
        assert await reasons(service) == []
        gate, begun = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(_db: Database) -> None:
            loop.call_soon_threadsafe(begun.set)
            gate.wait()

        holding = asyncio.create_task(connection.write(hold))
        await begun.wait()
        asking = asyncio.create_task(reasons(service))
        if is_going_on:
            while not service.service.app.state.services.probes._lock.locked():
                await asyncio.sleep(0)
            connection.committed_at = float("inf")  # As after any of the writes that stand before it.
        assert await asking == ([] if is_going_on else ["the index cannot be written"])
        gate.set()
        await holding
