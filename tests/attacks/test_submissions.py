"""What a submission itself may try, through the running service: rows U, S04, S07 and S08 of the attacks."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from tests.api.image_v2.cloud import Cloud
from tests.images import raw
from tests.lab import Canary, Origin, behaviours
from tests.lab.dns import NameServer
from tests.processes import Process
from tests.service import Running

BODY = raw(50_000)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def idle(tmp_path: Path) -> Any:
    """A service that may fetch from nowhere in the lab."""
    async with Running(tmp_path) as service:
        yield service


UNFETCHABLE = (
    *(
        "file:///etc/passwd",
        "ftp://a.example/",
        "gopher://a.example/",
        "data:,x",
        "unix:///run/x",
        "//a.example/x",
    ),
    *("http+unix://%2Frun%2Fx/", "", "http:///x", "http://a.example@127.0.0.1/", "http://u:hush@localhost/"),
    *("http://a.example:22/", "http://a.example:6379/", "http://%31%32%37.0.0.1/", "http://a.example%00/"),
    *(
        "http://[v1.fe80]/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://localhost/",
        "http://LOCALHOST./",
    ),
    *(
        "http://metadata/",
        "http://x.internal/",
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://127.1/",
    ),
    *(
        "http://127.0.0.1#@a.example/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
    ),
    *(
        "http://xn--a-ecp.example/",
        "http://a.example\\@127.0.0.1/",
        "http://a.example/\r\nX: y",
    ),
)


@pytest.mark.parametrize("field", ["url", "mirrors", "checksum_url"])
async def test_u01_to_u13_nothing_unfetchable_is_taken_in_any_field(field: str, idle: Running) -> None:
    """Whichever field names it, a URL that could never be fetched is refused at once, and asked of nobody."""
    async with Canary("127.0.0.1", 0) as bird:
        for url in (*UNFETCHABLE, f"http://127.0.0.1:{bird.port}/"):
            fields = {"url": "https://a.example/x", field: [url] if field == "mirrors" else url}
            status, problem, _ = await idle.call("POST", "/imports", json=fields)
            assert (status, problem["code"]) == (400, "url-invalid"), url
            assert "hush" not in str(problem)
        assert bird.accepted == 0
    left = await idle.service.app.state.services.index.recovery.left_behind()
    assert left.waiting == []


@pytest.mark.parametrize(
    "value",
    ["-1", "0", "1e309", "NaN", "-Infinity", '"10"', "9223372036854775808", "1.5", "true", "[]", "1e3000"],
)
async def test_u15_caps_that_are_no_sizes_are_refused(value: str, idle: Running) -> None:
    """A limit that cannot be counted to is a mistake, never no limit."""
    text = f'{{"url": "https://a.example/x", "max_bytes": {value}}}'
    status, problem, _ = await idle.call("POST", "/imports", data=text.encode(), headers=JSON)
    assert (status, problem["code"]) == (400, "request-invalid")


async def test_u15_a_submitters_cap_only_lowers_the_operators(tmp_path: Path) -> None:
    """The largest number that can be said is clamped down, shown so, and enforced so."""
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin, size={"max_bytes": len(BODY) - 1}) as service,
    ):
        for cap in (None, len(BODY) - 1, len(BODY), 2**63 - 1):
            ended = await service.run(url=origin.url("/x"), max_bytes=cap)
            assert ended["submission"]["max_bytes"] == len(BODY) - 1
            assert ended["verdict"]["code"] == "too-many-bytes"
        assert service.traces() == []


NAMES = (
    *(
        "../../x",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "new\nline",
        "\r\nX-Evil: 1",
        "\u202egnp.exe",
    ),
    *(
        "CON",
        "",
        "%2e%2e%2f",
        "\x1b[31m",
        "n" * 255,
        "\u00e9" * 255,
        "-rf",
        "$(id)",
        "'; DROP TABLE images; --",
    ),
)


async def test_u17_names_are_only_ever_names(tmp_path: Path) -> None:
    """Whatever an image or the file behind its URL is called, paths are made of our own ids and digests."""
    async with Origin({"*": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        before = set(tmp_path.iterdir())
        for name in NAMES:
            ended = await service.run(url=origin.url("/..%2f..%2fetc%2fx"), name=name)
            assert (ended["state"], ended["name"]) == ("succeeded", name)
            image = await service.get(f"/v2/images/{ended['image_id']}")
            assert image["name"] == name
            async with service.client.get(f"/v2/images/{ended['image_id']}/file") as answer:
                assert await answer.read() == BODY
                assert "X-Evil" not in answer.headers
        sha256 = ended["digests"]["sha256"]
        assert service.traces() == [f"blobs/{sha256[:2]}/{sha256}"]
        assert set(tmp_path.iterdir()) == before
        for name in ("n" * 256, 7, ["x"], "nul\x00here"):
            fields = {"url": origin.url("/x"), "name": name}
            assert (await service.call("POST", "/imports", json=fields))[0] == 400


async def test_u18_secrets_of_a_submission_are_gone_with_its_end(tmp_path: Path) -> None:
    """In a query, a mirror, a header: shown nowhere, logged nowhere, and not in the index afterwards."""
    async with Origin({"/gone": behaviours.status(404), "/x": behaviours.serve(BODY)}) as origin:
        running = Running(tmp_path, origin, log={"format": "json", "level": "debug"})
        running.write_config()
        async with Process(running.config) as service:
            fields = {
                "url": origin.url("/gone?X-Amz-Signature=hush"),
                "mirrors": [origin.url("/x?sig=hush")],
                "headers": {"Authorization": "Bearer hush", "X-Hush": "hush"},
                "disk_format": "raw",
            }
            shown = [(await service.call("POST", "/imports", json=fields))[1]]
            shown.append(await service.until(shown[0]["id"], "succeeded", "failed"))
            shown.append((await service.call("GET", f"/imports/{shown[0]['id']}/provenance"))[1])
            assert (shown[1]["state"], shown[1]["submission"]["headers"]) == (
                "succeeded",
                ["Authorization", "X-Hush"],
            )
            assert [request.header("X-Hush") for request in origin.requests] == ["hush", "hush"]
            async with asyncio.timeout(
                20
            ):  # What was deleted leaves the index's log in its next quiet moment.
                while holds(tmp_path / "data", b"Bearer hush"):
                    await asyncio.sleep(0.05)
            assert not holds(tmp_path / "data", b"hush")
            await service.kill()
    said = b"".join(service.said)
    assert "=hush" not in str(shown)
    for secret in (b"Bearer hush", b"=hush", b'"hush"'):
        assert secret not in said


def holds(data: Path, secret: bytes) -> bool:
    """Whether a secret is in any file of the index."""
    return any(secret in path.read_bytes() for path in data.glob("index.sqlite*"))


EVIL = "'; DROP TABLE imports; -- %s %n {0.__class__} ${jndi:x} \\u001b[31m <script>alert(1)</script>"


async def test_s04_text_of_strangers_is_only_ever_text(tmp_path: Path) -> None:
    """In a URL, a name, an ETag or a server's name: no statement, no format, no second line of the log."""
    etag = '"' + EVIL.replace('"', "").replace(" ", "_") + '"'
    fields = {"Server": EVIL + "\x1b[2J", "ETag": etag, "Content-Disposition": EVIL, "Content-Type": EVIL}
    async with Origin({"*": behaviours.serve(BODY, fields=fields)}) as origin:
        running = Running(tmp_path, origin, log={"format": "json", "level": "debug"})
        running.write_config()
        async with Process(running.config) as service:
            url = origin.url("/a'%3B%20DROP%20TABLE%20imports%3B--%0a%1b[31m%25s{}?a=%0d%0aX")
            body = {
                "url": url,
                "name": EVIL + "\r\n\x1b[2J",
                "disk_format": "raw",
                "tags": [EVIL],
                "properties": {EVIL: EVIL},
            }
            status, created = await service.call("POST", "/imports", json=body)
            assert status == 202, created
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert (ended["state"], ended["name"]) == ("succeeded", body["name"])
            for path in ("/imports", "/v2/images", "/", f"/imports/{created['id']}/provenance"):
                status, document = await service.call("GET", path, headers={"Accept": "text/html, */*"})
                assert status == 200, path
                assert path != "/" or "<script>alert(1)" not in str(document)
            await service.kill()
    for line in service.said:
        assert b"\x1b" not in line
        if line.startswith(b"{"):
            json.loads(line)
    db = sqlite_utils.Database(tmp_path / "data" / "index.sqlite")
    assert {"imports", "images", "audit"} <= set(db.table_names())
    assert [row["name"] for row in db.query("SELECT name FROM images")] == [body["name"]]
    db.conn.close()


