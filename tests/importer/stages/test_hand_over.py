"""Images on their way into an image service that is kept: this very service, or one of the test's making."""

import asyncio
import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fetcher.errors import IdentityUnavailable
from tests.api.test_auth_keystone import SmallKeystone
from tests.cli.conftest import Fetcher, fetcher
from tests.images import qcow2
from tests.importer.send.kept import answer, hang
from tests.importer.send.lab import DATA, TOKEN, Lab, Pair
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.page.test_page import BROWSER, proven, seen
from tests.service import Running

__all__ = ["fetcher"]


async def test_an_image_goes_on_into_the_service_that_is_kept(tmp_path: Path) -> None:
    """It is active there with all that was said of it, its story stays here, and its bytes do not."""
    async with Origin({"/disk.img": behaviours.serve(DATA)}) as origin, Pair(tmp_path, origin) as pair:
        ended = await pair.run(
            url=origin.url("/disk.img"), tags=["t"], properties={"hw_disk_bus": "scsi"}, min_ram=64
        )
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["verdict"]["title"] == "The image is active at the target image service."
        assert ended["target"]["status"] == "active"
        assert ended["target"]["percent"] == 100.0
        status, record = await pair.there(ended["image_id"])
        assert status == 200
        assert (record["status"], record["owner"], record["name"]) == ("active", "a", "disk.img")
        assert (record["tags"], record["hw_disk_bus"], record["min_ram"]) == (["t"], "scsi", 64)
        assert record["import_url"] == origin.url("/disk.img")
        assert record["import_sha256"] == hashlib.sha256(DATA).hexdigest()
        async with pair.kept.client.get(f"/v2/images/{ended['image_id']}/file", headers=TOKEN) as answer:
            assert await answer.read() == DATA
        assert ended["links"]["image"] == f"{pair.kept.base}/v2/images/{ended['image_id']}"
        story = await pair.ours.get(f"/imports/{ended['id']}/provenance")
        assert story["digests"]["sha256"] == hashlib.sha256(DATA).hexdigest()
        assert pair.ours.traces() == []
        listed = await pair.ours.get("/v2/images")
        assert listed["images"] == []


async def test_calls_come_in_the_order_of_the_reference_and_with_the_own_token(tmp_path: Path) -> None:
    """Look, make, stage, import, look: all on the submitter's behalf, none twice."""
    async with Lab(tmp_path) as lab:
        ended = await lab.run()
        assert ended["state"] == "succeeded", ended["verdict"]
        calls = [call for call in lab.kept.calls if call != "GET /ID"]
        assert calls == ["POST /images", "PUT /stage", "POST /import"]
        assert lab.kept.tokens == {TOKEN["X-Auth-Token"]}
        assert lab.glance.errors == []


@pytest.mark.parametrize("moment", ["PUT /stage", "POST /import"])
async def test_cancelling_leaves_nothing_there(moment: str, tmp_path: Path) -> None:
    """When the cancel has answered, the half-made image is gone there and its bytes are gone here."""
    async with Lab(tmp_path) as lab:
        lab.kept.on(moment, hang)
        made = await lab.submit()
        await lab.kept.is_hung.wait()
        status, _nothing, _headers = await lab.service.call("DELETE", f"/imports/{made['id']}")
        assert status == 204
        assert lab.kept.records == {}
        assert lab.service.traces() == []
        assert (await lab.service.get(f"/imports/{made['id']}"))["state"] == "cancelled"


async def test_a_restart_goes_on_where_the_image_stands(tmp_path: Path) -> None:
    """Bytes that are staged there already are neither pulled nor sent again, and the token is still known."""
    async with Lab(tmp_path) as lab:
        lab.kept.on("POST /import", hang, once=True)
        made = await lab.submit()
        await lab.kept.is_hung.wait()
        await lab.service.__aexit__(None, None, None)
        lab.service = lab.make()
        await lab.service.__aenter__()
        ended = await lab.service.ended(made["id"])
        assert ended["state"] == "succeeded", ended["verdict"]
        assert lab.kept.calls.count("PUT /stage") == 1
        assert lab.origin.sent_bytes == len(DATA)
        assert lab.kept.tokens == {TOKEN["X-Auth-Token"]}


