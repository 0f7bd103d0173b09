"""What a look tells of the inside: no more than an import does; the truth is for administrators."""

import json
from pathlib import Path
from typing import Any

from tests.attacks.test_oracles import INSIDE
from tests.lab import Canary
from tests.lab.dns import NameServer
from tests.page.test_page import AUTH, TOKENS, signed_in
from tests.service import Running

MEMBER, ADMIN = ({"X-Auth-Token": TOKENS[role]} for role in ("member", "admin"))
HIDDEN = ("address-forbidden", "connect-failed", "name-unresolved")
HOSTS = ("private.example", "listening.example", "missing.example", "failing.example", "shut.example")


async def test_truth_is_for_administrators_alone(tmp_path: Path) -> None:
    """A name that does not resolve, a forbidden address and a refused port: one answer on every way."""
    inside: dict[str, Any] = {**INSIDE, "shut.example": ["127.0.0.3"]}
    async with NameServer(inside) as names, Canary("127.0.0.2", 0) as bird:
        allowed = [{"cidr": "127.0.0.3/32", "ports": [bird.port]}]
        rules: dict[str, Any] = {
            "dns": {"servers": [names.address]},
            "address": {"allow": allowed},
            "retry": {"attempts": 1},
            "auth": AUTH,
        }
        async with Running(tmp_path, **rules) as service:
            told: set[str] = set()
            truths: dict[str, str] = {}
            for host in HOSTS:
                fields = {"url": f"http://{host}:{bird.port}/x", "disk_format": "raw"}
                status, made, _ = await service.call("POST", "/imports", json=fields, headers=MEMBER)
                assert status == 202, made
                path = f"/imports/{made['id']}"
                documents = [document async for _, document in service.events(made["id"], headers=MEMBER)]
                shown = await service.get(path, headers=MEMBER)
                assert all(document.get("truth") is None for document in [shown, *documents])
                _, found, _ = await service.call("POST", "/imports/probe", json=fields, headers=MEMBER)
                refusal = {key: found["refusals"][0][key] for key in ("code", "title", "advice", "fields")}
                assert refusal == shown["verdict"]
                assert (found["url"], found["name"], found["checksum_file"]) == (None, None, None)
                told.add(json.dumps(found["refusals"]).replace(host, "HOST"))
                for user in (MEMBER, ADMIN):
                    cookies = await signed_in(service, user["X-Auth-Token"])
                    async with service.client.get(f"/page/imports/{made['id']}", cookies=cookies) as answer:
                        assert ("Actual cause" in await answer.text()) is (user is ADMIN)
                truths[host] = (await service.get(path, headers=ADMIN))["truth"]["code"]
            assert len(told) == 1, told
            assert truths["private.example"] == truths["listening.example"] == "address-forbidden"
            assert truths["missing.example"] == "name-unresolved"
            assert truths["shut.example"] == "connect-failed"
            assert set(truths.values()) == set(HIDDEN)
            for code in HIDDEN:
                listed = (await service.get(f"/imports?code={code}", headers=MEMBER))["imports"]
                assert listed == []
                listed = (await service.get(f"/imports?code={code}", headers=ADMIN))["imports"]
                assert len(listed) == list(truths.values()).count(code)
            listed = (await service.get("/imports?code=source-unreachable", headers=MEMBER))["imports"]
            assert len(listed) == len(HOSTS)
            assert all(item["truth"] is None for item in listed)
        assert bird.accepted == 0
