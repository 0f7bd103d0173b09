"""A stage is one file and one registration; nothing else in the importer knows it by name."""

import gzip
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fetcher.importer.stages import registry
from fetcher.importer.stages.stage import Stage
from tests.api.image_v2.cloud import OCTETS, Cloud
from tests.images import raw
from tests.importer.stages.test_converting import DISK, TO_RAW, image_of
from tests.importer.stages.toy import REASON, WORD, Toy
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ROOT = Path(__file__).parents[3]
GOOD = raw(5000)
BAD = raw(3000) + WORD + raw(3000, seed=1)
BAD_DISK = DISK[:-4096] + WORD.ljust(4096, b"x")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The toy, registered between the conversion and all that makes an image of the bytes."""
    made = Toy("verify", "convert")
    monkeypatch.setattr(registry, "STAGES", with_stage(made.stage))
    return made


def with_stage(stage: Stage) -> tuple[Stage, ...]:
    """Return the stages with one more after the conversion."""
    names = [one.name for one in registry.STAGES]
    place = names.index("convert") + 1
    return (*registry.STAGES[:place], stage, *registry.STAGES[place:])


def refused_by_the_toy(ended: dict[str, Any]) -> bool:
    verdict = ended["verdict"]
    return (verdict["code"], verdict["fields"].get("reason")) == ("format-unsafe", REASON)


async def test_a_toy_stage_sees_every_pulled_body(toy: Toy, tmp_path: Path) -> None:
    """Plain, unpacked and converted bytes come to it as they would be kept, and provenance names it."""
    options = "extended_l2=on,cluster_size=131072"  # Not to be converted while it comes in.
    image, bad_image = (image_of(tmp_path, disk, "qcow2", options) for disk in (DISK, BAD_DISK))
    bodies = {
        "/plain": GOOD,
        "/packed": gzip.compress(GOOD),
        "/image": image,
        "/bad": BAD,
        "/bad-image": bad_image,
    }
    routes = {path: behaviours.serve(body) for path, body in bodies.items()}
    async with Origin(routes) as origin, Running(tmp_path, origin, **TO_RAW) as service:
        told = []
        for path, disk_format in (("/plain", "raw"), ("/packed", "raw"), ("/image", "qcow2")):
            ended = await service.run(url=origin.url(path), disk_format=disk_format)
            assert ended["state"] == "succeeded", ended
            told.append((await service.get(f"/imports/{ended['id']}/provenance"))["stages"])
        assert toy.seen == [GOOD, GOOD, DISK]
        assert told[0] == {"toy": {"read_bytes": len(GOOD)}}
        assert [set(one) for one in told[1:]] == [
            {"received", "unpacked", "toy"},
            {"received", "converted", "toy"},
        ]
        kept = service.traces()
        for path, disk_format in (("/bad", "raw"), ("/bad-image", "qcow2")):
            ended = await service.run(url=origin.url(path), disk_format=disk_format)
            assert refused_by_the_toy(ended), ended
        assert service.traces() == kept


@pytest.mark.parametrize("where", ["file", "stage"])
async def test_a_toy_stage_refuses_what_is_sent(where: str, toy: Toy, tmp_path: Path) -> None:
    """An upload and staged bytes go through it too."""
    async with Cloud(tmp_path) as cloud:
        path = f"/images/{(await cloud.make())['id']}/{where}"
        sent = {"data": io.BytesIO(BAD), "headers": OCTETS}
        status, document, _headers = await cloud.ask("alice", "PUT", path, **sent)
        assert (status, document["error"]["type"]) == (400, "format-unsafe"), document
        assert (toy.seen, cloud.traces()) == ([BAD], [])


async def test_a_stage_that_judges_sees_what_was_pulled_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source is not asked whether known bytes are still its own: no stage has seen those."""
    serving, reuse = behaviours.serve(BAD, etag='"v1"'), {"revalidate": "everybody"}
    async with Origin({"/x": serving}) as origin, Running(tmp_path, origin, reuse=reuse) as service:
        assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        monkeypatch.setattr(registry, "STAGES", with_stage(Toy().stage))
        assert refused_by_the_toy(await service.run(url=origin.url("/x")))
        assert origin.requests[1].header("If-None-Match") is None


async def test_what_a_stage_adds_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What provenance may name is declared; the import of a stage that tells more ends as a fault."""
    stage = replace(Toy().stage, adds=())
    monkeypatch.setattr(registry, "STAGES", with_stage(stage))
    async with Origin({"/x": behaviours.serve(GOOD)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == "internal-fault"
        assert service.traces() == []


def test_stages_come_after_those_that_they_need() -> None:
    """A list that cannot work is refused where it is made."""
    registry.check_order(registry.STAGES)
    with pytest.raises(ValueError, match="needs verify"):
        registry.check_order(registry.STAGES[1:])
    with pytest.raises(ValueError, match="two stages"):
        registry.check_order((*registry.STAGES, registry.STAGES[-1]))
    with pytest.raises(ValueError, match="of an attempt"):
        registry.check_order((*registry.STAGES, replace(Toy().stage, per_attempt=True)))


def test_who_carries_a_body_knows_no_stage() -> None:
    """Downloads and uploads run the list; they neither name a stage nor use one's file."""
    files = "|".join(stage.run.__module__.rpartition(".")[2] for stage in registry.STAGES)
    used = re.compile(rf"stages\.({files}) import (?!Verification$)|\"({files})\"", re.MULTILINE)
    for name in ("job", "uploads/run", "scheduler", "download/attempts"):
        assert used.findall((ROOT / f"fetcher/importer/{name}.py").read_text()) == []
