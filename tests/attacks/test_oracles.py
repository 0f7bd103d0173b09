"""What can be learnt of the inside from an import: nothing. All of it is for the operator alone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from tests.images import raw
from tests.lab import Canary, Origin, behaviours
from tests.lab.dns import NameServer
from tests.lab.proxy import Proxy
from tests.processes import Process
from tests.service import Running

BODY = raw(50_000)
# Each is unreachable for another reason; outside nobody can tell which.
INSIDE = {
    "private.example": ["10.1.2.3"],
    "listening.example": ["127.0.0.2"],
    "metadata.example": ["169.254.169.254"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:a01:203"],
    "mixed.example": ["203.0.113.9", "10.1.2.3"],
    "alias.example": ["CNAME private.example"],
    "missing.example": "NXDOMAIN",
    "failing.example": "SERVFAIL",
    "empty.example": [],
}
STEP = 0.5


def without_truth(document: Any) -> Any:
    """A document without what only administrators are told: here, everybody is one."""
    if isinstance(document, dict):
        return {name: without_truth(value) for name, value in document.items() if name != "truth"}
    return [without_truth(item) for item in document] if isinstance(document, list) else document


def blurred(document: dict[str, Any]) -> str:
    """A document without what differs between any two imports, and what only administrators are told."""
    told = {name: value for name, value in without_truth(document).items() if name != "links"}
    text = json.dumps(told, sort_keys=True)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.+Z]+", "TIME", text)
    return re.sub(r"[a-z]+\.example", "HOST", text)


async def test_forbidden_and_absent_are_one_answer(tmp_path: Path) -> None:
    """Ten hosts that cannot be had for ten reasons: one document, one time; the truth in log and audit."""
    async with NameServer(dict(INSIDE)) as names, Canary("127.0.0.2", 0) as bird:
        running = Running(
            tmp_path,
            dns={"servers": [names.address]},
            pace={"unreachable_step_seconds": STEP},
            retry={"attempts": 1},
            address={
                "allow": [{"cidr": "192.0.2.1/32", "ports": [bird.port]}]
            },  # Else the port would be refused.
            log={"format": "json"},
        )
        running.write_config()
        shown: dict[str, str] = {}
        took: dict[str, float] = {}
        async with Process(running.config) as service:
            made = {}
            for host in INSIDE:
                body = {"url": f"http://{host}:{bird.port}/x", "disk_format": "raw"}
                made[host] = (await service.call("POST", "/imports", json=body))[1]["id"]
            for host, import_id in made.items():
                ended = await service.until(import_id, "succeeded", "failed", "refused")
                attempt = ended["attempts"][0]
                took[host] = _seconds(attempt["started_at"], attempt["ended_at"])
                shown[host] = blurred(ended)
            await service.kill()
        assert bird.accepted == 0
    assert len(set(shown.values())) == 1
    assert not re.search(r"10\.1\.2\.3|127\.0\.0|169\.254|::|203\.0", next(iter(shown.values())))
    # A busy machine takes longer, and then for any of them; nobody is told before the step.
    assert min(took.values()) >= STEP - 0.01  # The clock of the dates is not the one of the waits.
    assert max(took.values()) < 4 * STEP, took
    said = [json.loads(line) for line in service.said if line.startswith(b"{")]
    ends = {line["import_id"]: line for line in said if line["event"] == "import.ended"}
    audits = _audits(tmp_path / "data")
    for host, code, fact in (
        ("private.example", "address-forbidden", "10.0.0.0/8"),
        ("listening.example", "address-forbidden", "127.0.0.2"),
        ("metadata.example", "address-forbidden", "169.254.169.254"),
        ("six.example", "address-forbidden", "::1"),
        ("mapped.example", "address-forbidden", "::ffff:"),
        ("mixed.example", "address-forbidden", "203.0.113.9"),
        ("missing.example", "name-unresolved", "missing.example"),
    ):
        for story in (ends[made[host]], audits[made[host]]):
            assert story["code"] == code
            assert fact in story["message"]


def _seconds(began: str, ended: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def _audits(data: Path) -> dict[str, dict[str, Any]]:
    db = sqlite_utils.Database(data / "index.sqlite")
    found = {}
    for row in db.query("SELECT import_id, detail FROM audit"):
        detail = json.loads(row["detail"])
        if "message" in detail:
            found[row["import_id"]] = detail
    db.conn.close()
    return found


async def test_story_of_a_good_import_tells_nothing_of_failed_hops(tmp_path: Path) -> None:
    """A mirror inside, beside one that is good: its address is in no document that a submitter gets."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, NameServer(dict(INSIDE)) as names:
        rules = {"dns": {"servers": [names.address]}, "log": {"format": "json"}}
        running = Running(tmp_path, origin, **rules)
        running.write_config()
        async with Process(running.config) as service:
            port = origin.port
            body = {
                "url": f"http://private.example:{port}/x",
                "mirrors": [
                    f"http://metadata.example:{port}/x",
                    f"http://missing.example:{port}/",
                    origin.url("/x"),
                ],
                "disk_format": "raw",
            }
            created = (await service.call("POST", "/imports", json=body))[1]
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert ended["state"] == "succeeded"
            image = f"/v2/images/{ended['image_id']}"
            paths = (f"/imports/{created['id']}/provenance", image, f"{image}/tasks", "/imports")
            documents = [ended, *[(await service.call("GET", path))[1] for path in paths]]
            await service.kill()
    truths = [attempt["truth"] for attempt in ended["attempts"] if attempt["truth"] is not None]
    assert [truth["code"] for truth in truths] == [
        "address-forbidden",
        "address-forbidden",
        "name-unresolved",
    ]
    assert [truth["addresses"] for truth in truths] == [["10.1.2.3"], ["169.254.169.254"], []]
    assert not re.search(r"10\.1\.2\.3|169\.254|10\.0\.0\.0", str(without_truth(documents)))
    said = b"".join(service.said)
    assert b"10.1.2.3" in said
    assert b"169.254.169.254" in said


