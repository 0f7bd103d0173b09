"""Importing into an image record: the same engine as the submit-a-URL API, seen through the Image API."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from tests.api.image_v2.cloud import DISK, Cloud, digests
from tests.images import HTML, qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin

SIZE = 3_000_000


def web(url: str, **more: Any) -> dict[str, Any]:
    return {"method": {"name": "web-download", "uri": url, **more}}


async def test_a_url_becomes_the_bytes_of_a_record(tmp_path: Path) -> None:
    """202 at once; the record, the task and the import tell the same story; secrets are in none of them."""
    body = qcow2(clusters=3)
    async with Origin({"/x": behaviours.serve(body)}) as origin, Cloud(tmp_path, origin) as cloud:
        image = await cloud.make(disk_format="qcow2", colour="green")
        path = f"/images/{image['id']}"
        url = origin.url("/x?sig=hush")
        status, document, headers = await cloud.ask("alice", "POST", f"{path}/import", json=web(url))
        assert (status, document) == (202, "")
        task = await cloud.settled(image["id"])
        assert task["status"] == "success"
        assert task["message"] == "The image was imported."
        assert task["request_id"] == headers["x-openstack-request-id"]
        assert task["input"]["import_req"]["method"]["name"] == "web-download"
        assert task["result"].items() >= {"image_id": image["id"], "percent": 100.0, "code": "ok"}.items()
        assert "hush" not in str(task)
        jsonschema.validate(task, await cloud.want(200, "alice", "GET", "/schemas/task"))
        shown = await cloud.want(200, "alice", "GET", path)
        assert shown.items() >= (digests(body) | {"status": "active", "colour": "green"}).items()
        assert shown["virtual_size"] == 1 << 30
        assert (await cloud.fetch("alice", image["id"]))[1] == body
        record = await cloud.get(f"/imports/{task['id']}", headers={"X-Auth-Token": "token of alice"})
        assert (record["image_id"], record["state"]) == (image["id"], "succeeded")
        await cloud.want(404, "bob", "GET", f"/tasks/{task['id']}")
        await cloud.want(409, "alice", "POST", f"{path}/import", json=web(url))


async def test_a_submitted_url_is_an_image_of_the_image_api(tmp_path: Path) -> None:
    """The other way round: what POST /imports makes is listed, shown and fetched here."""
    routes = {"/x": behaviours.stall(raw(SIZE), 10), "/y": behaviours.serve(DISK)}
    async with Origin(routes) as origin, Cloud(tmp_path, origin) as cloud:
        headers = {"X-Auth-Token": "token of alice"}
        body = {"url": origin.url("/y"), "disk_format": "raw", "name": "pulled"}
        status, created, _ = await cloud.call("POST", "/imports", json=body, headers=headers)
        assert status == 202
        async for name, _document in cloud.events(created["id"], headers=headers):
            if name == "end":
                break
        (image,) = (await cloud.want(200, "alice", "GET", "/images?name=pulled"))["images"]
        assert image.items() >= (digests(DISK) | {"id": created["image_id"], "status": "active"}).items()
        body["url"] = origin.url("/x")
        _, running, _ = await cloud.call("POST", "/imports", json=body, headers=headers)
        shown = await cloud.want(200, "alice", "GET", f"/images/{running['image_id']}")
        assert shown["status"] == "importing"


FAILURES: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "missing": (behaviours.status(404), {}, "source-status", "answered with status 404"),
    "truncated": (
        behaviours.cut(raw(SIZE), 1_048_576),
        {},
        "truncated",
        "The source sent 1,048,576 of 3,000,000 bytes.",
    ),
    "html": (behaviours.serve(HTML), {}, "format-mismatch", "You said raw, but the bytes are"),
    "wrong checksum": (
        behaviours.serve(DISK),
        {"checksum": "sha256:" + "0" * 64},
        "checksum-mismatch",
        "sha256",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failed_import_says_why_and_another_may_follow(name: str, tmp_path: Path) -> None:
    """The record waits for bytes again, with the verdict in it; the task keeps it for good."""
    behaviour, more, code, words = FAILURES[name]
    routes = {"/bad": behaviour, "/good": behaviours.serve(DISK)}
    async with Origin(routes) as origin, Cloud(tmp_path, origin, retry={"attempts": 1}) as cloud:
        image = await cloud.make(kept="yes")
        path = f"/images/{image['id']}"
        await cloud.want(202, "alice", "POST", f"{path}/import", json=web(origin.url("/bad"), **more))
        task = await cloud.settled(image["id"])
        assert task["status"] == "failure"
        assert task["message"].startswith(f"{code}: ")
        assert words in task["message"]
        shown = await cloud.want(200, "alice", "GET", path)
        assert (shown["status"], shown["kept"]) == ("queued", "yes")
        assert shown["os_glance_failed_import"] == "fs"
        assert shown["os_glance_failed_import_reason"].startswith(f"{code}: ")
        assert words in shown["os_glance_failed_import_reason"]
        assert cloud.traces() == []
        await cloud.patch(200, "alice", image["id"], {"op": "replace", "path": "/name", "value": "x"})
        await cloud.want(202, "alice", "POST", f"{path}/import", json=web(origin.url("/good")))
        assert (await cloud.settled(image["id"]))["status"] == "success"
        shown = await cloud.want(200, "alice", "GET", path)
        assert (shown["status"], "os_glance_failed_import" in shown) == ("active", False)
        tasks = (await cloud.want(200, "alice", "GET", f"{path}/tasks"))["tasks"]
        assert [entry["status"] for entry in tasks] == ["success", "failure"]


async def test_a_checksum_may_come_with_the_import(tmp_path: Path) -> None:
    """An expected digest is never silently ignored: it is compared, or the request is refused."""
    async with Origin({"/x": behaviours.serve(DISK)}) as origin, Cloud(tmp_path, origin) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}/import"
        await cloud.want(400, "alice", "POST", path, json=web(origin.url("/x"), checksum="crc:1"))
        await cloud.want(400, "alice", "POST", path, json=web(origin.url("/x"), sha256="0"))
        digest = f"sha256:{hashlib.sha256(DISK).hexdigest()}"
        await cloud.want(202, "alice", "POST", path, json=web(origin.url("/x"), checksum=digest))
        assert (await cloud.settled(image["id"]))["status"] == "success"


async def test_a_running_task_tells_how_far_it_is(tmp_path: Path) -> None:
    """Bytes and percent, and the record is `importing`; a second import has to wait its turn."""
    routes = {"/x": behaviours.stall(raw(SIZE), SIZE // 2)}
    async with Origin(routes) as origin, Cloud(tmp_path, origin) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}"
        await cloud.want(202, "alice", "POST", f"{path}/import", json=web(origin.url("/x")))
        (task,) = (await cloud.want(200, "alice", "GET", f"{path}/tasks"))["tasks"]
        headers = {"X-Auth-Token": "token of alice"}
        async for _name, document in cloud.events(task["id"], headers=headers):
            if document["progress"]["received_bytes"] == SIZE // 2:
                break
        (task,) = (await cloud.want(200, "alice", "GET", f"{path}/tasks"))["tasks"]
        assert task["status"] == "processing"
        assert task["message"] == "Received 1,500,000 of 3,000,000 bytes (50 %)."
        assert (task["result"]["received_bytes"], task["result"]["percent"]) == (SIZE // 2, 50.0)
        assert (await cloud.want(200, "alice", "GET", path))["status"] == "importing"
        document = await cloud.want(409, "alice", "POST", f"{path}/import", json=web(origin.url("/x")))
        assert "importing" in document["error"]["message"]
        await cloud.want(204, "alice", "DELETE", path)
        assert cloud.traces() == []
        await origin.wait_idle()
        await cloud.want(404, "alice", "GET", path)
        task = await cloud.want(200, "alice", "GET", f"/tasks/{task['id']}")
        assert (task["status"], task["result"]["code"]) == ("failure", "cancelled")


async def test_deleting_a_submitted_import_ends_it(tmp_path: Path) -> None:
    """An image that its own import made goes with that import."""
    async with Origin({"/x": behaviours.stall(raw(SIZE), 10)}) as origin, Cloud(tmp_path, origin) as cloud:
        headers = {"X-Auth-Token": "token of alice"}
        body = {"url": origin.url("/x"), "disk_format": "raw"}
        created = (await cloud.call("POST", "/imports", json=body, headers=headers))[1]
        await origin.wait_requests(1)
        await cloud.want(204, "alice", "DELETE", f"/images/{created['image_id']}")
        await cloud.want(404, "alice", "GET", f"/images/{created['image_id']}")
        assert (await cloud.get(f"/imports/{created['id']}", headers=headers))["state"] == "cancelled"
        assert cloud.traces() == []


async def test_a_cancelled_import_leaves_the_record_queued(tmp_path: Path) -> None:
    """The record was there before the import, and stays."""
    async with Origin({"/x": behaviours.stall(raw(SIZE), 10)}) as origin, Cloud(tmp_path, origin) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}"
        await cloud.want(202, "alice", "POST", f"{path}/import", json=web(origin.url("/x")))
        (task,) = (await cloud.want(200, "alice", "GET", f"{path}/tasks"))["tasks"]
        headers = {"X-Auth-Token": "token of alice"}
        assert (await cloud.call("DELETE", f"/imports/{task['id']}", headers=headers))[0] == 204
        shown = await cloud.want(200, "alice", "GET", path)
        assert shown["status"] == "queued"
        assert shown["os_glance_failed_import_reason"].startswith("cancelled: ")


REFUSED: dict[str, tuple[Any, int, str]] = {
    "unknown method": ({"method": {"name": "nonsense"}}, 400, "web-download"),
    "method not offered": ({"method": {"name": "glance-download"}}, 400, "unknown import method"),
    "no method": ({}, 400, "method"),
    "no URL": ({"method": {"name": "web-download"}}, 400, "uri"),
    "bad URL": (web("ftp://mirror.example/x"), 400, "ftp"),
    "port of another service": (web("http://mirror.example:22/x"), 400, "22"),
    "unknown store": ({**web("https://mirror.example/x"), "stores": ["two"]}, 409, "two"),
    "stores twice": ({**web("https://mirror.example/x"), "stores": ["fs"], "all_stores": True}, 400, "both"),
    "nothing staged": ({"method": {"name": "glance-direct"}}, 409, "stage"),
    "switch that is none": ({**web("https://mirror.example/x"), "all_stores": "yes"}, 400, "all_stores"),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", REFUSED)
async def test_imports_that_cannot_work_are_refused_at_once(cloud: Cloud, name: str) -> None:
    """The message quotes what is wrong; the record stays as it was, without a task."""
    body, status, words = REFUSED[name]
    image = await cloud.make()
    document = await cloud.want(status, "alice", "POST", f"/images/{image['id']}/import", json=body)
    assert words in document["error"]["message"]
    assert await cloud.want(200, "alice", "GET", f"/images/{image['id']}") == image
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}/tasks"))["tasks"] == []


async def test_every_way_to_name_the_one_store_is_taken(tmp_path: Path) -> None:
    """Clients name stores even where there is one."""
    ways: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"stores": ["fs"]}, {}),
        ({"all_stores": True, "all_stores_must_succeed": False}, {}),
        ({}, {"X-Image-Meta-Store": "fs"}),
    ]
    async with Origin({"/x": behaviours.serve(DISK)}) as origin, Cloud(tmp_path, origin) as cloud:
        for more, headers in ways:
            image = await cloud.make()
            body = {**web(origin.url("/x")), **more}
            path = f"/images/{image['id']}/import"
            await cloud.want(202, "alice", "POST", path, json=body, headers=headers)
            assert (await cloud.settled(image["id"]))["status"] == "success"


@pytest.mark.asyncio(loop_scope="module")
async def test_tasks_are_made_by_imports_only(cloud: Cloud) -> None:
    """What the old way to import took is refused, with the new one named."""
    for who, status in (("alice", 400), ("root", 400), ("rita", 403)):
        await cloud.want(status, who, "POST", "/tasks", json={"type": "import", "input": {}})


async def test_tasks_are_listed_in_pages_and_orders(tmp_path: Path) -> None:
    """Newest first unless asked otherwise; `next` leads through all; each project sees its own."""
    async with Origin() as origin, Cloud(tmp_path, origin) as cloud:
        made = []
        for _ in range(3):
            image = await cloud.make()
            path = f"/images/{image['id']}/import"
            await cloud.want(202, "alice", "POST", path, json=web(origin.url("/missing")))
            made.append((await cloud.settled(image["id"]))["id"])
        page = await cloud.want(200, "alice", "GET", "/tasks?limit=2")
        assert [task["id"] for task in page["tasks"]] == [made[2], made[1]]
        rest = await cloud.want(200, "alice", "GET", page["next"].removeprefix("/v2"))
        assert [task["id"] for task in rest["tasks"]] == [made[0]]
        ordered = await cloud.want(200, "rita", "GET", "/tasks?sort_key=created_at&sort_dir=asc")
        assert [task["id"] for task in ordered["tasks"]] == made
        for key in ("updated_at", "expires_at", "status", "type", "id"):
            page = await cloud.want(200, "root", "GET", f"/tasks?sort_key={key}&limit=2")
            rest = await cloud.want(200, "root", "GET", page["next"].removeprefix("/v2"))
            assert {task["id"] for task in page["tasks"] + rest["tasks"]} == set(made)
        assert (await cloud.want(200, "bob", "GET", "/tasks"))["tasks"] == []
        for query, count in {
            "status=failure": 3,
            "status=success": 0,
            "type=import": 0,
            "limit=0": 0,
        }.items():
            assert len((await cloud.want(200, "alice", "GET", f"/tasks?{query}"))["tasks"]) == count
        for query in ("status=odd", "sort_key=name", "marker=nope", "limit=x"):
            await cloud.want(400, "alice", "GET", f"/tasks?{query}")
        await cloud.want(404, "alice", "GET", f"/tasks/{uuid4()}")


def remote(far: Cloud, **more: Any) -> dict[str, dict[str, Any]]:
    """Configure one service as another's remote."""
    port = int(far.base.rpartition(":")[2])
    return {
        "image_api": {"remotes": [{"region": "Far", "url": far.base}], **more},
        "address": {"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]},
        "retry": {"attempts": 1},
    }


def glance(image_id: str, region: str = "Far") -> dict[str, Any]:
    method = {"name": "glance-download", "glance_region": region, "glance_image_id": image_id}
    return {"method": {**method, "glance_service_interface": "public"}}


async def test_an_image_of_a_named_service_is_taken_over(tmp_path: Path) -> None:
    """With the caller's own token; formats and some properties come along, and its digest is compared."""
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    async with Cloud(tmp_path / "far") as far, Cloud(tmp_path / "near", **remote(far)) as near:
        source = await far.make_active(qcow2(), disk_format="qcow2", hw_cpu_cores="5", speed="88mph")
        image = await near.make(disk_format="iso", container_format="ova", hw_cpu_cores="1", os_distro="x")
        assert (await near.want(200, "alice", "GET", "/info/import"))["import-methods"]["value"] == [
            "glance-direct",
            "web-download",
            "glance-download",
        ]
        path = f"/images/{image['id']}"
        await near.want(202, "alice", "POST", f"{path}/import", json=glance(source["id"]))
        task = await near.settled(image["id"])
        assert task["status"] == "success", task
        assert task["input"]["import_req"]["method"]["glance_image_id"] == source["id"]
        shown = await near.want(200, "alice", "GET", path)
        for name in ("disk_format", "container_format", "os_hash_value", "hw_cpu_cores"):
            assert shown[name] == source[name]
        assert (shown["os_distro"], "speed" in shown) == ("x", False)
        story = await near.get(
            f"/imports/{task['id']}/provenance", headers={"X-Auth-Token": "token of alice"}
        )
        assert story["verified_by"] == "remote"
    assert b"token of alice" not in b"".join(
        file.read_bytes() for file in (tmp_path / "near" / "data").glob("index.sqlite*")
    )


async def test_what_a_named_service_does_not_give_is_not_taken(tmp_path: Path) -> None:
    """An unknown region, a missing image, one of somebody else's, one without bytes: each says so."""
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    async with Cloud(tmp_path / "far") as far, Cloud(tmp_path / "near", **remote(far)) as near:
        queued = await far.make()
        foreign = await far.make_active(who="bob", visibility="private")
        cases = {
            "remote-unknown": glance(queued["id"], region="Nowhere"),
            "remote-image-unusable": glance(queued["id"]),
            "source-status": glance(str(uuid4())),
            "source-status ": glance(foreign["id"]),
        }
        for code, body in cases.items():
            image = await near.make(hw_cpu_cores="1")
            await near.want(202, "alice", "POST", f"/images/{image['id']}/import", json=body)
            task = await near.settled(image["id"])
            assert (task["status"], task["result"]["code"]) == ("failure", code.strip())
            shown = await near.want(200, "alice", "GET", f"/images/{image['id']}")
            assert (shown["status"], shown["hw_cpu_cores"]) == ("queued", "1")
        image = await near.make()
        path = f"/images/{image['id']}/import"
        document = await near.want(400, "alice", "POST", path, json=glance("foo"))
        assert "image id does not look like a UUID" in document["error"]["message"]
        await near.want(400, "alice", "POST", path, json={"method": {"name": "glance-download"}})


LYING_RECORDS: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"<html>", "remote-image-unusable"),
    "no record": (b"[]", "remote-image-unusable"),
    "wrong types": (b'{"status": 5}', "remote-image-unusable"),
    "deep": (b'{"status": ' + b"[" * 100_000, "remote-image-unusable"),
    "large": (b'{"status": "' + b"x" * 1_100_000 + b'"}', "remote-image-unusable"),
    "another digest": (
        b'{"status": "active", "disk_format": "raw", "os_hash_algo": "sha512", "os_hash_value": "'
        + b"0" * 128
        + b'", "name": "x", "os_glance_x": "y", "owner": "z"}',
        "checksum-mismatch",
    ),
    "another MD5, and nothing better": (
        b'{"status": "active", "disk_format": "raw", "checksum": "' + b"0" * 32 + b'"}',
        "checksum-mismatch",
    ),
    "another format": (
        b'{"status": "active", "disk_format": "qcow2", "os_hash_algo": "crc", "os_hash_value": "1"}',
        "format-mismatch",
    ),
}


@pytest.mark.parametrize("name", LYING_RECORDS)
async def test_nothing_of_a_remote_record_is_believed(name: str, tmp_path: Path) -> None:
    """A record is a claim: the bytes have to be what it says, and ours to write stays ours."""
    record, code = LYING_RECORDS[name]
    far_id = str(uuid4())
    routes = {
        f"/v2/images/{far_id}": behaviours.serve(record),
        f"/v2/images/{far_id}/file": behaviours.serve(DISK),
    }
    async with Origin(routes) as origin:
        sections = {
            "image_api": {
                "remotes": [{"region": "Far", "url": origin.url("")}],
                "copied_properties": ["os_", "name", "owner"],
            },
            "retry": {"attempts": 1},
        }
        async with Cloud(tmp_path, origin, **sections) as cloud:
            image = await cloud.make()
            await cloud.want(202, "alice", "POST", f"/images/{image['id']}/import", json=glance(far_id))
            assert (await cloud.settled(image["id"]))["result"]["code"] == code
            shown = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
            assert (shown["status"], shown["owner"], shown["name"]) == ("queued", "a", None)
            assert cloud.traces() == []