async def test_s07_one_project_sees_nothing_of_another(tmp_path: Path) -> None:
    """Neither an import, nor its story, nor the bytes so far; not even that it is there."""
    stalling = behaviours.stall(BODY, len(BODY) // 2)
    async with Origin({"/x": stalling}) as origin, Cloud(tmp_path, origin) as service:
        ours = {"X-Auth-Token": "token of alice"}
        body = {"url": origin.url("/x"), "disk_format": "raw"}
        _, created, _ = await service.call("POST", "/imports", json=body, headers=ours)
        await origin.wait_requests(1)
        theirs = {"X-Auth-Token": "token of bob"}
        unknown = created["id"][:-4] + ("0000" if not created["id"].endswith("0000") else "1111")
        for path in ("", "/events", "/provenance"):
            status, problem, _ = await service.call("GET", f"/imports/{created['id']}{path}", headers=theirs)
            other, nothing, _ = await service.call("GET", f"/imports/{unknown}{path}", headers=theirs)
            assert (status, problem["code"]) == (other, nothing["code"]) == (404, "unknown-import")
        assert (await service.call("DELETE", f"/imports/{created['id']}", headers=theirs))[0] == 404
        assert (await service.call("GET", "/imports", headers=theirs))[1]["imports"] == []
        image = created["image_id"]
        for method, path in (
            ("GET", ""),
            ("GET", "/file"),
            ("DELETE", ""),
            ("GET", "/tasks"),
            ("PUT", "/stage"),
        ):
            assert (await service.ask("bob", method, f"/images/{image}{path}"))[0] in {404, 415}, path
        assert (await service.fetch("alice", image))[:2] == (204, b"")
        assert (await service.call("GET", f"/imports/{created['id']}", headers=ours))[1]["state"] == "running"
        assert (await service.call("DELETE", f"/imports/{created['id']}", headers=ours))[0] == 204
        await origin.wait_idle()


def submissions(urls: list[str]) -> Iterator[dict[str, Any]]:
    """Bodies of submissions."""
    return ({"url": url, "disk_format": "raw"} for url in urls)


async def flood(service: Running, urls: list[str]) -> list[int]:
    """Submit all at once; the statuses in their order."""
    calls = (service.call("POST", "/imports", json=body) for body in submissions(urls))
    return [status for status, _, _ in await asyncio.gather(*calls)]


async def test_s08_a_flood_of_names_is_few_questions(tmp_path: Path) -> None:
    """Three hundred hosts in a moment: no more look-ups than submissions that the limit let in."""
    async with NameServer({}) as names:
        rules = {"imports": {"max_submits_per_minute": 20}, "dns": {"servers": [names.address]}}
        async with Running(tmp_path, retry={"attempts": 1}, **rules) as service:
            statuses = await flood(service, [f"https://host{number}.example/x" for number in range(300)])
            assert (statuses.count(202), statuses.count(429)) == (20, 280)
            while (await service.get("/healthz"))["imports"] != {"queued": 0, "running": 0}:
                await asyncio.sleep(0.01)
        assert len(names.asked) == 20
        assert sum(names.asked.values()) <= 20 * 2 * 2  # Both families, by each of two rounds.


async def test_s08_a_flood_on_one_origin_is_few_connections(tmp_path: Path) -> None:
    """So many connections at once and no more, however many imports wait."""
    async with Origin({"*": behaviours.silent()}) as origin:
        rules = {"max_running_per_origin": 2, "max_queued": 40}
        async with Running(tmp_path, origin, imports=rules) as service:
            statuses = await flood(service, [origin.url(f"/{number}") for number in range(60)])
            assert 40 <= statuses.count(202) <= 44
            assert statuses.count(429) == 60 - statuses.count(202)
            await origin.wait_connections(2)
            assert (await service.get("/healthz"))["imports"]["running"] == 2
            assert origin.connections == origin.open_connections == 2
