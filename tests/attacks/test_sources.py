"""What a source may try on a whole import: rows H15, N04, R01, T07 and C01 to C09 of the attacks."""

import asyncio
import base64
import hashlib
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.api.image_v2.cloud import Cloud
from tests.images import HTML, qcow2, raw
from tests.lab import Canary, Origin, behaviours
from tests.lab.behaviours import Behaviour
from tests.lab.dns import NameServer
from tests.lab.origin import Exchange
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config

BODY = raw(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = {"attempts": 2, "first_wait_seconds": 0.01, "max_wait_seconds": 0.02}


def inside(bird: Canary) -> str:
    """A place that must never be asked."""
    return f"http://127.0.0.2:{bird.port}/latest/meta-data"


def later(first: Behaviour, then: Behaviour) -> Behaviour:
    """Behave for one request, and otherwise for ranges and for all that follow."""
    return behaviours.in_turn(first, then)


async def redirected(way: str, origin: Origin, bird: Canary) -> dict[str, Any]:
    """Have one way of asking end at a redirect into the machine; the submission that goes this way."""
    to_inside, good = behaviours.redirect(inside(bird)), behaviours.serve(BODY, etag='"1"')
    cut = behaviours.cut(BODY, 100_000, fields={"ETag": '"1"'})
    ways: dict[str, tuple[dict[str, Behaviour], dict[str, Any]]] = {
        "submit": ({"/x": to_inside}, {}),
        "mirror": ({"/x": behaviours.status(404), "/m": to_inside}, {"mirrors": [origin.url("/m")]}),
        "resume": ({"/x": later(cut, to_inside)}, {}),
        "retry": ({"/x": later(behaviours.status(503), to_inside)}, {}),
        "checksum file": ({"/x": good, "/s": to_inside}, {"checksum_url": origin.url("/s")}),
    }
    routes, fields = ways[way]
    origin.routes |= routes
    return {"url": origin.url("/x"), **fields}


@pytest.mark.parametrize("way", ["submit", "mirror", "resume", "retry", "checksum file"])
async def test_r01_no_way_of_asking_leads_inside(way: str, tmp_path: Path) -> None:
    """First, again, further on, elsewhere or for a checksum: each request goes through the whole gate."""
    async with Canary() as bird, Origin() as origin, Running(tmp_path, origin, retry=QUICK) as service:
        ended = await service.run(**await redirected(way, origin, bird))
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "bad-redirect")
        assert "127.0.0.2" not in str(ended["verdict"])
        assert service.traces() == []
        await origin.wait_idle()
        assert bird.accepted == 0


async def test_r01_further_connections_do_not_lead_inside(tmp_path: Path) -> None:
    """A source whose first answer is good cannot send the connections for its other parts inside."""
    eager = {"min_bytes": 0, "segment_bytes": 65_536, "patience_seconds": 0.0}
    rules = {"ranges": eager | {"enough_bytes_per_second": 10_000_000_000}, "retry": QUICK}
    async with Canary() as bird, Origin() as origin, Running(tmp_path, origin, **rules) as service:
        slow = behaviours.serve(BODY, etag='"1"', bytes_per_second=1_000_000)
        origin.routes["/x"] = later(slow, behaviours.redirect(inside(bird)))
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert len(origin.requests) == 2
        assert bird.accepted == 0


async def test_r01_question_whether_it_changed_does_not_lead_inside(tmp_path: Path) -> None:
    """Asking after bytes that the store has is a request like any other."""
    async with (
        Canary() as bird,
        Origin() as origin,
        Running(tmp_path, origin, reuse={"revalidate": "project"}) as service,
    ):
        origin.routes["/x"] = later(behaviours.serve(BODY, etag='"1"'), behaviours.redirect(inside(bird)))
        assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        assert (await service.run(url=origin.url("/x")))["verdict"]["code"] == "bad-redirect"
        assert origin.requests[-1].header("If-None-Match") == '"1"'
        assert bird.accepted == 0


async def test_r06_secrets_go_home_alone_by_every_way(tmp_path: Path) -> None:
    """Mirrors, checksum files and redirects elsewhere never get what was meant for the first origin."""
    secret = {"X-Token": "hush"}
    sums = f"{SHA256}  x\n".encode()
    async with (
        Origin(
            {"/x": behaviours.serve(BODY, etag='"1"'), "/s": behaviours.serve(sums)}, host="127.0.0.3"
        ) as away,
        Origin() as home,
        Running(tmp_path, home, away, retry=QUICK) as service,
    ):
        home.routes |= {
            "/s": behaviours.serve(sums),
            "/x": behaviours.cut(BODY, 1000, fields={"ETag": '"1"'}),
        }
        home.routes["/r/x"] = behaviours.redirect(away.url("/x"))
        for fields in (
            {"url": home.url("/x"), "mirrors": [away.url("/x")], "checksum_url": away.url("/s")},
            {"url": home.url("/r/x"), "checksum_url": home.url("/s"), "checksum": f"sha256:{SHA256}"},
        ):
            await service.run(headers=secret, **fields)
        assert len(away.requests) >= 3
        assert {request.header("X-Token") for request in away.requests} == {None}
        assert {request.header("X-Token") for request in home.requests} == {"hush"}


