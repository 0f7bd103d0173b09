"""A COMMIT of which nobody knows whether it counts: row M11 of the attacks."""

import asyncio
import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from fetcher.errors import StoreFailed
from fetcher.importer.stages.commit import remove_unneeded
from tests.images import raw
from tests.index.conftest import blob
from tests.lab import Origin, behaviours
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config

BODY = raw(300_000)
NAME = hashlib.sha256(BODY).hexdigest()
SOURCE = Path(__file__).parents[1] / "lab" / "eio.c"


async def wait_logged(service: Process, words: str) -> None:
    """Wait until the service has logged something."""
    async with asyncio.timeout(60):
        while not any(words.encode() in line for line in service.said):
            await asyncio.sleep(0.02)


@pytest.mark.skipif(shutil.which("cc") is None, reason="the failing disk has to be compiled")
async def test_m11_bytes_outlive_a_commit_whose_outcome_is_unknown(tmp_path: Path) -> None:
    """The log's sync says EIO after the bytes went through: the next start finds the image with its bytes."""
    library = tmp_path / "eio.so"
    compiler = await asyncio.create_subprocess_exec("cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl")
    assert await compiler.wait() == 0
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        service = Process(config(tmp_path, origin))
        service.environment = {"LD_PRELOAD": str(library)}
        async with service:
            sent = {"url": origin.url("/x"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=sent))[1]
            await wait_logged(service, "disk I/O error")
            await service.kill()
            service.environment = {}
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert ended["state"] == "succeeded"
            await service.kill()
        agree(tmp_path / "data")


def fail_at_the_commit(db: Database) -> None:
    """Write what SQLite refuses no earlier than at the COMMIT."""
    db.execute("PRAGMA defer_foreign_keys = ON")
    db.execute("INSERT INTO image_tags (image_id, tag) VALUES ('nobody', 'x')")


async def test_m11_what_is_in_doubt_is_not_removed(tmp_path: Path) -> None:
    """While nothing can be written, no way of removal takes a blob for unneeded; once it can, it goes."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        services = service.service.app.state.services
        parts, path = services.importer.context, services.store.blob_path(blob().address)
        path.write_bytes(b"perhaps needed")
        holder = sqlite3.connect(service.data / "index.sqlite", isolation_level=None)
        while not holder.in_transaction:
            with pytest.raises(StoreFailed, match="FOREIGN KEY"):
                await services.index.connection.write(fail_at_the_commit)
            holder.execute("BEGIN IMMEDIATE")
            if not services.index.connection.is_in_doubt:  # A chore has written between the two.
                holder.execute("ROLLBACK")
        with pytest.raises(StoreFailed):
            await remove_unneeded(parts, blob().address)
        assert path.exists()
        holder.execute("ROLLBACK")
        holder.close()
        assert services.index.connection.is_in_doubt
        assert await remove_unneeded(parts, blob().address)
        assert not services.index.connection.is_in_doubt
        assert not path.exists()
        await service.run(url=origin.url("/x"))
        assert not await remove_unneeded(parts, NAME)
        assert services.store.blob_path(NAME).read_bytes() == BODY