async def test_address_of_the_proxy_is_the_operators(tmp_path: Path) -> None:
    """Where an import went through the egress proxy, its story does not tell where that stands."""
    async with (
        Origin({"*": behaviours.serve(BODY)}) as origin,
        Proxy(("127.0.0.1", origin.port)) as proxy,
        Running(tmp_path, egress={"proxy": proxy.url}) as service,
    ):
        ended = await service.run(url="http://a.example/x")
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert ended["state"] == "succeeded"
        assert len(proxy.heads) == 1
        hop = story["attempts"][0]["hops"][0]
        assert (hop["status"], hop["address"], hop["port"]) == (200, None, None)
        assert "127.0.0.1" not in str(story["attempts"])


BANNERS = {
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Kx7QpSECRET\r\n",
    "redis": b"-ERR unknown command Kx7QpSECRET\r\n",
    "smtp": b"220 Kx7QpSECRET ESMTP\r\n",
    "nothing": b"",
    "zeros": bytes(2000),
    "long-line": b"Kx7QpSECRET" * 20_000,
}


async def test_h12_banners_are_for_the_operator_and_bounded(tmp_path: Path) -> None:
    """What a service that is no web server says is in no answer, and in the log no longer than a line."""
    routes = {f"/{name}": behaviours.answer(banner) for name, banner in BANNERS.items()}
    async with Origin(routes) as origin:
        running = Running(tmp_path, origin, retry={"attempts": 1}, log={"format": "json"})
        running.write_config()
        async with Process(running.config) as service:
            for name in BANNERS:
                body = {"url": origin.url(f"/{name}"), "disk_format": "raw"}
                created = (await service.call("POST", "/imports", json=body))[1]
                ended = await service.until(created["id"], "failed", "refused")
                assert ended["verdict"]["code"] in {"bad-response", "source-unreachable"}
                assert "Kx7Qp" not in str(ended)
            await service.kill()
    assert b"SSH-2.0-OpenSSH" in b"".join(service.said)
    assert max(len(line) for line in service.said) < 3000
    for detail in _audits(tmp_path / "data").values():
        assert len(json.dumps(detail)) < 3000


@pytest.mark.parametrize("where", ["mirror", "part"])
async def test_truth_of_each_attempt_is_in_the_log(where: str, tmp_path: Path) -> None:
    """Also of an attempt or a connection after which another one brought the bytes."""
    async with Canary() as bird, Origin() as origin:
        to_inside = behaviours.redirect(f"http://127.0.0.2:{bird.port}/")
        eager = {"min_bytes": 0, "segment_bytes": 65_536, "patience_seconds": 0.0}
        rules: dict[str, Any] = {"ranges": eager | {"enough_bytes_per_second": 10_000_000_000}}
        running = Running(tmp_path, origin, log={"format": "json"}, retry={"attempts": 1}, **rules)
        running.write_config()
        whole = behaviours.serve(raw(1_000_000), etag='"1"', bytes_per_second=2_000_000)
        origin.routes |= {
            "/bad": to_inside,
            "/good": behaviours.serve(BODY),
            "/x": behaviours.in_turn(whole, to_inside),
        }
        async with Process(running.config) as service:
            path = "/bad" if where == "mirror" else "/x"
            body = {"url": origin.url(path), "mirrors": [origin.url("/good")], "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=body))[1]
            assert (await service.until(created["id"], "succeeded", "failed", "refused"))[
                "state"
            ] == "succeeded"
            await service.kill()
        assert bird.accepted == 0
    said = [json.loads(line) for line in service.said if line.startswith(b"{")]
    failed = [
        line for line in said if line["event"] == f"{'attempt' if where == 'mirror' else 'part'}.failed"
    ]
    assert failed
    code = "bad-redirect" if where == "mirror" else "source-status"  # The redirect of a part leads nowhere.
    assert all(line["code"] == code and line["pull_id"] for line in failed)
