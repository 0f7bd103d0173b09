"""Another Image API as receiver: an image like ours comes to be there, or nothing at all."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.exporter.places import image_for, sender
from tests.exporter.server import Answer, Asked, Server
from tests.exporter.test_put import IMAGE, ended, push
from tests.exporter.test_s3 import pushed
from tests.service import Running

POLL = {"target": {"poll_seconds": 0.01}}


class Place:
    """Where a service of our own is reached."""

    def __init__(self, service: Running) -> None:
        self.host, self.port = "127.0.0.1", int(service.base.rpartition(":")[2])


async def test_an_image_is_the_same_in_another_service(tmp_path: Path) -> None:
    """Name, limits, tags and the properties that the operator lets out; by region or URL, read back."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    async with Running(tmp_path / "there") as far:
        sections = {"image_api": {"remotes": [{"region": "Two", "url": far.base}]}, **POLL}
        async with image_for(tmp_path / "here", IMAGE, Place(far), sections=sections) as (service, image_id):
            patch = [
                {"op": "add", "path": f"/{name}", "value": value}
                for name, value in (("hw_disk_bus", "scsi"), ("inner_note", "ours"), ("name", "a disk"))
            ]
            kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
            status, _, _ = await service.call(
                "PATCH", f"/v2/images/{image_id}", data=json.dumps(patch), headers=kind
            )
            assert status == 200
            for url in ("glance://Two", f"glance+{far.base}/v2/"):
                done = await pushed(service, image_id, url=url, verify=True)
                assert done["state"] == "succeeded", done["verdict"]
                assert done["read_back"]["result"] == "matched"
                copy = await far.get(f"/v2/images/{done['answer']['image_id']}")
                ours = await service.get(f"/v2/images/{image_id}")
                same = ("name", "size", "os_hash_value", "disk_format", "hw_disk_bus", "min_disk")
                assert [copy[name] for name in same] == [ours[name] for name in same]
                assert (copy["visibility"], "inner_note" in copy) == ("private", False)


class Glance:
    """A service that has no imports, or is as bad as we want."""

    def __init__(self, *, staged: bool = False, **faults: list[Any]) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.faults = faults
        self.staged = staged

    async def handle(self, asked: Asked) -> Answer | None:
        """Answer a request."""
        *_, image_id, what = asked.path.rstrip("/").split("/")
        name = what if what in {"file", "stage", "import", "tasks", "images"} else "image"
        if self.faults.get(f"{asked.method}_{name}"):
            fault = self.faults[f"{asked.method}_{name}"].pop(0)
            return await fault(asked) if callable(fault) else fault
        return self.answer(asked, name, image_id if name in {"file", "stage", "import", "tasks"} else what)

    def answer(self, asked: Asked, name: str, image_id: str) -> Answer:
        """Answer as an honest service."""
        if asked.path == "/v2/info/import":
            methods = {"import-methods": {"value": ["glance-direct"] if self.staged else []}}
            return Answer(body=json.dumps(methods).encode())
        if name == "images":
            record = json.loads(asked.body)
            self.images[record["id"]] = record | {"status": "queued"}
            return Answer(status=201, body=json.dumps(self.images[record["id"]]).encode())
        return self._of_one(asked, name, image_id) if image_id in self.images else Answer(status=404)

    def _of_one(self, asked: Asked, name: str, image_id: str) -> Answer:
        image = self.images[image_id]
        if asked.method == "DELETE":
            self.deleted.append(image_id)
            del self.images[image_id]
            return Answer(status=204)
        if name == "file":
            image |= {"status": "active", "size": len(asked.body)}
        elif name in {"stage", "import"}:
            image["status"] = "uploading" if name == "stage" else "importing"
        return Answer(body=json.dumps(image).encode())


def there(server: Server, **more: Any) -> dict[str, Any]:
    return {"url": f"glance+{server.base}", "token": "t0ken", **more}


async def test_a_service_without_imports_is_uploaded_to(tmp_path: Path) -> None:
    """PUT of the bytes, with the token in each call; it is shown nowhere."""
    glance = Glance()
    async with (
        Server(glance.handle) as server,
        image_for(tmp_path, IMAGE, server, sections=POLL) as (service, image_id),
    ):
        done = await pushed(service, image_id, **there(server))
        assert (done["state"], done["answer"]["status"]) == ("succeeded", "active"), done["verdict"]
        assert [asked.body for asked in server.asked if asked.path.endswith("/file")] == [IMAGE]
        assert {asked.headers["x-auth-token"] for asked in server.asked} == {"t0ken"}
        assert "t0ken" not in str(done)


