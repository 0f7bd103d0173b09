"""A guard that is registered refuses on every path that bytes can take, and is told of everywhere."""

import gzip
import hashlib
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fetcher.cli.exits import Exit
from fetcher.guards import registry
from fetcher.guards.spec import Purpose
from tests.api.image_v2.cloud import OCTETS, Cloud
from tests.cli.conftest import Fetcher, fetcher
from tests.guards.toy import REASON, WORD, Toy
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.maintenance.test_service import LATER, parts, rot
from tests.service import Running

__all__ = ["fetcher"]  # The fixture; pytest finds it by its name.

BODY = raw(150_000) + WORD + raw(150_000, seed=1)
Register = Callable[[], None]
Path_ = Callable[[Path, Register, Fetcher], Awaitable[None]]


def assert_refused(ended: dict[str, Any]) -> None:
    """The import ended by the toy guard's verdict."""
    assert ended["verdict"]["code"] == "format-unsafe", ended
    assert ended["verdict"]["fields"]["reason"] == REASON


async def pull(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """A URL is submitted to a server."""
    register()
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(folder, origin) as service:
        assert_refused(await service.run(url=origin.url("/x")))
        assert service.traces() == []


async def parallel_pull(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """A URL is pulled over several connections at once."""
    register()
    ranges = {"min_bytes": 0, "segment_bytes": 65_536, "patience_seconds": 0.0}
    serving = behaviours.serve(BODY, etag='"v1"')
    async with Origin({"/x": serving}) as origin, Running(folder, origin, ranges=ranges) as service:
        assert_refused(await service.run(url=origin.url("/x")))
        assert service.traces() == []


async def packed_pull(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """The word is inside what a URL has packed."""
    register()
    serving = behaviours.serve(gzip.compress(BODY))
    async with Origin({"/x": serving}) as origin, Running(folder, origin) as service:
        assert_refused(await service.run(url=origin.url("/x")))
        assert service.traces() == []


async def packing(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """The word is in the packing itself: the name of the file that a gzip header gives."""
    packed = io.BytesIO()
    with gzip.GzipFile(WORD.decode(), "wb", fileobj=packed) as file:
        file.write(raw(300_000))
    register()
    serving = behaviours.serve(packed.getvalue())
    async with Origin({"/x": serving}) as origin, Running(folder, origin) as service:
        assert_refused(await service.run(url=origin.url("/x")))
        assert service.traces() == []


async def resumed_pull(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """A connection breaks off in the middle of the word."""
    register()
    half = behaviours.cut(BODY, 150_004, fields={"ETag": '"v1"', "Accept-Ranges": "bytes"})
    turns = behaviours.in_turn(half, behaviours.serve(BODY, etag='"v1"'))
    async with Origin({"/x": turns}) as origin, Running(folder, origin) as service:
        assert_refused(await service.run(url=origin.url("/x")))
        assert service.traces() == []


async def local_pull(folder: Path, register: Register, fetcher: Fetcher) -> None:
    """The command pulls a URL without a server."""
    register()
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        running = Running(folder, origin)
        running.write_config()
        arguments = ("pull", origin.url("/x"), "--config", running.config, "--disk-format", "raw", "--json")
        result = await fetcher(*arguments)
    assert result.code == Exit.REFUSED
    assert_refused(result.json)


async def replay(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """An earlier process left the bytes, and the guard is new."""
    fields = {"ETag": '"v1"', "Accept-Ranges": "bytes", "Content-Length": len(BODY)}
    turns = behaviours.in_turn(
        behaviours.stall(BODY, 200_000, fields=fields), behaviours.serve(BODY, etag='"v1"')
    )
    often = {"resume": {"checkpoint_bytes": 65_536, "mark_bytes": 65_536}, "store": {"write_bytes": 4096}}
    async with Origin({"/x": turns}) as origin:
        async with Running(folder, origin, **often) as service:
            made = await service.submit(url=origin.url("/x"))
            async for _name, document in service.events(made["id"]):
                if document["progress"]["received_bytes"] >= 200_000:
                    break
        register()
        async with Running(folder, origin, **often) as service:
            assert_refused(await service.ended(made["id"]))
            assert service.traces() == []
        assert len(origin.requests) == 1  # The bytes were refused before anybody was asked for more.


async def revalidation(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """The source says that what is in the store is still what it has."""
    serving, reuse = behaviours.serve(BODY, etag='"v1"'), {"revalidate": "everybody"}
    async with Origin({"/x": serving}) as origin, Running(folder, origin, reuse=reuse) as service:
        assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        register()
        assert_refused(await service.run(url=origin.url("/x")))
        assert origin.requests[1].header("If-None-Match") == '"v1"'
        assert origin.sent_bytes == len(BODY)


async def upload(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """A client sends the bytes of an image."""
    await send(folder, register, "file")


async def stage(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """A client sends bytes that it imports later."""
    await send(folder, register, "stage")


async def send(folder: Path, register: Register, where: str) -> None:
    register()
    async with Cloud(folder) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}/{where}"
        status, document, _headers = await cloud.ask(
            "alice", "PUT", path, data=io.BytesIO(BODY), headers=OCTETS
        )
        assert (status, document["error"]["type"]) == (400, "format-unsafe"), document
        assert cloud.traces() == []


async def repair(folder: Path, register: Register, _fetcher: Fetcher) -> None:
    """Bytes that the disk lost are pulled again."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(folder, origin) as service:
        assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        maintenance, store = parts(service)
        name = hashlib.sha256(BODY).hexdigest()
        rot(store.blob_path(name))
        await maintenance.scrub(before=LATER)
        register()
        assert await maintenance.repair() == 0
        blob = await service.service.app.state.services.index.maintenance.find(name)
        assert REASON in blob.note


async def inspect_file(folder: Path, register: Register, fetcher: Fetcher) -> None:
    """The command looks at a file."""
    register()
    (folder / "x").write_bytes(BODY)
    result = await fetcher("inspect", folder / "x", "--disk-format", "raw", "--json")
    assert result.code == Exit.REFUSED
    assert_refused(result.json)


async def inspect_url(folder: Path, register: Register, fetcher: Fetcher) -> None:
    """The command looks at what a URL has."""
    register()
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        running = Running(folder, origin)
        running.write_config()
        arguments = (origin.url("/x"), "--config", running.config, "--disk-format", "raw", "--json")
        result = await fetcher("inspect", *arguments)
    assert result.code == Exit.REFUSED
    assert_refused(result.json)


async def convert(folder: Path, register: Register, fetcher: Fetcher) -> None:
    """The command converts an image."""
    register()
    (folder / "x").write_bytes(BODY)
    arguments = (folder / "x", folder / "y", "--to", "qcow2", "--disk-format", "raw", "--json")
    result = await fetcher("convert", *arguments)
    assert result.code == Exit.REFUSED
    assert result.json["error"]["fields"]["reason"] == REASON
    assert not (folder / "y").exists()


PATHS: list[tuple[Path_, Purpose]] = [
    (pull, Purpose.PULL),
    (parallel_pull, Purpose.PULL),
    (resumed_pull, Purpose.PULL),
    (packed_pull, Purpose.PULL),
    (packing, Purpose.PACKED),
    (local_pull, Purpose.PULL),
    (replay, Purpose.REPLAY),
    (revalidation, Purpose.REVALIDATION),
    (upload, Purpose.UPLOAD),
    (stage, Purpose.STAGE),
    (repair, Purpose.REPAIR),
    (inspect_file, Purpose.INSPECT),
    (inspect_url, Purpose.INSPECT),
    (convert, Purpose.CONVERT),
]
# Paths on which a peer is waited for, so that guards of one attempt have something to judge.
ATTEMPTS: list[Path_] = [pull, local_pull, upload, stage, repair, inspect_url]


@pytest.mark.parametrize(("path", "purpose"), PATHS, ids=[path.__name__ for path, _purpose in PATHS])
async def test_a_toy_guard_refuses_on_every_path(
    path: Path_, purpose: Purpose, tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One registration is all it takes, whichever way bytes come."""
    toy = Toy()
    await path(
        tmp_path,
        lambda: monkeypatch.setattr(registry, "GUARDS", (*registry.GUARDS, toy.spec)),
        fetcher,
    )
    assert purpose in toy.purposes


@pytest.mark.parametrize("path", ATTEMPTS, ids=[path.__name__ for path in ATTEMPTS])
async def test_a_guard_of_one_attempt_refuses_wherever_a_peer_is_waited_for(
    path: Path_, tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What judges connections instead of bodies is on every path that has one."""
    toy = Toy(per_attempt=True)
    await path(
        tmp_path,
        lambda: monkeypatch.setattr(registry, "GUARDS", (*registry.GUARDS, toy.spec)),
        fetcher,
    )
    assert toy.purposes


def test_every_purpose_has_a_path() -> None:
    """Whoever adds a purpose shows that guards refuse there."""
    assert {purpose for _path, purpose in PATHS} == set(Purpose)


async def test_a_toy_guard_is_told_of_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovery, page, provenance and submission know it by its registration alone."""
    toy = Toy()
    monkeypatch.setattr(registry, "GUARDS", (*registry.GUARDS, toy.spec))
    async with Origin({"/x": behaviours.serve(raw(5000))}) as origin, Running(tmp_path, origin) as service:
        assert (await service.get("/limits"))["limits"]["toy_word_bytes"]["guard"] == "toy"
        status, page, _headers = await service.call("GET", "/page/limits")
        assert status == 200
        assert "Toys" in page
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert "toy" in story["guards"]
        assert story["limits"]["toy_word_bytes"] == len(WORD)
        status, document, _headers = await service.call(
            "POST", "/imports", json={"url": origin.url("/x"), "name": "toy"}
        )
        assert (status, document["code"]) == (400, "request-invalid"), document