async def test_cancelling_before_its_turn_comes_again_takes_back_what_an_earlier_process_made(
    tmp_path: Path,
) -> None:
    """An import that waits after a restart has left an image there, and the cancel removes it."""
    async with Lab(tmp_path) as lab:
        lab.origin.routes["/held"] = behaviours.silent()
        lab.kept.on("POST /import", hang, once=True)
        held = await lab.submit(url=lab.origin.url("/held"))
        made = await lab.submit()
        await lab.kept.is_hung.wait()
        await lab.service.__aexit__(None, None, None)
        lab._sections["imports"] = {"max_running": 1}
        lab.service = lab.make()
        await lab.service.__aenter__()
        assert (await lab.service.get(f"/imports/{made['id']}"))["state"] == "queued"
        assert len(lab.kept.records) == 1
        for one in (made, held):
            status, _nothing, _headers = await lab.service.call("DELETE", f"/imports/{one['id']}")
            assert status == 204
        assert lab.kept.records == {}


async def test_the_page_sends_it_on_with_the_token_of_its_visitor(tmp_path: Path) -> None:
    """A form is a submission as any: its cookie's token goes to the target, and the page says where it is."""
    async with Lab(tmp_path) as lab:
        token = TOKEN["X-Auth-Token"]
        form, cookies = await proven(lab.service, token, url=lab.origin.url("/x"), disk_format="raw")
        async with lab.service.client.post(
            "/page/submit", data=form, cookies=cookies, headers=BROWSER
        ) as answer:
            text = await answer.text()
            assert answer.status == 200, text
        import_id = answer.url.path.rpartition("/")[2]
        ended = await lab.service.ended(import_id)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert lab.kept.tokens == {TOKEN["X-Auth-Token"]}
        shown = await seen(lab.service, f"/page/imports/{import_id}")
        assert "Active at the target image service" in shown
        assert "The image is at the target image service" in shown
        assert "Show the image" not in shown


async def test_the_page_fills_an_image_that_waits_there(tmp_path: Path) -> None:
    """Its ID is a field where there is a target, and a mistake in it is told beside it."""
    image_id = str(uuid4())
    async with Lab(tmp_path) as lab:
        assert 'name="target_image_id"' in await seen(lab.service, "/")
        lab.kept.records[image_id] = {"id": image_id, "status": "queued", "container_format": "bare"}
        answers = []
        for target in ("nope", image_id):
            url, token = lab.origin.url("/x"), TOKEN["X-Auth-Token"]
            form, cookies = await proven(lab.service, token, url=url, target_image_id=target)
            form["disk_format"] = "raw"
            async with lab.service.client.post(
                "/page/submit", data=form, cookies=cookies, headers=BROWSER
            ) as got:
                answers.append((got.status, await got.text(), got.url.path))
        assert answers[0][0] == 400
        assert "Image at the target must be an image ID, such as" in answers[0][1]
        ended = await lab.service.ended(answers[1][2].rpartition("/")[2])
        assert (ended["state"], ended["image_id"]) == ("succeeded", image_id), ended["verdict"]
        assert lab.kept.records[image_id]["status"] == "active"
    folder = tmp_path / "alone"
    folder.mkdir()
    async with Running(folder) as alone:
        assert "target_image_id" not in await seen(alone, "/")