async def test_n04_a_name_that_moves_inside_is_left_where_it_stands(tmp_path: Path) -> None:
    """A name that means this machine at the second attempt: the bytes so far go, nobody is dialled."""
    cut = behaviours.cut(BODY, 100_000, fields={"ETag": '"1"', "Accept-Ranges": "bytes"})
    async with Origin({"/x": cut}) as origin, Canary("127.0.0.2", origin.port) as bird:
        async with NameServer({"a.example": ["127.0.0.1"]}) as names:

            async def then_move(exchange: Exchange) -> None:
                names.table["a.example"] = ["127.0.0.2"]
                await cut(exchange)

            origin.routes["/x"] = then_move
            rules = {"dns": {"servers": [names.address]}, "retry": QUICK}
            async with Running(tmp_path, origin, **rules) as service:
                ended = await service.run(url=origin.url("/x", "a.example"))
                assert [attempt["code"] for attempt in ended["attempts"]][:2] == [
                    "truncated",
                    "source-unreachable",
                ]
                assert ended["verdict"]["code"] == "source-unreachable"
                assert service.traces() == []
        assert (bird.accepted, len(origin.requests)) == (0, 1)


@pytest.mark.parametrize("name", ["page", "page with an image's name", "page claimed as raw"])
async def test_h15_a_login_page_is_no_image(name: str, tmp_path: Path) -> None:
    """A portal that answers 200 and a page to everything is told by what it is, without a word of it."""
    page = HTML.replace(b"hello", b"Kx7QpSECRET")
    claims = {"page": None, "page with an image's name": "qcow2", "page claimed as raw": "raw"}
    behaviour = behaviours.serve(page, fields={"Content-Type": "text/html"})
    async with Origin({"*": behaviour}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/disk.qcow2"), disk_format=claims[name])
        assert ended["state"] == "refused"
        assert ended["verdict"]["code"] in {"format-unknown", "format-mismatch"}
        assert "HTML" in str(ended["verdict"])
        assert "Kx7QpSECRET" not in str(ended)
        assert len(origin.requests) == 1
        assert service.traces() == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_t07_what_was_allowed_before_the_stop_is_judged_anew(
    how: signal.Signals, tmp_path: Path
) -> None:
    """A service that died in mid-pull takes the import up by the rules of today, and leaves nothing of it."""
    async with Origin({"/x": behaviours.stall(BODY, 100_000, fields={"ETag": '"1"'})}) as origin:
        file = config(tmp_path, origin, retry=QUICK)
        async with Process(file) as service:
            body = {"url": origin.url("/x"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=body))[1]
            await origin.wait_requests(1)
            await service.kill(how)
            config(tmp_path, retry=QUICK)
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert ended["verdict"]["code"] == "url-invalid"
            await service.kill()
        assert origin.connections == 1
        agree(tmp_path / "data")


async def test_c01_one_wrong_bit_at_the_end_is_found_once(tmp_path: Path) -> None:
    """Both digests are told, nothing is kept, and a refusal is not tried again."""
    wrong = BODY[:-1] + bytes([BODY[-1] ^ 1])
    async with Origin({"/x": behaviours.serve(wrong)}) as origin, Running(tmp_path, origin) as service:
        for algorithm in ("sha256", "sha384", "sha512", "md5", "sha1"):
            expected = hashlib.new(algorithm, BODY).hexdigest()
            ended = await service.run(url=origin.url("/x"), checksum=f"{algorithm}:{expected.upper()}")
            told = ended["verdict"]["fields"]
            assert (ended["state"], ended["verdict"]["code"]) == ("refused", "checksum-mismatch")
            assert (told["expected"], told["actual"]) == (expected, hashlib.new(algorithm, wrong).hexdigest())
        assert len(origin.requests) == 5
        assert service.traces() == []


# Two blocks of one MD5, of Wang and others, "Collisions for Hash Functions" (2004).
COLLISION = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)


def other_of(block: bytes) -> bytes:
    """The other block with the same MD5."""
    changed = bytearray(block)
    for position in (19, 45, 59, 83, 109, 123):
        changed[position] ^= 0x80
    return bytes(changed)


