"""A registry that lies, wanders and asks too much: nothing of what it says is believed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Behaviour, Exchange, Origin
from tests.lab.registry import Layer, container_disk, digest_of, file_layer, image, index
from tests.service import Running

LAYER = Layer(data=container_disk(qcow2(clusters=4)))
BLOB = f"/v2/disk/blobs/{digest_of(LAYER.data)}"
MANIFEST = "/v2/disk/manifests/v1"
HTTP = {"insecure_hosts": ["127.0.0.1"]}


def routes(manifest: bytes = image(LAYER), **more: Behaviour) -> dict[str, Behaviour]:
    """An honest registry, but for what is given."""
    honest = {MANIFEST: behaviours.serve(manifest), BLOB: behaviours.serve(LAYER.data)}
    return honest | more


def shown(origin: Origin, login: str = "") -> str:
    return f"oci://{login}{origin.host}:{origin.port}/disk:v1"


def challenge(realm: str, kind: str = "Bearer") -> dict[str, str]:
    return {"WWW-Authenticate": f'{kind} realm="{realm}",service="lab",scope="repository:other:push,pull"'}


def wanting(token: str, realm: str, then: Behaviour) -> Behaviour:
    """Answer only who shows a token; others are told where it is."""

    async def behave(exchange: Exchange) -> None:
        known = exchange.request.header("Authorization") == f"Bearer {token}"
        await (then if known else behaviours.status(401, challenge(realm)))(exchange)

    return behave


def giving(*tokens: str) -> Behaviour:
    """Give one token after the other."""
    answers = [behaviours.serve(json.dumps({"token": token}).encode()) for token in tokens]
    return behaviours.in_turn(*answers)


MANIFESTS: list[tuple[str, bytes, str]] = [
    ("none", b"<html>", "no JSON"),
    ("nested", b"[" * 100_000, "no JSON"),
    ("old", b'{"schemaVersion": 1, "fsLayers": []}', "of a kind that is not read"),
    ("large", b'{"layers": []}' + b" " * 5_000_000, "larger than 4,194,304 bytes"),
    ("empty", b'{"layers": []}', "no layers"),
    ("many", image(*[LAYER] * 129), "more than 128 layers"),
    ("no digest", b'{"layers": [{"size": 1}]}', "without a size or a digest"),
    ("other digest", b'{"layers": [{"size": 1, "digest": "md5:00"}]}', "without a size or a digest"),
    (
        "negative",
        b'{"layers": [{"size": -1, "digest": "' + digest_of(b"").encode() + b'"}]}',
        "without a size",
    ),
    ("not one", b'{"layers": [7]}', "without a size or a digest"),
    ("path", b'{"layers": [{"size": 1, "digest": "sha256:../../x"}]}', "without a size or a digest"),
    ("foreign", index({"riscv": image(LAYER)}), "no image for the architecture amd64"),
    ("unclear", image(file_layer(b"a", "a.txt"), file_layer(b"b", "b.txt")), "does not tell which"),
    ("unknown", index({"unknown": image(LAYER)}), "no image for the architecture"),
]


@pytest.mark.parametrize(
    ("manifest", "reason"), [row[1:] for row in MANIFESTS], ids=[row[0] for row in MANIFESTS]
)
async def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes, reason: str) -> None:
    """With what is wrong; no blob is asked for, and nothing is left."""
    async with Origin(routes(manifest)) as origin, Running(tmp_path, origin, oci=HTTP) as service:
        ended = await service.run(url=shown(origin))
        assert ended["verdict"]["code"] == "registry-unusable"
        assert reason in ended["verdict"]["title"]
        assert not [request for request in origin.requests if "/blobs/" in request.path]
        assert service.traces() == []


async def test_an_index_that_leads_on_and_on_is_left(tmp_path: Path) -> None:
    """Two manifests are read, not a chain of them; each is the one that was named."""
    inner = index({"amd64": image(LAYER)})
    outer = index({"amd64": inner})
    lying = index({"amd64": image(LAYER)})
    paths = {
        f"/v2/disk/manifests/{digest_of(inner)}": behaviours.serve(inner),
        f"/v2/disk/manifests/{digest_of(image(LAYER))}": behaviours.serve(image(LAYER, LAYER)),
    }
    async with Origin(routes(outer, **paths)) as origin, Running(tmp_path, origin, oci=HTTP) as service:
        ended = await service.run(url=shown(origin))
        assert "leads to another index" in ended["verdict"]["title"]
        origin.routes[MANIFEST] = behaviours.serve(lying)
        ended = await service.run(url=shown(origin))
        assert "another manifest than the one named" in ended["verdict"]["title"]


async def test_a_blob_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    """However right it looks; one that is said to be too large is not asked for."""
    other = container_disk(qcow2(clusters=4, seed=5))
    async with (
        Origin(routes(**{BLOB: behaviours.serve(other)})) as origin,
        Running(tmp_path, origin, oci=HTTP) as service,
    ):
        ended = await service.run(url=shown(origin), disk_format="qcow2")
        assert ended["verdict"]["code"] == "checksum-mismatch"
        assert service.traces() == []
        before = len(origin.requests)
        ended = await service.run(url=shown(origin), max_bytes=100)
        assert ended["verdict"]["code"] == "too-many-bytes"
        assert len(origin.requests) == before + 1


async def test_a_blob_may_be_elsewhere_and_gets_no_login(tmp_path: Path) -> None:
    """Registries send to the storage of a cloud, whose own signature the token would break."""
    async with Origin({"/blob": behaviours.serve(LAYER.data)}, host="127.0.0.3") as far, Origin() as origin:
        origin.routes |= {
            MANIFEST: wanting("t1", origin.url("/token"), behaviours.serve(image(LAYER))),
            BLOB: wanting("t1", origin.url("/token"), behaviours.redirect(far.url("/blob"), code=307)),
            "/token": giving("t1"),
        }
        async with Running(tmp_path, origin, far, oci=HTTP) as service:
            ended = await service.run(url=shown(origin), disk_format="qcow2")
            assert ended["state"] == "succeeded", ended["verdict"]
        assert far.requests[0].header("Authorization") is None
        assert (
            "scope=repository%3Adisk%3Apull" in next(r for r in origin.requests if r.path == "/token").target
        )


async def test_a_token_that_expires_is_asked_for_anew(tmp_path: Path) -> None:
    """An attempt that goes on an hour later has a token of its own."""
    parts = behaviours.cut(LAYER.data, 100_000, fields={"ETag": '"1"'})
    async with Origin() as origin:
        origin.routes |= {
            MANIFEST: wanting("t1", origin.url("/token"), behaviours.serve(image(LAYER))),
            BLOB: behaviours.in_turn(
                wanting("t1", origin.url("/token"), parts),
                wanting("t2", origin.url("/token"), parts),
            ),
            "/token": giving("t1", "t2"),
        }
        async with Running(tmp_path, origin, oci=HTTP) as service:
            ended = await service.run(url=shown(origin), disk_format="qcow2")
            assert ended["state"] == "succeeded", ended["verdict"]
            assert len([r for r in origin.requests if r.path == "/token"]) == 2


async def test_a_registry_that_accepts_no_token_is_asked_no_more(tmp_path: Path) -> None:
    """Two questions and one token: no loop, and words that say what to give."""
    async with Origin() as origin:
        origin.routes |= {
            MANIFEST: behaviours.status(401, challenge(origin.url("/token"))),
            "/token": giving("t"),
        }
        async with Running(tmp_path, origin, oci=HTTP) as service:
            ended = await service.run(url=shown(origin))
            assert ended["verdict"]["code"] == "registry-unusable"
            assert [request.path for request in origin.requests] == [MANIFEST, "/token", MANIFEST]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"token": 7}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX: y"}',
        b"[" * 70_000,
    ],
    ids=["page", "list", "none", "number", "blank", "smuggled", "deep"],
)
async def test_a_token_that_is_none_is_sent_nowhere(tmp_path: Path, answer: bytes) -> None:
    """Whatever the service of tokens says instead."""
    async with Origin() as origin:
        origin.routes |= {
            MANIFEST: behaviours.status(401, challenge(origin.url("/token"))),
            "/token": behaviours.serve(answer),
        }
        async with Running(tmp_path, origin, oci=HTTP) as service:
            ended = await service.run(url=shown(origin))
            assert ended["verdict"]["code"] == "registry-unusable"
            assert len(origin.requests) == 2


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "registry-unusable"),
        ({"WWW-Authenticate": "Bearer"}, "registry-unusable"),
        ({"WWW-Authenticate": 'Negotiate realm="http://x/"'}, "registry-unusable"),
        ({"WWW-Authenticate": 'Bearer realm="' + "x" * 20_000 + '"'}, "registry-unusable"),
        ({"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}, "url-invalid"),
        ({"WWW-Authenticate": 'Bearer realm="http://127.0.0.2/token"'}, "url-invalid"),
        ({"WWW-Authenticate": 'Bearer realm="http://metadata.internal/token"'}, "url-invalid"),
    ],
    ids=["none", "bare", "other", "long", "file", "loopback", "inner"],
)
async def test_a_realm_is_a_strangers_url(tmp_path: Path, headers: dict[str, str], code: str) -> None:
    """It goes through every check of a submitted one."""
    async with (
        Origin({MANIFEST: behaviours.status(401, headers)}) as origin,
        Running(tmp_path, origin, oci=HTTP) as service,
    ):
        ended = await service.run(url=shown(origin))
        assert ended["verdict"]["code"] == code
        assert len(origin.requests) == 1


async def test_a_login_goes_where_it_belongs_alone(tmp_path: Path) -> None:
    """By https to the registry's own host, and to those that the operator names; never by http."""
    authorities = Authorities()
    tls: Any = authorities.good("127.0.0.1", "127.0.0.3")
    async with Origin({"*": giving("t1")}, host="127.0.0.3", tls=tls) as far, Origin(tls=tls) as origin:
        origin.routes |= {
            MANIFEST: wanting("t1", far.url("/token"), behaviours.serve(image(LAYER))),
            BLOB: behaviours.serve(LAYER.data),
        }
        trust = authorities.trusted(tmp_path)
        async with Running(tmp_path, origin, far, tls=trust) as service:
            ended = await service.run(url=shown(origin, "user:hush@"), disk_format="qcow2")
            assert ended["verdict"]["code"] == "registry-unusable"
            assert "oci.token_hosts" in ended["verdict"]["advice"]
            assert far.requests == []
            ended = await service.run(url=shown(origin), disk_format="qcow2")
            assert ended["state"] == "succeeded", ended["verdict"]
            assert far.requests[0].header("Authorization") is None
            before = len(origin.requests)
            headers = {"Authorization": "Bearer t1"}
            ended = await service.run(url=shown(origin), headers=headers, disk_format="qcow2")
            assert ended["state"] == "succeeded", ended["verdict"]
            assert [r.path for r in origin.requests[before:]] == [MANIFEST, BLOB]
        (tmp_path / "named").mkdir()
        named = {"token_hosts": ["127.0.0.3"]}
        async with Running(tmp_path / "named", origin, far, tls=trust, oci=named) as service:
            ended = await service.run(url=shown(origin, "user:hush@"), disk_format="qcow2")
            assert ended["state"] == "succeeded", ended["verdict"]
            assert (far.requests[-1].header("Authorization") or "").startswith("Basic ")
            assert not [r for r in origin.requests if (r.header("Authorization") or "").startswith("Basic ")]
    async with Origin(routes()) as origin, Running(tmp_path, origin, oci=HTTP) as service:
        status, told, _ = await service.call("POST", "/imports", json={"url": shown(origin, "user:hush@")})
        assert (status, told["code"]) == (400, "request-invalid")
        assert origin.requests == []


async def test_a_manifest_that_never_arrives_ends(tmp_path: Path) -> None:
    """The time that a chain of requests has is all there is."""
    stalled = {MANIFEST: behaviours.stall(image(LAYER), 10)}
    quick = {"pace": {"chain_seconds": 0.3}, "retry": {"attempts": 1}}
    async with Origin(stalled) as origin, Running(tmp_path, origin, oci=HTTP, **quick) as service:
        ended = await service.run(url=shown(origin))
        assert ended["verdict"]["code"] == "source-too-slow"


async def test_a_registry_that_is_overloaded_is_asked_again(tmp_path: Path) -> None:
    """503 and 429 of a manifest pass with time, as they do of the bytes."""
    busy = behaviours.in_turn(behaviours.status(503), behaviours.status(429), behaviours.serve(image(LAYER)))
    async with Origin(routes(**{MANIFEST: busy})) as origin, Running(tmp_path, origin, oci=HTTP) as service:
        ended = await service.run(url=shown(origin), disk_format="qcow2")
        assert ended["state"] == "succeeded", ended["verdict"]
