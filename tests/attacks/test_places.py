"""Group I of docs/attacks.md, row I22: one project on every place."""

import asyncio
from pathlib import Path

from fetcher.api.auth.identity import make_token
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

MOST = 5


async def test_i22_a_project_cannot_take_every_place(tmp_path: Path) -> None:
    """Its followers hold as many as it may; others and admins are served, and it too when one leaves."""
    tokens = {name: make_token() for name in ("a", "b", "admin")}
    listed = [
        {"sha256": sha256, "project": name, "user": name, "roles": ["admin" if name == "admin" else "member"]}
        for name, (_token, sha256) in tokens.items()
    ]
    headers = {name: {"headers": {"X-Auth-Token": token}} for name, (token, _sha256) in tokens.items()}
    rules = {
        "auth": {"mode": "tokens", "tokens": listed},
        "inbound": {"max_requests_per_project": MOST},
    }
    async with Origin({"/x": behaviours.silent()}) as origin, Running(tmp_path, origin, **rules) as service:
        sent = {"url": origin.url("/x"), "disk_format": "raw"}
        status, made, _headers = await service.call("POST", "/imports", json=sent, **headers["a"])
        assert status == 202
        following = []
        for _ in range(MOST):
            answer = await service.client.get(f"/imports/{made['id']}/events", **headers["a"])
            assert (answer.status, bool(await answer.content.readline())) == (200, True)
            following.append(answer)
        status, document, told = await service.call("GET", "/imports", **headers["a"])
        assert (status, document["code"], told["retry-after"]) == (503, "too-many-connections", "5")
        for name in ("b", "admin"):
            assert (await service.call("GET", "/imports", **headers[name]))[0] == 200
        following.pop().close()
        async with asyncio.timeout(60):
            while (await service.call("GET", "/imports", **headers["a"]))[0] != 200:
                await asyncio.sleep(0.01)
        for answer in following:
            answer.close()
