"""`fetcher migrate` from one database and bucket to others, and back into a folder: killed, and resumed."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from fetcher.cli.exits import Exit
from fetcher.crash import VARIABLE
from tests.cli.conftest import COMMAND, Fetcher, fetcher
from tests.contract.index.postgres import PostgresPlaces
from tests.lab.bucket import BucketServer
from tests.lab.origin import Origin
from tests.processes import ROOT
from tests.service import Running
from tests.several.test_moving import number_of_rows
from tests.store.s3.test_migrate import BODIES, ROUTES
from tests.store.s3.test_service import bucket_config, everything, fetch

__all__ = ["fetcher"]


async def killed_at(step: str, *command: object) -> int:
    """Run the command, which is killed at a step."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *map(str, command),
        env={**os.environ, VARIABLE: step},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    return await process.wait()


async def test_from_one_database_and_bucket_to_others_and_back_into_a_folder(
    databases: PostgresPlaces, weed: BucketServer, tmp_path: Path, fetcher: Fetcher
) -> None:
    """One command moves both; killed among the bytes, and again among the rows, it is given once more."""
    sections = bucket_config(weed, tmp_path)
    old, new = databases.empty(), databases.empty()
    assert weed.put("other", "") == 200
    url, other = sections["store"]["url"], f"s3://other/{uuid4()}"
    sections["index"] = {"url": old.as_url}
    async with Origin(ROUTES) as origin:
        async with Running(tmp_path, origin, **sections) as service:
            images = [(await service.run(url=origin.url(path)))["image_id"] for path in ROUTES]
        config = ("--config", service.config, "--json")
        command: tuple[object, ...] = ("migrate", "--from", old.as_url, url, "--to", new.as_url, other)

        dry = await fetcher(*command, *config, "--dry-run")
        assert (dry.code, dry.json["counts"]) == (Exit.OK, {"to-copy": 3})
        assert await killed_at("store.renamed:2", *command, *config) == -9
        assert await killed_at("migrate.filled:9", *command, *config, "--final") == -9
        assert number_of_rows(new) == 0
        moved = await fetcher(*command, *config, "--final")
        assert (moved.code, moved.json["counts"]) == (Exit.OK, {"there": 3}), moved.out
        assert (moved.json["records"]["what"], moved.json["records"]["faults"]) == ("moved", [])
        assert number_of_rows(new) == number_of_rows(old)

        changed: dict[str, dict[str, Any]] = {"index": {"url": new.as_url}, "store": {"url": other}}
        async with Running(tmp_path, origin, **(sections | changed)) as service:
            for image, body in zip(images, BODIES, strict=True):
                assert (await fetch(service, image))[:2] == (200, body)
            assert len(await everything(service)) == 6  # What the killed run had staged is gone.
        forget_hosts(new.url)

        folder = tmp_path / "back"
        there = ("migrate", "--from", new.as_url, other, "--to", folder, *config)
        assert await killed_at("store.renamed:2", *there) == -9
        back = await fetcher(*there, "--final")
        assert (back.code, back.json["records"]["what"]) == (Exit.OK, "moved"), back.out
        async with Running(tmp_path, origin, store={"folder": str(folder)}) as service:
            for image, body in zip(images, BODIES, strict=True):
                assert (await fetch(service, image))[:2] == (200, body)


def forget_hosts(url: str) -> None:
    """Forget hosts that have stopped: nobody waits for their leases here."""
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM hosts")
