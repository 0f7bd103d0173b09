"""Roles of hosts, and what an operator sees of them."""

import asyncio
import json
from pathlib import Path

import pytest

from fetcher.cli.app import run
from tests.contract.index.postgres import PostgresPlace
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


@pytest.mark.parametrize("kind", ["postgres", "pgqueuer"])
async def test_one_host_answers_and_another_one_pulls(
    database: PostgresPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """The face takes the submission, the worker runs it; each is ready for its role, and all are shown."""
    shared = {"index": {"url": database.as_url}, "engine": {"kind": kind}}
    for name in ("face", "worker"):
        (tmp_path / name).mkdir()
    async with (
        Origin({"/x": behaviours.serve(raw(1000))}) as origin,
        Running(tmp_path / "face", origin, cluster={"host": "face", "roles": ["api"]}, **shared) as face,
        Running(
            tmp_path / "worker", origin, cluster={"host": "worker", "roles": ["worker"]}, **shared
        ) as worker,
    ):
        ended = await face.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        status, document, _headers = await face.call("GET", "/readyz")
        assert (status, document["engine"], document.get("warnings")) == (200, kind, None)
        status, document, _headers = await worker.call("GET", "/readyz")
        assert (status, document["reasons"]) == (
            503,
            ["this host is a worker, and takes nothing from clients"],
        )
        assert (await worker.call("GET", "/healthz"))[0] == 200
        asked = {"url": origin.url("/x"), "disk_format": "raw"}
        assert (await worker.call("POST", "/imports", json=asked))[0] == 503
        metrics = await (await face.client.get("/metrics")).text()
        assert 'fetcher_host_lease_seconds{host="worker"}' in metrics
        assert "not heard of" not in (page := await (await face.client.get("/page/dashboard")).text())
        assert "worker" in page
        sends = [host.service.app.state.services.exporter._taken_up.is_set() for host in (face, worker)]
        assert sends == [False, True]
        hosts = await face.service.app.state.services.engine.hosts()
        assert [(host.name, host.roles) for host in hosts] == [("face", ("api",)), ("worker", ("worker",))]
        assert (hosts[0].chores, hosts[0].engine) == ((), kind)
    command = ["cluster", "--json", "--config", str(tmp_path / "face" / "config.toml")]
    assert await asyncio.to_thread(run, command) == 0
    assert json.loads(capsys.readouterr().out) == {"hosts": [], "imports": {}}


def test_a_single_host_has_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With SQLite there is nothing to show, and roles of one's own mean nothing."""
    alone = Running(tmp_path)
    alone.write_config()
    assert run(["cluster", "--config", str(alone.config)]) != 0
    assert "SQLite" in capsys.readouterr().err
    alone.write_config(cluster={"roles": ["api"]})
    assert run(["config", "check", "--config", str(alone.config)]) != 0
    assert "both roles" in (said := capsys.readouterr().err)
    assert "engine" not in said
    alone.write_config(engine={"kind": "pgqueuer"})
    assert run(["config", "check", "--config", str(alone.config)]) != 0
    assert "engine.kind" in capsys.readouterr().err
