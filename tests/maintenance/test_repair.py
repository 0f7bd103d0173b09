"""Damaged bytes that were unpacked or converted: the same stages bring the same bytes back."""

from pathlib import Path
from typing import Any

import pytest

from fetcher.maintenance.repair import Way, ways
from tests.images import qcow2
from tests.importer.stages.test_converting import DISK, image_of
from tests.importer.stages.test_unpacking import bytes_of
from tests.lab import behaviours
from tests.lab.origin import Origin
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
        upkeep, store = parts(service)
        rot(store.blob_path(ended["digests"]["sha256"]))
        assert (await upkeep.scrub(before=LATER))["rotten"] == 1
        assert await upkeep.mend() == 1
        assert await bytes_of(service, ended) == kept
        assert len(service.traces()) == 1


async def test_another_body_brings_nothing_back(tmp_path: Path) -> None:
    """A source that has another image by now is told as the reason, and leaves no trace."""
    bodies = [pack("gzip", qcow2(1 << 30, clusters=20, seed=seed)) for seed in (1, 2)]
    turns = behaviours.in_turn(*[behaviours.serve(body) for body in bodies])
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        upkeep, store = parts(service)
        rot(store.blob_path(ended["digests"]["sha256"]))
        await upkeep.scrub(before=LATER)
        assert await upkeep.mend() == 0
        found = await service.service.app.state.services.index.maintenance.find(ended["digests"]["sha256"])
        assert found.note.startswith(origin.url("/x"))
        assert len(service.traces()) == 1


def test_what_was_done_is_read_from_the_newest_story() -> None:
    """A story without stages says that bytes were kept as they came."""
    unpacked = {"received": {"bytes": 5}, "unpacked": {}}
    stories = [
        {"submitted": {"url": "a"}, "stages": unpacked},
        {"submitted": {"url": "a"}, "stages": {}},
        {"submitted": {"url": "b"}},
    ]
    assert ways(stories) == {"a": Way(received_bytes=5, is_unpacked=True), "b": Way()}