KILLED = Answer(body=json.dumps({"id": "x", "status": "killed"}).encode())
LYING = {"status": "active", "size": 1, "disk_format": "qcow2", "id": "x"}


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"PUT_file": [Answer(status=413)]}, "target-refused"),
        ({"GET_image": [KILLED]}, "target-refused"),
        ({"GET_image": [Answer(body=json.dumps(LYING).encode())]}, "target-mismatch"),
        ({"PUT_file": [Answer(status=307, headers={"Location": "http://127.0.0.1:9/"})]}, "target-refused"),
        ({"PUT_file": [None] * 9}, "target-unavailable"),
    ],
)
async def test_what_comes_to_nothing_is_deleted(
    tmp_path: Path, faults: dict[str, list[Any]], code: str
) -> None:
    """Whatever ends it, no image of ours is left there."""
    glance = Glance(**{name: list(answers) for name, answers in faults.items()})
    async with (
        Server(glance.handle) as server,
        image_for(tmp_path, IMAGE, server, sections=POLL, attempts=2) as (service, image_id),
    ):
        done = await pushed(service, image_id, **there(server))
        assert done["verdict"]["code"] == code, done
        assert glance.images == {}
        assert len(glance.deleted) == (2 if code == "target-unavailable" else 1)


@pytest.mark.parametrize(("fault", "left"), [("POST_images", False), ("PUT_file", True)])
async def test_only_what_was_made_can_be_left(tmp_path: Path, fault: str, left: bool) -> None:
    """A service that forbids deleting has our image, and that is told; one that made none has nothing."""
    forbidden = Answer(status=403)
    glance = Glance(**{fault: [forbidden], "DELETE_image": [forbidden] * 9})
    async with (
        Server(glance.handle) as server,
        image_for(tmp_path, IMAGE, server, sections=POLL) as (service, image_id),
    ):
        done = await pushed(service, image_id, **there(server))
        assert done["verdict"]["code"] == "target-refused", done
        assert ("left" in done["answer"], len(glance.images)) == (left, left)
        assert any(asked.method == "DELETE" for asked in server.asked) == left
        assert "nothing of the image is left" not in done["verdict"]["advice"]


async def test_an_import_of_the_other_service_is_waited_for_by_the_next_process(tmp_path: Path) -> None:
    """The bytes are not sent twice: a restart finds the image by its id and goes on waiting."""
    waiting = asyncio.Event()
    glance = Glance(staged=True)

    async def look(asked: Asked) -> Answer:
        waiting.set()
        return glance.answer(asked, "image", asked.path.rpartition("/")[2])

    glance.faults["GET_image"] = [look] * 1000
    async with Server(glance.handle) as server:
        async with image_for(tmp_path, IMAGE, server, sections=POLL) as (service, image_id):
            export = await push(service, image_id, **there(server))
            await waiting.wait()
        for image in glance.images.values():
            image |= {"status": "active", "size": len(IMAGE)}
        async with sender(tmp_path, server, sections=POLL) as service:
            done = await ended(service, export["id"])
        assert done["state"] == "succeeded", done["verdict"]
        assert len([asked for asked in server.asked if asked.path.endswith("/stage")]) == 1
        assert glance.deleted == []


NEVER: list[tuple[dict[str, Any], str]] = [
    ({"url": "glance://Nowhere"}, "remote-unknown"),
    ({"url": "glance+http://evil.example"}, "receiver-forbidden"),
    ({"url": "glance+ftp://127.0.0.1"}, "url-invalid"),
    ({"url": "glance+BASE", "token": "a b"}, "request-invalid"),
    ({"url": "glance+BASE", "headers": {"X-Auth-Token": "x"}}, "request-invalid"),
]


async def test_what_can_never_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    """A region that nobody named, another host or scheme, a token that is none: nobody is asked."""
    async with Server(Glance().handle) as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        for fields, code in NEVER:
            body = {"image": image_id, **fields, "url": fields["url"].replace("BASE", server.base)}
            _status, problem, _ = await service.call("POST", "/exports", json=body)
            assert problem["code"] == code, fields
        assert server.asked == []