async def test_the_command_line_tells_where_the_image_is(
    tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit code is the verdict, and what a pipe gets is the id there."""
    async with Lab(tmp_path) as lab:
        token = TOKEN["X-Auth-Token"]
        monkeypatch.setenv("OS_TOKEN", token)
        done = await fetcher(
            "submit", lab.origin.url("/x"), "--disk-format", "raw", "--wait", "--server", lab.service.base
        )
        assert (done.code, done.out.strip()) == (0, next(iter(lab.kept.records))), done.err
        assert "sent" in done.err
        assert token not in done.err
        assert lab.kept.tokens == {token}


async def test_an_image_that_waits_there_gets_the_bytes(tmp_path: Path) -> None:
    """A record of the user's own is filled, not made; what it lacks of formats it is given."""
    image_id = str(uuid4())
    async with Lab(tmp_path) as lab:
        lab.kept.records[image_id] = {"id": image_id, "status": "queued", "container_format": "bare"}
        ended = await lab.run(target_image_id=image_id)
        assert ended["state"] == "succeeded", ended["verdict"]
        record = lab.kept.records[image_id]
        assert (record["status"], record["disk_format"]) == ("active", "raw")
        assert "POST /images" not in lab.kept.calls


async def test_an_image_of_the_users_own_is_never_removed(tmp_path: Path) -> None:
    """What was there before the import is there after it, whatever the import comes to."""
    image_id = str(uuid4())
    async with Lab(tmp_path) as lab:
        lab.kept.records[image_id] = {"id": image_id, "status": "queued"}
        lab.kept.on("PUT /stage", answer(413))
        assert (await lab.run(target_image_id=image_id))["verdict"]["code"] == "target-refused"
        assert list(lab.kept.records) == [image_id]
        ended = await lab.run(target_image_id=str(uuid4()))
        assert "no image of that id" in ended["verdict"]["title"]
        assert list(lab.kept.records) == [image_id]


async def test_the_operator_may_keep_the_bytes_here_too(tmp_path: Path) -> None:
    """With keep_bytes the same image is active in both places."""
    async with Lab(tmp_path, target={"keep_bytes": True}) as lab:
        ended = await lab.run()
        assert ended["state"] == "succeeded", ended["verdict"]
        here = await lab.service.get(f"/v2/images/{ended['image_id']}")
        assert here["status"] == lab.kept.records[ended["image_id"]]["status"] == "active"
        assert ended["target"]["is_away"] is False


async def test_nothing_that_was_refused_is_ever_shown_to_the_target(tmp_path: Path) -> None:
    """Guards come first: bytes that are not what was claimed lead to no call at all."""
    async with Lab(tmp_path) as lab:
        ended = await lab.run(disk_format="qcow2")
        assert ended["verdict"]["code"] == "format-mismatch"
        assert lab.kept.calls == []


async def test_equal_submissions_are_separate_images_there(tmp_path: Path) -> None:
    """Each has its own submitter's token, so neither rides on the other's pull."""
    async with Lab(tmp_path) as lab:
        made = [await lab.submit(), await lab.submit()]
        ended = [await lab.service.ended(one["id"]) for one in made]
        assert [one["state"] for one in ended] == ["succeeded", "succeeded"]
        assert len(lab.kept.records) == 2


async def test_the_token_goes_with_the_imports_end(tmp_path: Path) -> None:
    """No file of the store holds it any more once the verdict is there."""
    async with Lab(tmp_path) as lab:
        ended = await lab.run()
        assert ended["state"] == "succeeded"
        rows = await lab.service.service.app.state.services.index.connection.read(
            lambda db: list(db.query("SELECT target_token FROM import_secrets"))
        )
        assert rows == []
        assert TOKEN["X-Auth-Token"] not in json.dumps(ended)


async def test_the_way_to_the_target_is_open_to_the_target_alone(tmp_path: Path) -> None:
    """Its address and port are in no list of the operator's, so a submission cannot be pulled from there."""
    async with Lab(tmp_path) as lab:
        body = {"url": lab.glance.url("/v2/images"), "disk_format": "raw"}
        status, problem, _headers = await lab.service.call("POST", "/imports", json=body, headers=TOKEN)
        assert (status, problem["code"]) == (400, "url-invalid")
        assert lab.glance.connections == 0


async def test_without_a_target_none_may_be_named(tmp_path: Path) -> None:
    """A field that would be ignored is refused."""
    async with Running(tmp_path) as service:
        body = {"url": "https://example.org/x", "target_image_id": str(uuid4())}
        status, problem, _headers = await service.call("POST", "/imports", json=body)
        assert status == 400
        assert "no target" in problem["detail"]
        assert (await service.get("/limits"))["limits"]["target_url"]["value"] == ""


async def test_a_target_that_is_changed_gets_no_token_of_before(tmp_path: Path) -> None:
    """A token was given for the service that was the target then."""
    async with Lab(tmp_path) as lab:
        lab.kept.on("POST /import", hang, once=True)
        made = await lab.submit()
        await lab.kept.is_hung.wait()
        await lab.service.__aexit__(None, None, None)
        async with Origin() as other:
            lab._sections["target"] = {"url": other.url("")}
            lab.service = lab.make()
            await lab.service.__aenter__()
            ended = await lab.service.ended(made["id"])
            assert "changed the target" in ended["verdict"]["title"]
            assert other.connections == 0


async def test_a_disk_is_unpacked_and_converted_on_its_way(tmp_path: Path) -> None:
    """What goes there is what would have been kept here."""
    disk = qcow2(virtual_bytes=1 << 20)
    async with Lab(tmp_path, convert={"target": "raw"}) as lab:
        lab.origin.routes["/y"] = behaviours.serve(gzip.compress(disk))
        ended = await lab.run(url=lab.origin.url("/y"), disk_format=None)
        assert ended["state"] == "succeeded", ended["verdict"]
        [record] = lab.kept.records.values()
        assert (record["disk_format"], record["size"]) == ("raw", 1 << 20)
        assert lab.service.traces() == []


async def test_a_receiver_is_told_where_the_image_is(tmp_path: Path) -> None:
    """The notice of the end has the id and the place that the image really has."""
    told: list[Any] = []

    async def receive(exchange: Exchange) -> None:
        told.append(json.loads(await exchange.read_body()))
        await exchange.send_head(204, {"Connection": "close"})
        arrived.set()

    arrived = asyncio.Event()
    async with Lab(tmp_path) as lab:
        lab.origin.routes["/hook"] = receive
        lab.kept.on("POST /images", answer(409), once=True)
        ended = await lab.run(notify_url=lab.origin.url("/hook"))
        await arrived.wait()
        [message] = told
        assert message["data"]["image_id"] == ended["image_id"] != ended["target"]["url"]
        assert message["data"]["target_image_id"] == ended["target"]["image_id"] == ended["image_id"]
        assert message["data"]["links"]["image"] == ended["links"]["image"]
        assert ended["links"]["image"].startswith(lab.glance.url(""))


async def test_the_story_of_a_delivery_goes_with_its_import(tmp_path: Path) -> None:
    """It is kept for as long as the import is on record, and no longer."""
    async with Lab(tmp_path) as lab:
        await lab.run()
        index = lab.service.service.app.state.services.index
        assert await index.connection.read(lambda db: db.table("deliveries").count) == 1
        assert await index.imports.forget(datetime.now(UTC)) == 1
        assert await index.connection.read(lambda db: db.table("deliveries").count) == 0


@pytest.mark.parametrize("is_sent", [True, False])
async def test_the_services_own_token_stands_beside_the_submitters(is_sent: bool, tmp_path: Path) -> None:
    """With it Glance takes a token that expired during a long pull; an operator may turn it off."""
    keystone = SmallKeystone()
    keystone.add(TOKEN["X-Auth-Token"])
    async with Origin({"/v3/auth/tokens": keystone.serve}) as identity:
        account = {"auth_url": identity.url("/v3"), "username": "glance", "password": "pw"}
        sections = {"auth": {"mode": "keystone"}, "keystone": account}
        async with Lab(tmp_path, target={"send_service_token": is_sent}, **sections) as lab:
            made = await lab.submit()
            while not (record := await lab.service.get(f"/imports/{made['id']}", headers=TOKEN))["ended_at"]:
                await asyncio.sleep(0)
            assert record["state"] == "succeeded", record["verdict"]
            assert lab.kept.tokens == {TOKEN["X-Auth-Token"]}
            assert lab.kept.service_tokens == ({"own 1"} if is_sent else {None})


async def test_without_a_token_of_its_own_the_service_tries_again(tmp_path: Path) -> None:
    """An identity service that is away is no verdict about the image, until it has been away too often."""
    keystone = SmallKeystone()
    keystone.add(TOKEN["X-Auth-Token"])

    async def away() -> str | None:
        raise IdentityUnavailable

    async with Origin({"/v3/auth/tokens": keystone.serve}) as identity:
        account = {"auth_url": identity.url("/v3"), "username": "glance", "password": "pw"}
        async with Lab(tmp_path, auth={"mode": "keystone"}, keystone=account) as lab:
            context = lab.service.service.app.state.services.importer.context
            object.__setattr__(context, "service_token", away)
            made = await lab.submit()
            while not (record := await lab.service.get(f"/imports/{made['id']}", headers=TOKEN))["ended_at"]:
                await asyncio.sleep(0)
            assert record["verdict"]["code"] == "target-unavailable"
            assert "own account" in record["verdict"]["title"]
            assert lab.kept.calls == []
