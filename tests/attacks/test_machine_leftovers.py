"""What lies in staging and is somebody's: row M10 of the attacks."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fetcher.cli.exits import Exit
from fetcher.maintenance.fsck import Fsck
from tests.cli.conftest import COMMAND, Result
from tests.images import raw
from tests.lab import Origin, behaviours
from tests.service import Running
from tests.test_crash import agree

BODY = raw(2_000_000)
KEPT = 1_500_000
TAG = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
OFTEN = {"resume": {"checkpoint_bytes": 262_144, "mark_bytes": 65_536}, "store": {"write_bytes": 65_536}}


async def store(service: Running, *arguments: object) -> Result:
    """Run `fetcher store` as the process of its own that it is for an operator."""
    words = ["store", *map(str, arguments), "--config", str(service.config)]
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return Result(process.returncode or 0, out.decode(), err.decode())


async def staged_bytes(service: Running, size: int) -> None:
    """Wait until a staged file holds so much."""
    async with asyncio.timeout(60):
        while not any(path.stat().st_size >= size for path in (service.data / "staging").iterdir()):
            await asyncio.sleep(0.01)


async def test_m10_running_imports_are_no_damage(tmp_path: Path) -> None:
    """`store check` beside a server finds nothing wrong with a pull or an upload that it writes."""
    gate = asyncio.Event()

    async def slowly():
        yield BODY[:100_000]
        await gate.wait()

    async with (
        Origin({"/x": behaviours.stall(BODY, KEPT, fields=TAG)}) as origin,
        Running(tmp_path, origin, **OFTEN) as service,
    ):
        await service.submit(url=origin.url("/x"))
        made = await service.call(
            "POST", "/v2/images", json={"disk_format": "raw", "container_format": "bare"}
        )
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/v2/images/{made[1]['id']}/file"
        sending = asyncio.create_task(service.call("PUT", path, data=slowly(), headers=headers))
        async with asyncio.timeout(60):
            while len(service.traces()) < 2:
                await asyncio.sleep(0.01)
        checked = await store(service, "check", "--json")
        assert checked.json["findings"] == []
        assert checked.code == Exit.OK
        gate.set()
        assert (await sending)[0] == 204


class Commit(Sequence[float]):
    """The wait between two looks, in which a commit goes on.

    Args:
        path: Gets its name then, and is in staging no more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        """Return that there is one."""
        return 1

    def __getitem__(self, number: Any) -> Any:
        """Let the commit go on."""
        self._path.unlink(missing_ok=True)
        return (0.0,)[number]


async def test_m10_whole_bytes_on_their_way_to_their_name_are_no_leftover(tmp_path: Path) -> None:
    """A body that is synced and not renamed yet has no lock any more; the check looks once more."""
    async with Running(tmp_path) as service:
        services = service.service.app.state.services
        path = service.data / "staging" / "whole.1"
        path.write_bytes(BODY)

        def fsck(waits: Sequence[float]) -> Fsck:
            return Fsck(services.index, services.store, service.data, bytes_per_second=None, waits=waits)

        assert await fsck(Commit(path)).leftovers() == []
        path.write_bytes(BODY)
        assert [one.name for one in await fsck((0.0,)).leftovers()] == ["staging/whole.1"]


async def test_m10_gc_keeps_parked_bytes(tmp_path: Path) -> None:
    """What a stopped service parked is no leftover: after `gc` the next start asks for the rest."""
    turns = behaviours.in_turn(
        behaviours.stall(BODY, KEPT, fields=TAG), behaviours.serve(BODY, etag='"v1"', fields=TAG)
    )
    async with Origin({"/x": turns}) as origin:
        async with Running(tmp_path, origin, **OFTEN) as service:
            created = await service.submit(url=origin.url("/x"))
            await staged_bytes(service, 1_000_000)
        (service.data / "staging" / f"{created['id']}.1").write_bytes(b"a leftover that is named after it")
        checked = await store(service, "check", "--json")
        assert [finding["name"] for finding in checked.json["findings"]] == [f"staging/{created['id']}.1"]
        assert checked.code == Exit.DAMAGED
        collected = await store(service, "gc", "--json")
        assert len(collected.json["files"]) == 1
        assert (await store(service, "check")).code == Exit.OK
        async with Running(tmp_path, origin, **OFTEN) as service:
            ended = await service.ended(created["id"])
            assert ended["digests"]["sha256"] == hashlib.sha256(BODY).hexdigest()
            assert ended["attempts"][-1]["offset"] >= 1_000_000
            assert origin.sent_bytes < len(BODY) + 500_000
        agree(tmp_path / "data")
