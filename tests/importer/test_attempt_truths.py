"""What really happened in each attempt: for administrators, in API, page and command line; nobody else."""

from pathlib import Path
from typing import Any

from fetcher.api.auth.identity import make_token
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

__all__ = ["fetcher"]
BODY = raw(50_000)


def tokens_for(project: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Tokens of an administrator and of a member of one project."""
    made = {name: make_token() for name in ("admin", "member")}
    listed = [
        {"sha256": sha256, "project": project, "user": name, "roles": [name, "reader", "member"]}
        for name, (_token, sha256) in made.items()
    ]
    return {"mode": "tokens", "tokens": listed}, {name: token for name, (token, _) in made.items()}


async def test_the_truth_of_attempts_is_for_administrators(fetcher: Fetcher, tmp_path: Path) -> None:
    """A mirror inside was never dialled: its address and code are told to them, and to no submitter."""
    auth, tokens = tokens_for("p")
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(
            tmp_path, origin, auth=auth, url={"allow_literals": True, "ports": [80, origin.port]}
        ) as service,
    ):
        body = {
            "url": f"http://127.0.0.2:{origin.port}/x",
            "mirrors": [origin.url("/x")],
            "disk_format": "raw",
        }
        own = {"X-Auth-Token": tokens["member"]}
        status, created, _ = await service.call("POST", "/imports", json=body, headers=own)
        assert status == 202, created
        path = f"/imports/{created['id']}"
        seen: dict[str, Any] = {}
        for name, token in tokens.items():
            headers = {"X-Auth-Token": token}
            async for event, document in service.events(created["id"], headers=headers):
                if event == "end":
                    shown = await service.get(path, headers=headers)
                    assert document["attempts"] == shown["attempts"]
            listed = (await service.get("/imports", headers=headers))["imports"][0]
            assert listed["attempts"] == document["attempts"]
            seen[name] = document
            for code in ("address-forbidden", "source-unreachable", "name-unresolved"):
                found = await service.get(f"/imports?attempt_code={code}", headers=headers)
                is_told = code == "source-unreachable" or (code, name) == ("address-forbidden", "admin")
                assert len(found["imports"]) == is_told, (name, code)
        assert seen["member"]["state"] == "succeeded", seen["member"]["verdict"]
        first, last = seen["admin"]["attempts"]
        assert (first["code"], last["code"]) == ("source-unreachable", "ok")
        assert first["truth"]["code"] == "address-forbidden"
        assert first["truth"]["addresses"] == ["127.0.0.2"]
        assert "127.0.0.2" in first["truth"]["message"]
        assert last["truth"] is None
        assert [attempt["truth"] for attempt in seen["member"]["attempts"]] == [None, None]
        story = await service.get(f"{path}/provenance", headers=own)
        assert "address-forbidden" not in str([seen["member"], story])
        server = ("--server", service.base, "--token")
        result = await fetcher("show", created["id"], *server, tokens["admin"])
        assert "in truth: The source 127.0.0.2 is at 127.0.0.2" in result.out.replace("\n", " ")
        result = await fetcher("show", created["id"], *server, tokens["member"])
        assert "in truth" not in result.out


async def test_the_page_tells_each_attempt(fetcher: Fetcher, tmp_path: Path) -> None:
    """In local mode everybody is an administrator; the list is found by the true code."""
    rules = {"allow_literals": True}
    async with (
        Origin({"/x": behaviours.serve(BODY)}, host="127.0.0.3") as origin,
        Running(tmp_path, origin, url=rules | {"ports": [80, origin.port]}) as service,
    ):
        ended = await service.run(url=f"http://127.0.0.2:{origin.port}/x")
        async with service.client.get(f"/page/imports/{ended['id']}") as answer:
            text = await answer.text()
        causes = text.count("<dt>actual cause</dt>")
        assert causes == len(ended["attempts"]) > 1
        assert "127.0.0.2" in text.partition("<dt>actual cause</dt>")[2][:200]
        for code, count in (("address-forbidden", 1), ("name-unresolved", 0)):
            for option in ("--code", "--attempt-code"):
                result = await fetcher("imports", option, code, "--json", "--server", service.base)
                assert len(result.json["imports"]) == count
