"""Damaged bytes that were unpacked or converted: the same stages bring the same bytes back."""

from pathlib import Path
from typing import Any

import pytest

from fetcher.maintenance.repair import ELSEWHERE, Way, ways
from tests.images import qcow2
from tests.importer.stages.test_converting import DISK, image_of
from tests.importer.stages.test_unpacking import bytes_of
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.lab.registry import digest_of, file_layer
from tests.lab.registry import image as image_of_layers
from tests.lab.registry import index as index_of
from tests.maintenance.test_service import LATER, parts, rot
from tests.service import Running
from tests.unpack.making import make_disk, make_tar, make_zip, pack

TO_RAW = {"convert": {"target": "raw"}}
AS_IT_IS: dict[str, Any] = {}
SECOND = make_disk(2 << 20, seed=8)


def published(kind: str, folder: Path) -> tuple[bytes, bytes, dict[str, Any], dict[str, Any]]:
    """Return what is published, what is kept of it, and the fields and settings that make it so."""
    image = image_of(folder, DISK, "qcow2")
    vhdx = image_of(folder, DISK, "vhdx")
    archive = make_tar([("a.raw", DISK), ("b.raw", SECOND)])
    return {
        "raw.xz": (pack("xz", DISK), DISK, {"disk_format": "raw"}, AS_IT_IS),
        "qcow2.zip": (make_zip([("x.qcow2", image)]), image, {}, AS_IT_IS),
        "one of two": (archive, SECOND, {"disk": "b.raw"}, AS_IT_IS),
        "qcow2 to raw": (image, DISK, {}, TO_RAW),
        "qcow2.gz to raw": (pack("gzip", image), DISK, {}, TO_RAW),
        "vhdx.zst to raw": (pack("zstd", vhdx), DISK, {}, TO_RAW),
    }[kind]


KINDS = ["raw.xz", "qcow2.zip", "one of two", "qcow2 to raw", "qcow2.gz to raw", "vhdx.zst to raw"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_stages_bring_it_back(kind: str, tmp_path: Path) -> None:
    """Whatever was done to the received bytes is done once more, and the kept digest tells."""
    body, kept, fields, sections = published(kind, tmp_path)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **sections) as service,
    ):
        ended = await service.run(url=origin.url("/x"), **{"disk_format": None, **fields})
        assert ended["state"] == "succeeded", ended["verdict"]
        maintenance, store = parts(service)
        rot(store.blob_path(ended["digests"]["sha256"]))
        assert (await maintenance.scrub(before=LATER))["corrupt"] == 1
        assert await maintenance.repair() == 1
        assert await bytes_of(service, ended) == kept
        assert len(service.traces()) == 1


async def test_another_body_brings_nothing_back(tmp_path: Path) -> None:
    """A source that has another image by now is told as the reason, and leaves no trace."""
    bodies = [pack("gzip", qcow2(1 << 30, clusters=20, seed=seed)) for seed in (1, 2)]
    turns = behaviours.in_turn(*[behaviours.serve(body) for body in bodies])
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        maintenance, store = parts(service)
        rot(store.blob_path(ended["digests"]["sha256"]))
        await maintenance.scrub(before=LATER)
        assert await maintenance.repair() == 0
        found = await service.service.app.state.services.index.maintenance.find(ended["digests"]["sha256"])
        assert found.note.startswith(origin.url("/x"))
        assert len(service.traces()) == 1


class Bucket:
    """Gives objects out to everybody, or to those alone who sign."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.is_public = True

    async def __call__(self, exchange: Exchange) -> None:
        is_signed = exchange.request.header("Authorization") is not None
        if self.is_public or is_signed:
            await behaviours.serve(self.body)(exchange)
            return
        error = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
        await behaviours.status(403, {"Content-Type": "application/xml"}, error)(exchange)


async def test_a_public_object_of_a_bucket_is_brought_back(tmp_path: Path) -> None:
    """At the endpoint that the submitter named; what keys opened is told to be imported once more."""
    bucket = Bucket(DISK)
    async with Origin({"*": bucket}) as origin, Running(tmp_path, origin) as service:
        place = {"endpoint": f"http://127.0.0.1:{origin.port}", "region": "eu-west-1"}
        ended = await service.run(url="s3://images/x.img", s3=place)
        assert ended["state"] == "succeeded", ended["verdict"]
        sha256 = ended["digests"]["sha256"]
        maintenance, store = parts(service)
        rot(store.blob_path(sha256))
        await maintenance.scrub(before=LATER)
        bucket.is_public = False
        assert await maintenance.repair() == 0
        index = service.service.app.state.services.index
        assert "s3://images/x.img: " in (await index.maintenance.find(sha256)).note
        bucket.is_public = True
        assert await maintenance.repair() == 1
        assert await bytes_of(service, ended) == DISK
        bucket.is_public, bucket.body = False, SECOND
        keys = {"access_key_id": "AKIALAB", "secret_access_key": "hush"}
        ended = await service.run(url="s3://images/y.img", s3={**place, **keys})
        assert ended["state"] == "succeeded", ended["verdict"]
        told = await service.get(f"/imports/{ended['id']}/provenance")
        assert told["submitted"]["source"]["anonymous"] is False
        assert "AKIALAB" not in str(told)
        rot(store.blob_path(ended["digests"]["sha256"]))
        await maintenance.scrub(before=LATER)
        assert await maintenance.repair() == 0
        found = await index.maintenance.find(ended["digests"]["sha256"])
        assert found.note == ELSEWHERE.format(url="s3://images/y.img")


async def test_a_disk_of_an_open_registry_is_brought_back(tmp_path: Path) -> None:
    """For the architecture that was asked for; where the tag has moved on, nothing is."""
    one, two = file_layer(DISK, "one.raw"), file_layer(SECOND, "two.raw")
    many = index_of({"amd64": image_of_layers(one), "arm64": image_of_layers(two)})
    routes = {f"/v2/d/blobs/{digest_of(layer.data)}": behaviours.serve(layer.data) for layer in (one, two)}
    routes |= {
        f"/v2/d/manifests/{digest_of(manifest)}": behaviours.serve(manifest)
        for manifest in map(image_of_layers, (one, two))
    }
    routes["/v2/d/manifests/v1"] = behaviours.serve(many)
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, oci={"insecure_hosts": ["127.0.0.1"]}) as service,
    ):
        url = f"oci://127.0.0.1:{origin.port}/d:v1"
        ended = await service.run(url=url, properties={"hw_architecture": "aarch64"})
        assert ended["state"] == "succeeded", ended["verdict"]
        maintenance, store = parts(service)
        rot(store.blob_path(ended["digests"]["sha256"]))
        await maintenance.scrub(before=LATER)
        for manifest, brought in ((image_of_layers(one), 0), (many, 1)):
            origin.routes["/v2/d/manifests/v1"] = behaviours.serve(manifest)
            assert await maintenance.repair() == brought
        assert await bytes_of(service, ended) == SECOND


def test_what_was_done_is_read_from_the_newest_story() -> None:
    """A story without stages says that bytes were kept as they came."""
    unpacked = {"received": {"bytes": 5}, "unpacked": {}}
    stories = [
        {"submitted": {"url": "a"}, "stages": unpacked},
        {"submitted": {"url": "a"}, "stages": {}},
        {"submitted": {"url": "b"}},
    ]
    assert ways(stories) == {"a": Way(received_bytes=5, is_unpacked=True), "b": Way()}