async def test_c09_a_weak_digest_verifies_nothing(tmp_path: Path) -> None:
    """Two images of one MD5 both pass it, as different bytes, and neither counts as verified."""
    pair = [COLLISION + raw(5000), other_of(COLLISION) + raw(5000)]
    md5 = hashlib.md5(pair[0]).hexdigest()
    assert md5 == hashlib.md5(pair[1]).hexdigest()
    routes = {f"/{number}": behaviours.serve(body) for number, body in enumerate(pair)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        ended = [await service.run(url=origin.url(path), checksum=f"md5:{md5}") for path in routes]
        assert [(one["state"], one["verified_by"]) for one in ended] == [("succeeded", "none")] * 2
        assert len({one["digests"]["sha256"] for one in ended}) == len(service.traces()) == 2
        service.write_config(checksum={"required": True})
        service.service.reload()
        body = {"url": origin.url("/0"), "disk_format": "raw", "checksum": f"md5:{md5}"}
        status, problem, _ = await service.call("POST", "/imports", json=body)
        assert (status, problem["code"]) == (400, "checksum-required")


def said(body: bytes, *names: str) -> dict[str, str]:
    """Digest fields of a body."""
    value = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    return dict.fromkeys(names, value)


DIGESTS: dict[str, tuple[dict[str, str], tuple[str, str]]] = {
    "right": (said(BODY, "Repr-Digest"), ("ok", "header")),
    "wrong": (said(b"x", "Repr-Digest"), ("checksum-mismatch", "none")),
    "of the content, right": (said(BODY, "Content-Digest"), ("ok", "header")),
    "of the content, wrong": (said(b"x", "Content-Digest"), ("checksum-mismatch", "none")),
    "two that differ": (said(BODY, "Repr-Digest") | said(b"x", "Content-Digest"), ("bad-response", "none")),
    "md5 alone": ({"Repr-Digest": "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"}, ("ok", "none")),
    "a token": ({"Repr-Digest": "sha-256=abc"}, ("ok", "none")),
    "of another length": ({"Repr-Digest": "sha-256=:AAAA:"}, ("ok", "none")),
    "twice": ({"Repr-Digest": f"{said(BODY, 'a')['a']}, {said(b'x', 'a')['a']}"}, ("ok", "none")),
    "legacy": ({"Digest": "SHA-256=AAAA", "Content-MD5": "AAAA"}, ("ok", "none")),
}


@pytest.mark.parametrize("name", DIGESTS)
async def test_c06_what_a_source_says_of_its_bytes(name: str, tmp_path: Path) -> None:
    """A digest that is wrong ends it, one that is none changes nothing, and none makes bytes trusted."""
    fields, (code, verified_by) = DIGESTS[name]
    behaviour = behaviours.serve(BODY, fields=fields)
    async with Origin({"/x": behaviour}) as origin, Running(tmp_path, origin, retry=QUICK) as service:
        ended = await service.run(url=origin.url("/x"))
        assert (ended["verdict"]["code"], ended["verified_by"]) == (code, verified_by)
        assert service.traces() == ([] if code != "ok" else [f"blobs/{SHA256[:2]}/{SHA256}"])


@pytest.mark.parametrize("is_right", [True, False])
async def test_c06_digest_of_a_part_is_compared_with_the_part(is_right: bool, tmp_path: Path) -> None:
    """A resumed range that is not what its Content-Digest says is pulled once more, from the first byte."""
    rest = BODY[100_000:] if is_right else b"x"
    turns = behaviours.in_turn(
        behaviours.cut(BODY, 100_000, fields={"ETag": '"1"'}),
        behaviours.serve(BODY, etag='"1"', fields=said(rest, "Content-Digest")),
        behaviours.serve(BODY, etag='"1"'),
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin, retry=QUICK) as service:
        ended = await service.run(url=origin.url("/x"))
        codes = ["truncated", "ok"] if is_right else ["truncated", "bad-response", "ok"]
        assert [attempt["code"] for attempt in ended["attempts"]] == codes
        assert ended["digests"]["sha256"] == SHA256


async def test_c06_what_was_said_first_holds_for_the_rest(tmp_path: Path) -> None:
    """A digest that came with the first bytes is not forgotten because the range after them has none."""
    turns = behaviours.in_turn(
        behaviours.cut(BODY, 100_000, fields={"ETag": '"1"', **said(b"x", "Repr-Digest")}),
        behaviours.serve(BODY, etag='"1"'),
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin, retry=QUICK) as service:
        ended = await service.run(url=origin.url("/x"))
        assert [attempt["code"] for attempt in ended["attempts"]][:2] == ["truncated", "checksum-mismatch"]


async def test_c04_checksum_file_is_no_way_around_anything(tmp_path: Path) -> None:
    """A huge one, one that drips, one elsewhere: the import ends before a byte of the image is asked for."""
    sums = f"{SHA256}  x\n".encode()
    routes = {
        "/huge": behaviours.endless(b"#" * 65_536),
        "/drip": behaviours.drip(sums, pause_seconds=0.05),
        "/page": behaviours.serve(HTML),
        "/loop": behaviours.redirect("/loop"),
    }
    async with Origin(routes) as origin:
        rules = {"sums": {"total_seconds": 1.0, "max_bytes": 100_000}, "retry": QUICK}
        async with Running(tmp_path, origin, **rules) as service:
            for path in routes:
                ended = await service.run(url=origin.url("/x"), checksum_url=origin.url(path))
                assert ended["verdict"]["code"] in {"checksum-file-unusable", "too-many-redirects"}, path
            assert "/x" not in {request.path for request in origin.requests}
            assert service.traces() == []
            await origin.wait_idle()


async def test_t09_stalling_sources_of_one_project_hold_back_nobody(tmp_path: Path) -> None:
    """A project whose slots are all held waits; the import of another begins and ends beside them."""
    hostile = {f"/{n}": behaviours.stall(BODY, 1000) if n % 2 else behaviours.drip(BODY) for n in range(40)}
    async with Origin(hostile) as bad, Origin({"/x": behaviours.serve(qcow2())}, host="127.0.0.3") as good:
        rules = {"max_running_per_project": 20, "max_running_per_origin": 40}
        async with Cloud(tmp_path, bad, good, imports=rules) as service:
            alice, bob = ({"X-Auth-Token": f"token of {name}"} for name in ("alice", "bob"))
            for path in hostile:
                body = {"url": bad.url(path), "disk_format": "raw"}
                assert (await service.call("POST", "/imports", json=body, headers=alice))[0] == 202
            await bad.wait_requests(20)
            began = asyncio.get_running_loop().time()
            made = await service.call("POST", "/imports", json={"url": good.url("/x")}, headers=bob)
            async for name, document in service.events(made[1]["id"], headers=bob):
                if name == "end":
                    assert document["state"] == "succeeded"
            assert asyncio.get_running_loop().time() - began < 5
            assert (await service.get("/healthz"))["imports"] == {"queued": 20, "running": 20}
            assert bad.connections == 20


async def test_t04_record_of_another_service_that_drips_holds_nothing(tmp_path: Path) -> None:
    """The record of an image elsewhere is a small file: it has the time of one, however it comes."""
    record = behaviours.drip(b'{"status": "active"' + b" " * 10_000 + b"}", pause_seconds=0.02)
    image_id = "11111111-2222-4333-8444-555555555555"
    async with Origin({f"/v2/images/{image_id}": record}) as origin:
        remotes = {"remotes": [{"region": "Far", "url": origin.url("").rstrip("/")}]}
        rules = {"image_api": remotes, "sums": {"total_seconds": 0.5}, "retry": {"attempts": 1}}
        async with Cloud(tmp_path, origin, **rules) as cloud:
            image = await cloud.make()
            method = {"name": "glance-download", "glance_region": "Far", "glance_image_id": image_id}
            await cloud.want(202, "alice", "POST", f"/images/{image['id']}/import", json={"method": method})
            async with asyncio.timeout(20):
                task = await cloud.settled(image["id"])
            assert task["result"]["code"] == "remote-image-unusable"
            await origin.wait_idle()


async def test_t05_source_that_breaks_off_for_ever_fills_no_record(tmp_path: Path) -> None:
    """Each attempt brings a little, over a chain of redirects with long heads: the record stays small."""
    fields = {
        "ETag": '"1"',
        "Accept-Ranges": "bytes",
        "Server": "s" * 4000,
        "Content-Disposition": "d" * 4000,
    }
    routes = {f"/{hop}": behaviours.redirect(f"/{hop + 1}?{'q' * 400}", fields=fields) for hop in range(5)}
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, retry=QUICK | {"max_attempts": 30}) as service,
    ):
        origin.routes["/5"] = behaviours.cut(BODY, 1000, fields=fields)
        ended = await service.run(url=origin.url("/0"))
        assert (ended["verdict"]["code"], len(ended["attempts"])) == ("truncated", 30)
        told = [len(attempt["hops"]) for attempt in ended["attempts"]]
        assert told == [6] + [0] * 25 + [6] * 4
        assert len(str(ended)) < 60_000
