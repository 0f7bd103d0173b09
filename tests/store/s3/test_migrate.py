"""`fetcher migrate`: from a folder to a bucket and back, killed in the middle, beside a running server."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from fetcher.cli.exits import Exit
from fetcher.crash import VARIABLE
from tests.cli.conftest import COMMAND, Fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.bucket import BucketServer
from tests.lab.origin import Origin
from tests.maintenance.test_service import rot
from tests.processes import ROOT
from tests.service import Running
from tests.store.s3.test_service import bucket_config, everything, fetch

BODIES = [raw(150_000, seed=seed) for seed in range(3)]
NAMES = sorted(hashlib.sha256(body).hexdigest() for body in BODIES)
ROUTES = {f"/{number}": behaviours.serve(body) for number, body in enumerate(BODIES)}


async def killed_at_its_second_image(config: Path, *arguments: str) -> int:
    """Run the command, which is killed when it has just put its second image in place."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("migrate", *arguments, "--config", str(config)),
        env={**os.environ, VARIABLE: "store.renamed:2"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    return await process.wait()


async def test_from_a_folder_to_a_bucket_and_back(
    tmp_path: Path, weed: BucketServer, fetcher: Fetcher
) -> None:
    """A dry run copies nothing; a killed run is begun anew; the last step needs the lock."""
    sections = bucket_config(weed, tmp_path)
    url = f"s3://images/{uuid4()}"
    there = {"bucket": sections["bucket"]}
    data = str(tmp_path / "data")
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **there) as service:
        images = [(await service.run(url=origin.url(path)))["image_id"] for path in ROUTES]

        async def migrate(*more: str, to: str = url, source: str = data) -> Any:
            return await fetcher(
                "migrate", "--from", source, "--to", to, "--config", service.config, "--json", *more
            )

        dry = await migrate("--dry-run")
        assert (dry.code, dry.json["counts"]) == (Exit.OK, {"to-copy": 3})
        assert await killed_at_its_second_image(service.config, "--from", data, "--to", url) == -9
        again = await migrate()
        assert (again.code, again.json["counts"]) == (Exit.OK, {"there": 2, "copied": 1})
        assert (await migrate("--final")).code == Exit.BUSY  # The server has the store.
    final = await migrate("--final")
    assert (final.code, final.json["counts"]) == (Exit.OK, {"there": 3})
    async with Running(tmp_path, **there, store={"url": url}) as moved:
        for image, body in zip(images, BODIES, strict=True):
            assert (await fetch(moved, image))[:2] == (200, body)
        assert len(await everything(moved)) == 6  # What the killed run had staged is gone.
    back = await migrate("--final", source=url, to=str(tmp_path / "back"))
    assert (back.code, back.json["counts"]) == (Exit.OK, {"copied": 3})
    for name in NAMES:
        copy = tmp_path / "back" / "blobs" / name[:2] / name
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == name


async def test_what_is_not_what_its_name_says_is_not_copied(
    tmp_path: Path, weed: BucketServer, fetcher: Fetcher
) -> None:
    """Damaged and missing bytes are told by their names, and the exit code tells that not all is there."""
    sections = bucket_config(weed, tmp_path)
    url = f"s3://images/{uuid4()}"
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, bucket=sections["bucket"]) as service:
        for path in ROUTES:
            await service.run(url=origin.url(path))
    blobs = service.data / "blobs"
    rot(blobs / NAMES[0][:2] / NAMES[0])
    (blobs / NAMES[1][:2] / NAMES[1]).unlink()
    command = ("migrate", "--from", service.data, "--to", url, "--final", "--config", service.config)
    told = await fetcher(*command, "--json")
    assert told.code == Exit.DAMAGED
    assert {(one["what"], one["address"]) for one in told.json["lost"]} == {
        ("damaged", NAMES[0]),
        ("missing", NAMES[1]),
    }
    assert told.json["counts"]["copied"] == 1
