"""An image service that refuses, fails, hangs, lies and dies in the middle."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.importer.send.kept import Kept, answer, chatter, die, die_in_the_body, hang, say
from tests.importer.send.lab import DATA, Lab
from tests.lab.origin import Exchange


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("GET /ID", 401, "does not accept your token"),
        ("POST /images", 403, "quota there is used up"),
        ("POST /images", 400, "finds fault"),
        ("PUT /stage", 413, "larger than it takes"),
        ("PUT /stage", 409, "in another state"),
        ("POST /import", 400, "finds fault"),
        ("POST /import", 409, "in another state"),
        ("POST /images", 302, "redirects"),
        ("PUT /stage", 415, "this kind of request"),
        ("PUT /stage", 418, "status 418"),
    ],
)
async def test_a_refusal_is_told_in_plain_words_and_undone(
    call: str, status: int, words: str, tmp_path: Path
) -> None:
    """The verdict says what happened there and quotes the service apart; nothing stays anywhere."""
    async with Lab(tmp_path) as lab:
        lab.kept.on(call, answer(status, "Too much \x1b[1m&amp; <b>more</b> " + "x" * 500))
        ended = await lab.run()
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "target-refused")
        assert words in ended["verdict"]["title"]
        assert ended["verdict"]["fields"]["status"] == status
        said = ended["verdict"]["fields"]["said"]
        assert said.startswith("Too much ?[1m& more xxx")
        assert len(said) == 200
        assert lab.kept.records == {}
        assert lab.service.traces() == []


FAULTS = {"503": answer(503), "500": answer(500), "die": die, "chatter": chatter}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        *((call, name) for call in ("GET /ID", "POST /images") for name in FAULTS),
        *((call, name) for call in ("PUT /stage", "POST /import") for name in ("503", "500", "die")),
    ],
)
async def test_one_failure_is_outlived(call: str, name: str, tmp_path: Path) -> None:
    """A service that is restarted in the middle of a hand-over costs another try, and one image is there."""
    async with Lab(tmp_path) as lab:
        lab.kept.on(call, FAULTS[name], once=True)
        ended = await lab.run()
        assert ended["state"] == "succeeded", ended["verdict"]
        assert [record["status"] for record in lab.kept.records.values()] == ["active"]


@pytest.mark.parametrize("call", ["GET /ID", "POST /images", "PUT /stage", "POST /import"])
async def test_a_service_that_stays_down_ends_the_import(call: str, tmp_path: Path) -> None:
    """After as many tries as for a source, the verdict is that the target is not available."""
    async with Lab(tmp_path) as lab:
        lab.kept.on(call, answer(502))
        ended = await lab.run()
        assert (ended["state"], ended["verdict"]["code"]) == ("failed", "target-unavailable")
        assert "status 502" in ended["verdict"]["title"]
        assert lab.kept.calls.count(call) == 3
        assert lab.kept.records == {}
        assert lab.service.traces() == []


@pytest.mark.parametrize("call", ["GET /ID", "POST /images", "PUT /stage", "POST /import"])
async def test_a_service_that_hangs_ends_the_import(call: str, tmp_path: Path) -> None:
    """Neither an answer that does not come nor bytes that are not taken hold an import for ever."""
    pace = {"header_seconds": 0.2, "idle_seconds": 0.2}
    async with Lab(tmp_path, pace=pace, retry={"attempts": 1}) as lab:
        lab.kept.on(call, hang)
        ended = await lab.run()
        assert ended["verdict"]["code"] == "target-unavailable"
        assert "in time" in ended["verdict"]["title"]
        assert lab.kept.hung == 1
        assert lab.kept.records == {}


async def test_an_import_there_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """The whole hand-over has a limit of its own."""
    async with Lab(tmp_path, target={"total_seconds": 1.0}) as lab:
        lab.kept.after_import = lambda record: record.update(status="importing")
        ended = await lab.run()
        assert ended["verdict"]["code"] == "target-unavailable"
        assert "not active in 1 seconds" in ended["verdict"]["title"]
        assert lab.kept.records == {}


async def test_bytes_that_broke_off_are_never_imported(tmp_path: Path) -> None:
    """A service that takes a part for the whole is given another image, and the cut one goes."""
    async with Lab(tmp_path) as lab:
        lab.kept.on("PUT /stage", die_in_the_body, once=True)
        ended = await lab.run()
        assert ended["state"] == "succeeded", ended["verdict"]
        [record] = lab.kept.records.values()
        assert record["size"] == len(DATA)
        assert record["id"] == ended["image_id"] == ended["target"]["image_id"]
        assert len(lab.kept.removed) == 1
        assert lab.kept.removed != [record["id"]]


@pytest.mark.parametrize(
    ("lie", "what"),
    [
        ({"size": 1}, "the size"),
        ({"os_hash_value": "0" * 128}, "its sha512"),
        ({"checksum": "0" * 32}, "its md5"),
    ],
    ids=["size", "sha512", "md5"],
)
async def test_a_service_that_shows_other_bytes_is_not_believed(
    lie: dict[str, Any], what: str, tmp_path: Path
) -> None:
    """Active alone is no success: what it shows has to be what was sent."""
    async with Lab(tmp_path) as lab:
        lab.kept.after_import = lambda record: record.update(status="active", **lie)
        ended = await lab.run()
        assert (ended["state"], ended["verdict"]["code"]) == ("failed", "target-mismatch")
        assert ended["verdict"]["fields"]["what"] == what
        assert lab.kept.records == {}


async def test_a_service_that_converts_is_believed(tmp_path: Path) -> None:
    """Glance's own conversion makes other bytes of another format: that is no lie."""
    async with Lab(tmp_path) as lab:
        lab.kept.after_import = lambda record: record.update(status="active", disk_format="qcow2", size=5)
        assert (await lab.run())["state"] == "succeeded"


