"""Group E of docs/attacks.md: receivers that lie, lead elsewhere, hold on, or want what is not theirs."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.exporter.buckets import Bucket
from tests.exporter.places import image_for, sender
from tests.exporter.registries import Registry
from tests.exporter.server import Answer, Asked, Server, refuse
from tests.exporter.test_oci import HTTP
from tests.exporter.test_oci import there as in_registry
from tests.exporter.test_put import IMAGE, ended, push
from tests.exporter.test_s3 import LARGE, PARTS, bucket_of, pushed
from tests.importer.schemes.test_oci import Ground, trustme_context
from tests.lab.canary import Canary
from tests.processes import Process
from tests.service import Running


@asynccontextmanager
async def putting(
    folder: Path, before: Callable[[Asked], Answer | bytes | None], **exports: Any
) -> AsyncIterator[tuple[Running, str, Server]]:
    """A service with an image, and a receiver that answers before it has read the body."""
    async with Server(refuse, before) as server:
        exports = {"stall_seconds": 0.3, "attempts": 1, **exports}
        async with image_for(folder, IMAGE, server, **exports) as (service, image_id):
            yield service, image_id, server


def left(service: Running) -> list[Path]:
    """What is staged."""
    return list((service.data / "staging").iterdir())


async def test_e01_a_receiver_inside_is_never_dialled(tmp_path: Path) -> None:
    """Its host may be named: the address still has to be one that may be dialled."""
    async with Canary() as canary:
        receivers = {"receivers": ["127.0.0.1", canary.host], "attempts": 1}
        registry = Registry()
        async with registry.server() as server:
            registry.host = f"http://{canary.host}:{canary.port}"
            async with image_for(tmp_path, IMAGE, server, sections=HTTP, **receivers) as (service, image_id):
                inside = f"http://{canary.host}:{canary.port}/d"
                status, problem, _ = await service.call(
                    "POST", "/exports", json={"image": image_id, "url": inside}
                )
                assert status == 202 or problem["code"] == "url-invalid"
                if status == 202:
                    done = await ended(service, problem["id"])
                    assert done["verdict"]["code"] == "source-unreachable"
                done = await pushed(service, image_id, **in_registry(server))
                assert done["state"] in {"failed", "refused"}
                assert canary.accepted == 0


async def test_e01_e08_redirects_are_followed_nowhere(tmp_path: Path) -> None:
    """Neither to the inside nor in a circle: one request each, and the status is told."""
    async with Canary() as canary, putting(tmp_path, lambda _asked: None) as (service, image_id, server):
        for number, status in enumerate((301, 302, 303, 307, 308)):
            for place in (f"http://{canary.host}:{canary.port}/", "/d"):
                answer = Answer(status=status, headers={"Location": place})
                server.before = lambda _asked, a=answer: a  # type: ignore[misc] # bound to this answer by a default
                server.asked.clear()
                headers = {"X-Key": str(number)}
                done = await pushed(service, image_id, url=f"{server.base}/d", headers=headers)
                assert (done["state"], done["verdict"]["fields"]["status"]) == ("failed", status)
                assert len(server.asked) == 1
        assert canary.accepted == 0


async def test_e02_success_before_the_bytes_is_none(tmp_path: Path) -> None:
    """A receiver that says 201 at the head and hangs up has not got the image, whatever it says."""
    for kind in ("put", "s3"):
        (tmp_path / kind).mkdir()
        bucket = Bucket()

        def early(asked: Asked) -> Answer | None:
            return Answer(status=201, headers={"ETag": '"x"'}) if asked.method == "PUT" else None

        async with Server(bucket.handle, early) as server:
            body = LARGE  # More than sockets hold: else all of it is gone when the answer comes.
            async with image_for(tmp_path / kind, body, server, attempts=1) as (service, image_id):
                fields = bucket_of(server) if kind == "s3" else {"url": f"{server.base}/d"}
                done = await pushed(service, image_id, **fields)
                assert (done["state"], done["verdict"]["code"]) == ("failed", "bad-response"), done
                assert bucket.objects == {}


async def test_e03_a_receiver_that_reads_nothing_is_given_up(tmp_path: Path) -> None:
    """Silence after the head costs the attempt and no more."""
    async with putting(tmp_path, lambda _asked: b"") as (service, image_id, server):
        done = await pushed(service, image_id, url=f"{server.base}/d")
        assert done["verdict"]["code"] == "source-too-slow"
        assert left(service) == []


CHUNK = b"10000\r\n" + bytes(65_536) + b"\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK * 40
MUCH = {
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000,
    "head": b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "fields": b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 20_000 + b"\r\n",
    "other": b"220 mail.example ESMTP\r\n" * 100,
}


async def test_e04_e07_answers_without_end_are_cut_off(tmp_path: Path) -> None:
    """Heads, fields and interim answers: none is kept, and none holds the export."""
    async with putting(tmp_path, lambda _asked: None, stall_seconds=2.0) as (service, image_id, server):
        for text in MUCH.values():
            server.before = lambda _asked, t=text: t  # type: ignore[misc] # bound to this text by a default
            done = await pushed(service, image_id, url=f"{server.base}/d")
            assert done["state"] == "failed"
            assert done["verdict"]["code"] in {"bad-response", "source-unreachable", "source-too-slow"}
            assert len(str(done)) < 5_000


async def test_e04_bodies_of_answers_are_bounded(tmp_path: Path) -> None:
    """An answer that goes on and on is read up to a mebibyte."""
    bucket = Bucket()

    def endless(asked: Asked) -> bytes | None:
        return ENDLESS if asked.method == "POST" else None

    async with (
        Server(bucket.handle, endless) as server,
        image_for(tmp_path, LARGE, server, attempts=1, **PARTS) as (service, image_id),
    ):
        done = await pushed(service, image_id, **bucket_of(server))
        assert done["verdict"]["code"] == "bad-response"
        assert "longer than 1048576 bytes" in done["verdict"]["title"]


async def test_e07_a_trap_of_100_continue_changes_nothing(tmp_path: Path) -> None:
    """One interim answer is none; 417 and 101 are no success."""
    async with putting(tmp_path, lambda _asked: None) as (service, image_id, server):
        for status in (417, 101):
            text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
            server.before = lambda _asked, t=text: t  # type: ignore[misc] # likewise
            done = await pushed(service, image_id, url=f"{server.base}/d")
            assert done["state"] == "failed"
            assert "expect" not in server.asked[0].headers


async def test_e05_digests_that_lie_are_found_out(tmp_path: Path) -> None:
    """Of a blob, of a manifest, of what comes back: the export fails and says which."""
    lying = {"Docker-Content-Digest": f"sha256:{'0' * 64}"}
    cases: list[tuple[str, Answer, str]] = [
        ("PUT upload", Answer(status=201, headers=lying), "a blob's digest"),
        ("PUT manifest", Answer(status=201, headers=lying), "the manifest's digest"),
        ("GET manifest", Answer(body=b"{}"), "the manifest's digest"),
        ("GET blob", Answer(body=b"0" * len(IMAGE)), "the sha256"),
        ("GET blob", Answer(body=IMAGE[:-1]), "the size"),
        ("GET blob", Answer(body=IMAGE + b"0"), "the size"),
    ]
    registry = Registry()
    async with (
        registry.server() as server,
        image_for(tmp_path, IMAGE, server, sections=HTTP, attempts=1) as (service, image_id),
    ):
        for number, (key, answer, what) in enumerate(cases):
            registry.blobs.clear()
            registry.faults = {key: [answer]}
            done = await pushed(service, image_id, **in_registry(server, f"v{number}", verify=True))
            assert (done["state"], done["verdict"]["code"]) == ("failed", "receiver-mismatch"), (key, done)
            assert done["verdict"]["fields"]["what"] == what
            assert registry.uploads == {}


async def test_e05_a_bucket_with_another_digest_has_not_got_it(tmp_path: Path) -> None:
    """Of an object and of a part: what a server computed is compared, whatever its status."""
    bucket = Bucket()
    lie = Answer(headers={"ETag": '"x"', "x-amz-checksum-sha256": "AAAA"})
    bucket.faults = {"PUT": [lie], "PUT partNumber uploadId": [lie]}
    for body in (IMAGE, LARGE):
        folder = tmp_path / str(len(body))
        folder.mkdir()
        async with (
            bucket.server() as server,
            image_for(folder, body, server, attempts=1, **PARTS) as (service, image_id),
        ):
            done = await pushed(service, image_id, **bucket_of(server))
            assert (done["state"], done["verdict"]["code"]) == ("failed", "receiver-mismatch")
            assert bucket.uploads == {}


async def test_e06_a_login_goes_to_nobody_else(tmp_path: Path) -> None:
    """A registry that says that tokens, or the upload, are at another host gets no login sent there."""
    ground = Ground(tmp_path)
    context = trustme_context(ground)
    seen: list[Asked] = []

    async def token(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(body=b'{"token": "t"}')

    async with Server(token) as elsewhere, _tls_registry(context, elsewhere) as (server, registry):
        sections = {"tls": ground.trusted, "url": {"allow_literals": True}}
        async with image_for(tmp_path, IMAGE, server, elsewhere, sections=sections) as (service, image_id):
            url = f"oci://me:hush@127.0.0.1:{server.port}/disk:v1"
            done = await pushed(service, image_id, url=url)
            assert done["verdict"]["code"] == "registry-unusable"
            assert "to another host, or wants it without https" in done["verdict"]["title"]
            assert seen == []
            assert registry.manifests == {}
            assert all("authorization" not in asked.headers for asked in server.asked)


@asynccontextmanager
async def _tls_registry(context: Any, elsewhere: Server) -> AsyncIterator[tuple[Server, Registry]]:
    """A registry by https that sends everybody for tokens to somebody else."""
    registry = Registry()
    challenge = {"WWW-Authenticate": f'Bearer realm="{elsewhere.base}/token",service="x"'}

    def ask(_asked: Asked) -> Answer:
        return Answer(status=401, headers=challenge)

    server = Server(registry.handle, ask)
    server.tls = context
    async with server:
        yield server, registry


async def test_e09_an_upload_goes_on_elsewhere_only_where_something_may_be_sent(tmp_path: Path) -> None:
    """Another host that the operator named gets the bytes; one that nobody named is not asked."""
    registry = Registry()
    async with registry.server() as server, registry.server() as other:
        registry.host = other.base
        async with image_for(tmp_path, IMAGE, server, other, sections=HTTP) as (service, image_id):
            done = await pushed(service, image_id, **in_registry(server))
            assert done["state"] == "succeeded", done["verdict"]
            assert {asked.method for asked in other.asked} == {"PUT"}
            registry.blobs.clear()
            registry.host = "http://elsewhere.example"
            done = await pushed(service, image_id, **in_registry(server, "v2"))
            assert (done["state"], done["verdict"]["code"]) == ("refused", "receiver-forbidden")
            assert "elsewhere.example" in done["verdict"]["title"]


async def test_e10_a_registry_that_claims_blobs_is_sent_them_all_the_same(tmp_path: Path) -> None:
    """What it says to have is believed until the manifest is refused, and never of another size."""
    registry = Registry()
    claims = Answer(headers={"Content-Length": str(len(IMAGE))})
    small = Answer(headers={"Content-Length": "1"})
    async with (
        registry.server() as server,
        image_for(tmp_path, IMAGE, server, sections=HTTP) as (service, image_id),
    ):
        registry.faults["HEAD blob"] = [claims]
        done = await pushed(service, image_id, **in_registry(server))
        assert done["state"] == "succeeded", done["verdict"]
        assert IMAGE in registry.blobs.values()
        assert len(done["attempts"]) == 2
        registry.blobs.clear()
        registry.faults["HEAD blob"] = [small]
        done = await pushed(service, image_id, **in_registry(server, "v2"))
        assert (done["state"], len(done["attempts"])) == ("succeeded", 1), done["verdict"]


async def test_e11_what_a_receiver_says_is_kept_short_and_without_secrets(tmp_path: Path) -> None:
    """Places with signatures, long values and codes of terminals: in no answer, no list and no trail."""
    fields = {
        "ETag": '"' + "e" * 5_000 + '"',
        "Location": "https://u:pw@x.example/o?X-Amz-Signature=sssecret&token=sssecret",
        "x-amz-version-id": "v\x7f\t<b>" + "\u00e9",
        "Set-Cookie": "sssecret=1",
        "X-Secret": "sssecret",
    }

    async def take(_asked: Asked) -> Answer:
        return Answer(headers=fields)

    async with Server(take) as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        done = await pushed(service, image_id, url=f"{server.base}/d")
        assert set(done["answer"]) <= {"status", "etag", "location", "x-amz-version-id"}
        text = json.dumps(done, ensure_ascii=False)
        assert "sssecret" not in text
        assert "pw@" not in text
        assert text.isprintable()
        assert len(text) < 5_000


async def test_e12_exports_are_for_their_project_alone(tmp_path: Path) -> None:
    """Another project neither sends our images nor sees, follows or cancels our exports."""
    tokens = [
        {"sha256": _digest(f"token of {who}"), "project": who, "user": who, "roles": ["member"]}
        for who in ("alice", "bob")
    ]
    sections = {"auth": {"mode": "tokens", "tokens": tokens}}
    async with (
        Server(refuse, lambda _asked: b"") as server,
        sender(tmp_path, server, sections=sections) as service,
    ):
        alice, bob = ({"X-Auth-Token": f"token of {who}"} for who in ("alice", "bob"))
        record = {"disk_format": "raw", "container_format": "bare"}
        _, image, _ = await service.call("POST", "/v2/images", json=record, headers=alice)
        octets = {"Content-Type": "application/octet-stream"}
        await service.call(
            "PUT", f"/v2/images/{image['id']}/file", data=LARGE[:5_000], headers=alice | octets
        )
        body = {"image": image["id"], "url": f"{server.base}/d"}
        status, export, _ = await service.call("POST", "/exports", json=body, headers=alice)
        assert status == 202, export
        status, _, _ = await service.call("POST", "/exports", json=body, headers=bob)
        assert status == 404
        for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            status, _, _ = await service.call(method, f"/exports/{export['id']}{path}", headers=bob)
            assert status == 404
        _, listed, _ = await service.call("GET", "/exports", headers=bob)
        assert listed["exports"] == []


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def test_e13_waits_of_years_are_clamped(tmp_path: Path) -> None:
    """A receiver may ask for patience, not for a place in the queue for ever."""

    async def busy(_asked: Asked) -> Answer:
        return Answer(status=503, headers={"Retry-After": "99999999"})

    async with Server(busy) as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        export = await push(service, image_id, f"{server.base}/d")
        async with service.client.get(f"/exports/{export['id']}/events") as answer:
            async for line in answer.content:
                if line.startswith(b"data: ") and json.loads(line[6:])["state"] == "waiting":
                    waits = [one["wait_seconds"] for one in json.loads(line[6:])["attempts"]]
                    break
        assert waits == [120.0]
        status, _, _ = await service.call("DELETE", f"/exports/{export['id']}")
        assert status == 204


async def test_e14_a_killed_process_goes_on_and_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL between two parts: the next process sends the rest, and no upload is left unfinished."""
    bucket, stuck = Bucket(), asyncio.Event()

    async def honest(asked: Asked) -> Answer:
        return bucket.answer(asked)

    async def hang(_asked: Asked) -> Answer:
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    bucket.faults["PUT partNumber uploadId"] = [honest, hang]
    async with bucket.server() as server:
        async with image_for(tmp_path, LARGE, server, **PARTS) as (service, image_id):
            config = service.config
        async with Process(config) as process:
            body = {"image": image_id, **bucket_of(server)}
            status, export = await process.call("POST", "/exports", json=body)
            assert status == 202, export
            await stuck.wait()
            await process.kill()
            await process.start()
            while True:
                _, done = await process.call("GET", f"/exports/{export['id']}")
                if done["ended_at"] is not None:
                    break
                await asyncio.sleep(0.02)
        assert done["state"] == "succeeded", done["verdict"]
        assert bucket.objects == {"/images/a/disk.img": LARGE}
        assert bucket.uploads == {}
        numbers = [asked.query["partNumber"] for asked in server.asked if "partNumber" in asked.query]
        assert numbers == ["1", "2", "2", "3"]
