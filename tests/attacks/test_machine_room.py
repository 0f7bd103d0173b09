"""Cleaning a full disk, and what is kept for as long as it is needed: rows M17 and M18 of the attacks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fetcher.config import BadConfig, load_settings
from fetcher.store.filesystem.ballast import Ballast
from fetcher.store.filesystem.disk import DISK
from tests.images import raw
from tests.lab import Origin, behaviours
from tests.service import Running
from tests.store.faults import FaultyDisk


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Path]:
    """A file system of 64 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=64m", "none", folder)
    if await mounting.wait():
        pytest.skip("file systems cannot be mounted here")
    yield folder
    await (await asyncio.create_subprocess_exec("umount", "-l", folder)).wait()


def fill(folder: Path) -> None:
    """Take every byte that is free."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))


async def test_m17_a_full_disk_can_be_cleaned(small: Path) -> None:
    """At no byte free, submissions are told so, and images can be deleted; the ballast comes back."""
    routes = {f"/{number}": behaviours.serve(raw(8_000_000, seed=number)) for number in range(2)}
    held = {"ballast_bytes": 8_388_608}
    async with Origin(routes) as origin, Running(small, origin, store=held) as service:
        services = service.service.app.state.services
        images = [(await service.run(url=origin.url(path)))["image_id"] for path in routes]
        await services.maintenance.do_chores()
        assert (service.data / "ballast").stat().st_size == 8_388_608
        await services.index.connection.write(
            lambda db: db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        )
        await asyncio.to_thread(fill, small)
        while True:  # Until the index has no room left either.
            sent = {"url": origin.url("/0"), "disk_format": "raw"}
            status, _document, _headers = await service.call("POST", "/imports", json=sent)
            if status == 503:
                break
            await asyncio.to_thread(fill, small)
        for image in images:
            assert (await service.call("DELETE", f"/v2/images/{image}"))[0] == 204
        assert not (service.data / "ballast").exists()
        (small / "filler").unlink()
        await services.maintenance.do_chores()
        assert (service.data / "ballast").stat().st_size == 8_388_608


@pytest.mark.parametrize("operation", ["open", "write", "sync", "room"])
def test_m17_ballast_is_all_there_or_not_at_all(operation: str, tmp_path: Path) -> None:
    """What cannot be held is not half held, and is no failure of anything."""
    ballast = Ballast(tmp_path / "ballast", 3_000_000, FaultyDisk(operation, 28))
    assert not ballast.make()
    assert not (tmp_path / "ballast").exists()
    assert not ballast.give_up()
    assert Ballast(tmp_path / "ballast", 3_000_000, DISK).make()
    assert Ballast(tmp_path / "ballast", 3_000_000, DISK).make()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= 3_000_000
    assert ballast.give_up()


def test_m18_records_are_kept_for_as_long_as_their_keys(tmp_path: Path) -> None:
    """`--check-config` refuses to forget an import before its Idempotency-Key."""
    file = tmp_path / "config.toml"
    file.write_text("[imports]\nkeep_finished_days = 1\n")
    with pytest.raises(BadConfig) as refusal:
        load_settings(file)
    assert "imports.keep_finished_days" in str(refusal.value.mistakes[0])
    file.write_text("[imports]\nkeep_finished_days = 1\n[maintenance]\nkeep_idempotency_days = 1\n")
    load_settings(file)


async def test_m18_what_is_still_needed_is_not_forgotten(tmp_path: Path) -> None:
    """An old import stays while a receiver has yet to be told of it."""
    routes = {"/x": behaviours.serve(raw(10)), "/hook": behaviours.status(503)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        index = service.service.app.state.services.index
        told = (await service.run(url=origin.url("/x"), notify_url=origin.url("/hook")))["id"]
        plain = (await service.run(url=origin.url("/x")))["id"]
        later = datetime.now(UTC) + timedelta(days=1)
        assert await index.imports.forget(later) == 1
        for import_id, status in ((told, 200), (plain, 404)):
            assert (await service.call("GET", f"/imports/{import_id}"))[0] == status
        await index.connection.write(lambda db: db.execute("DELETE FROM notices"))
        assert await index.imports.forget(later) == 1