async def test_an_import_that_fails_there_is_told(tmp_path: Path) -> None:
    """An image that comes back as queued has failed; the task's words are quoted, made printable."""
    async with Lab(tmp_path) as lab:
        lab.kept.after_import = lambda record: record.update(status="queued")
        ended = await lab.run()
        assert ended["verdict"]["code"] == "target-refused"
        assert ended["verdict"]["fields"]["said"] == "Task failed due to ?[31mred <b>ink</b>"
        assert lab.kept.records == {}


async def test_an_image_that_is_deleted_there_meanwhile_ends_the_import(tmp_path: Path) -> None:
    """Nobody gets an image back that they have just deleted."""
    async with Lab(tmp_path) as lab:
        lab.kept.after_import = lambda _record: lab.kept.records.clear()
        ended = await lab.run()
        assert ended["verdict"]["code"] == "target-refused"
        assert "deleted there meanwhile" in ended["verdict"]["title"]


async def test_a_taken_id_is_replaced(tmp_path: Path) -> None:
    """Glance keeps the ids of deleted images; the image gets another, and that is the one that is told."""
    async with Lab(tmp_path) as lab:
        lab.kept.on("POST /images", answer(409), once=True)
        ended = await lab.run()
        assert ended["state"] == "succeeded", ended["verdict"]
        assert list(lab.kept.records) == [ended["image_id"]]


@pytest.mark.parametrize("image_id", ["../../x", "", "a b"])
async def test_an_id_that_is_none_goes_into_no_url(image_id: str, tmp_path: Path) -> None:
    """What the service calls its image is checked before it is asked for under that name."""

    async def rename(exchange: Exchange, kept: Kept) -> None:
        record = json.loads(await exchange.read_body())
        kept.records[record["id"]] = {**record, "status": "queued"}
        await say(exchange, 201, {"id": image_id, "status": "queued"})

    async with Lab(tmp_path) as lab:
        lab.kept.on("POST /images", rename, once=True)
        ended = await lab.run()
        assert ended["state"] == "succeeded", ended["verdict"]
        assert all("x" not in request.path for request in lab.glance.requests if "images/" in request.path)
