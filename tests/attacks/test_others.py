"""Group I: what others may see, on the machine and in other projects."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from fetcher.api.auth.identity import make_token
from fetcher.index.sqlite.private import make_private
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.service import Running

SIZE = 2_000_000


def modes(folder: Path) -> set[int]:
    """The permissions of all files in a folder."""
    return {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


async def test_i12_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The index, its log, its shared memory and blobs, also where folder and files were open before."""
    before = os.umask(0o022)
    try:
        data = tmp_path / "data"
        data.mkdir(mode=0o755)
        (data / "index.sqlite").touch(mode=0o644)
        async with Origin({"*": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/x"))
            assert {"index.sqlite", "index.sqlite-wal", "index.sqlite-shm"} <= {
                path.name for path in data.iterdir()
            }
            assert modes(data) == {0o600}
            assert data.stat().st_mode & 0o007 == 0
            services = service.service.app.state.services
            from fetcher.maintenance.backup import back_up

            await back_up(services.store, tmp_path / "backup")
            assert modes(tmp_path / "backup") == {0o600}
            assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def test_i12_an_index_is_never_open_to_others(tmp_path: Path) -> None:
    """Not even for the moment in which it is made."""
    before = os.umask(0)
    try:
        make_private(tmp_path / "index.sqlite")
        assert modes(tmp_path) == {0o600}
    finally:
        os.umask(before)


@pytest.mark.parametrize("share", ["project", "everybody"])
async def test_i12_another_project_does_not_see_that_a_pull_was_running(tmp_path: Path, share: str) -> None:
    """It has a pull of its own or, where all share, is shown nothing of before its own start."""
    body, opened = raw(SIZE), asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        await exchange.send_head("200 OK", {"Content-Length": len(body), "Connection": "close"})
        await exchange.send_body(body[: SIZE // 2])
        await opened.wait()
        await exchange.send_body(body[SIZE // 2 :])

    tokens = {name: make_token() for name in ("a", "b")}
    listed = [
        {"sha256": sha256, "project": name, "user": "u", "roles": ["member"]}
        for name, (_token, sha256) in tokens.items()
    ]
    rules: dict[str, Any] = {"auth": {"mode": "tokens", "tokens": listed}, "reuse": {"share": share}}
    async with Origin({"/x": behave}) as origin, Running(tmp_path, origin, **rules) as service:
        fields = {"url": origin.url("/x"), "disk_format": "raw"}

        async def see(name: str, import_id: str) -> dict[str, Any]:
            headers = {"X-Auth-Token": tokens[name][0]}
            return dict((await service.call("GET", f"/imports/{import_id}", headers=headers))[1])

        async def submit(name: str) -> str:
            headers = {"X-Auth-Token": tokens[name][0]}
            return str((await service.call("POST", "/imports", json=fields, headers=headers))[1]["id"])

        first = await submit("a")
        while (await see("a", first))["progress"]["received_bytes"] < SIZE // 4:
            await asyncio.sleep(0.01)
        second = await submit("b")
        while (await see("b", second))["state"] != "running" or not (await see("b", second))["attempts"]:
            await asyncio.sleep(0.01)
        shown = await see("b", second)
        if share == "everybody":
            assert shown["progress"]["received_bytes"] < SIZE // 4
            assert len(origin.requests) == 1
        for attempt in shown["attempts"]:
            assert attempt["started_at"] >= shown["created_at"]
        opened.set()
        for name, import_id in (("a", first), ("b", second)):
            while (ended := await see(name, import_id))["state"] not in {"succeeded", "failed", "refused"}:
                await asyncio.sleep(0.01)
            assert ended["state"] == "succeeded"
            assert ended["progress"]["received_bytes"] == SIZE
        assert len(origin.requests) == (1 if share == "everybody" else 2)


async def test_i16_the_service_does_not_pull_from_itself(tmp_path: Path) -> None:
    """Not even where the operator opened its very address and port."""
    async with Running(tmp_path) as service:
        port = int(service.base.rpartition(":")[2])
        service.write_config(
            address={"allow": [{"cidr": "127.0.0.0/8", "ports": [port]}]},
            url={"ports": [port], "allow_literals": True},
            retry={"attempts": 1},
        )
        service.service.reload()
        ended = await service.run(url=f"{service.base}/healthz")
        assert ended["verdict"]["code"] == "source-unreachable"
