"""What the operator's own settings change, through the whole service: authorities, proxy, schemes, caps."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from tests.images import raw
from tests.lab import Origin, behaviours
from tests.lab.certificates import HOST, Authorities
from tests.lab.dns import NameServer
from tests.lab.proxy import Proxy
from tests.service import Running

BODY = raw(60_000)
ONCE = {"attempts": 1}


async def test_custom_authorities_make_a_source_trustworthy(tmp_path: Path) -> None:
    """Without the operator's bundle the import ends before any byte; with it, the story tells who it was."""
    authorities = Authorities()
    source = Origin({"/x": behaviours.serve(BODY)}, tls=authorities.good())
    async with source as origin, NameServer({HOST: ["127.0.0.1"]}) as names:
        rules: dict[str, Any] = {"dns": {"servers": [names.address]}, "retry": ONCE}
        async with Running(tmp_path, origin, **rules) as service:
            url = origin.url("/x", HOST)
            ended = await service.run(url=url, headers={"Authorization": "Bearer hush"})
            assert (ended["state"], ended["verdict"]["code"]) == ("failed", "tls-failed")
            assert origin.requests == []
            assert service.traces() == []
            service.write_config(tls=authorities.trusted(tmp_path))
            service.service.reload()
            ended = await service.run(url=url, headers={"Authorization": "Bearer hush"})
            assert ended["state"] == "succeeded"
            assert [request.header("Authorization") for request in origin.requests] == ["Bearer hush"]
            story = await service.get(f"/imports/{ended['id']}/provenance")
            assert story["attempts"][0]["hops"][0]["tls"]["version"].startswith("TLSv1.")


async def test_https_through_the_proxy_shows_it_nothing(tmp_path: Path) -> None:
    """The proxy learns a host and a port; path, query, headers and bytes go through its tunnel unseen."""
    authorities = Authorities()
    source = Origin({"/x": behaviours.serve(BODY)}, tls=authorities.good())
    async with source as origin, Proxy(("127.0.0.1", origin.port)) as proxy:
        rules = {"egress": {"proxy": proxy.url}, "tls": authorities.trusted(tmp_path), "retry": ONCE}
        async with Running(tmp_path, **rules) as service:
            ended = await service.run(url=f"https://{HOST}/x?key=hush", headers={"X-Token": "hush"})
            assert ended["state"] == "succeeded"
            assert proxy.heads == [f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"]
            assert origin.requests[0].header("X-Token") == "hush"
            ended = await service.run(url="https://evil.example/x")
            assert ended["verdict"]["code"] == "tls-failed"


async def test_http_is_the_operators_choice(tmp_path: Path) -> None:
    """Switched off, it is refused in every field, and as the place that a redirect leads to."""
    async with Origin() as origin, Running(tmp_path, origin, url={"schemes": ["https"]}) as service:
        url = origin.url("/x")
        for fields in (
            {"url": url},
            {"url": "https://a.example/", "mirrors": [url]},
            {"url": "https://a.example/", "checksum_url": url},
        ):
            status, problem, _ = await service.call("POST", "/imports", json=fields)
            assert (status, problem["code"]) == (400, "url-invalid")
        assert origin.connections == 0


async def test_global_cap_holds_over_projects_and_origins(tmp_path: Path) -> None:
    """So many imports at once and no more; when one ends, the next begins."""
    opened = asyncio.Event()
    slow = behaviours.gated(behaviours.serve(BODY), opened)
    rules = {"imports": {"max_running": 3, "max_running_per_origin": 2}}
    async with (
        Origin({"*": slow}) as one,
        Origin({"*": slow}, host="127.0.0.3") as two,
        Running(tmp_path, one, two, **rules) as service,
    ):
        urls = [origin.url(f"/{number}") for number in range(4) for origin in (one, two)]
        made = [await service.submit(url=url) for url in urls]
        await one.wait_requests(1)
        await two.wait_requests(1)
        assert (await service.get("/healthz"))["imports"] == {"queued": 5, "running": 3}
        assert one.connections + two.connections <= 3
        opened.set()
        ended = [await service.ended(record["id"]) for record in made]
        assert {record["state"] for record in ended} == {"succeeded"}


@pytest.mark.parametrize("end", ["succeeded", "refused", "failed", "cancelled"])
async def test_secrets_are_dropped_whatever_the_end(end: str, tmp_path: Path) -> None:
    """No row of the index holds a secret of an import that has ended, and no answer ever did."""
    ways = {
        "succeeded": behaviours.serve(BODY),
        "refused": behaviours.redirect("file:///etc/passwd"),
        "failed": behaviours.status(404),
        "cancelled": behaviours.stall(BODY, 100),
    }
    async with Origin({"/x": ways[end]}) as origin, Running(tmp_path, origin, retry=ONCE) as service:
        fields = {"url": origin.url("/x?key=hush"), "headers": {"Authorization": "Basic aHVzaDpodXNo"}}
        created = await service.submit(**fields)
        await origin.wait_requests(1)
        if end == "cancelled":
            status, _, _ = await service.call("DELETE", f"/imports/{created['id']}")
            assert status == 204
        ended = await service.ended(created["id"])
        assert ended["state"] == end
        assert "hush" not in str(ended)
        assert "aHVzaD" not in str(ended)
        db = sqlite_utils.Database(service.data / "index.sqlite")
        assert list(db.query("SELECT * FROM import_secrets")) == []
        assert not [row for name in db.table_names() for row in db[name].rows if "hush" in str(row).lower()]
        db.conn.close()
