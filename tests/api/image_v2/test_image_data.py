"""The bytes of an image: sent through the same guards as a pull, fetched whole or in part."""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.image_v2.cloud import DISK, OCTETS, Cloud, digests
from tests.images import HTML, qcow2, raw
from tests.processes import Process
from tests.test_crash import agree, config

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGE = raw(3_000_000, 3)


async def pieces(body: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """A body whose length nobody says."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_a_chunked_upload_becomes_an_image(cloud: Cloud) -> None:
    """No length is promised, and a promised 0 in the client's own header is none."""
    image = await cloud.make()
    headers = {**OCTETS, "X-OpenStack-Image-Size": "0"}
    await cloud.want(204, "alice", "PUT", f"/images/{image['id']}/file", data=pieces(LARGE), headers=headers)
    shown = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
    assert shown.items() >= (digests(LARGE) | {"status": "active"}).items()
    status, body, headers = await cloud.fetch("alice", image["id"])
    assert (status, body) == (200, LARGE)
    assert headers["content-length"] == str(len(LARGE))
    assert headers["content-md5"] == hashlib.md5(LARGE).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(LARGE).digest()).decode()
    assert f"sha-256=:{sha256}:" in headers["repr-digest"]


async def test_an_image_without_bytes_has_no_content(cloud: Cloud) -> None:
    """204, and not an empty disk."""
    image = await cloud.make()
    status, body, _headers = await cloud.fetch("alice", image["id"])
    assert (status, body) == (204, b"")


RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=10-19": (10, 20),
    "bytes=2990-": (2990, 3000),
    "bytes=-5": (2995, 3000),
    "bytes=-9999": (0, 3000),
    "bytes=2999-99999": (2999, 3000),
}


@pytest.mark.parametrize("field", RANGES)
async def test_a_part_is_sent_as_asked(cloud: Cloud, field: str) -> None:
    """From the first byte asked for to the last one, both included (RFC 9110 section 14)."""
    image = await cloud.make_active()
    start, end = RANGES[field]
    status, body, headers = await cloud.fetch("alice", image["id"], Range=field)
    assert (status, body) == (206, DISK[start:end])
    assert headers["content-range"] == f"bytes {start}-{end - 1}/3000"
    assert headers["content-length"] == str(end - start)
    assert "content-md5" not in headers


@pytest.mark.parametrize("field", ["bytes=0-1,5-6", "bytes=9-3", "lines=1-2", "bytes=a-b", "bytes=-"])
async def test_what_is_no_range_is_the_whole(cloud: Cloud, field: str) -> None:
    """A Range field that is not understood is ignored (RFC 9110 section 14.2)."""
    image = await cloud.make_active()
    status, body, _headers = await cloud.fetch("alice", image["id"], Range=field)
    assert (status, body) == (200, DISK)


async def test_a_range_outside_is_refused(cloud: Cloud) -> None:
    """The answer tells how long the image is."""
    image = await cloud.make_active()
    status, _body, headers = await cloud.fetch("alice", image["id"], Range="bytes=3000-")
    assert status == 416
    assert headers["content-range"] == "bytes */3000"


async def test_conditions_are_kept(cloud: Cloud) -> None:
    """What a client has already is not sent again; a range of other bytes becomes the whole."""
    image = await cloud.make_active()
    _status, _body, headers = await cloud.fetch("alice", image["id"])
    assert (await cloud.fetch("alice", image["id"], If_None_Match=headers["etag"]))[0] == 304
    assert (await cloud.fetch("alice", image["id"], Range="bytes=0-0", If_Range=headers["etag"]))[0] == 206
    assert (await cloud.fetch("alice", image["id"], Range="bytes=0-0", If_Range='"other"'))[0] == 200
    status, document, headers = await cloud.ask("alice", "HEAD", f"/images/{image['id']}/file")
    assert (status, document, headers["content-length"]) == (200, "", "3000")


async def test_a_deactivated_image_is_the_admins_alone(cloud: Cloud) -> None:
    """403 for its own project; the admin who looks into it gets the bytes."""
    image = await cloud.make_active()
    await cloud.want(204, "root", "POST", f"/images/{image['id']}/actions/deactivate")
    assert (await cloud.fetch("alice", image["id"]))[0] == 403
    assert (await cloud.fetch("root", image["id"]))[1] == DISK


async def test_open_readers_of_a_deleted_image_finish(cloud: Cloud) -> None:
    """Whoever has begun gets all bytes; whoever comes later gets 404."""
    body = raw(20_000_000, 9)
    image = await cloud.make_active(body)
    headers = {"X-Auth-Token": "token of alice"}
    async with cloud.client.get(f"/v2/images/{image['id']}/file", headers=headers) as answer:
        first = await answer.content.readexactly(1000)
        await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}")
        assert (await cloud.fetch("alice", image["id"]))[0] == 404
        assert first + await answer.content.read() == body


REFUSED_BODIES = {
    "claimed raw, is HTML": (HTML, "raw", "format-mismatch", 400),
    "claimed qcow2, is raw": (DISK, "qcow2", "format-mismatch", 400),
    "claimed raw, is qcow2": (qcow2(), "raw", "format-mismatch", 400),
    "nothing, claimed qcow2": (b"", "qcow2", "format-mismatch", 400),
    "less than a sector": (b"ab\0", "raw", "format-unsafe", 400),
}


@pytest.mark.parametrize("way", ["file", "stage"])
@pytest.mark.parametrize("name", REFUSED_BODIES)
async def test_sent_bytes_pass_the_guards_of_a_pull(cloud: Cloud, name: str, way: str) -> None:
    """A refusal says why at once, leaves no byte, and the image waits for better ones."""
    body, claimed, code, status = REFUSED_BODIES[name]
    image = await cloud.make(disk_format=claimed)
    before = cloud.traces()
    path = f"/images/{image['id']}/{way}"
    document = await cloud.want(status, "alice", "PUT", path, data=body, headers=OCTETS)
    assert document["error"]["type"] == code
    assert cloud.traces() == before
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] == "queued"
    right = qcow2() if claimed == "qcow2" else DISK
    await cloud.want(204, "alice", "PUT", path, data=right, headers=OCTETS)


@pytest.mark.parametrize("way", ["file", "stage"])
async def test_an_upload_of_nothing_is_an_image_of_no_bytes(cloud: Cloud, way: str) -> None:
    """Nova makes the image of a volume-backed snapshot by sending no bytes: it is active, and empty."""
    image = await cloud.make(disk_format="raw", container_format="bare")
    path = f"/images/{image['id']}/{way}"
    await cloud.want(204, "alice", "PUT", path, data=b"", headers=OCTETS)
    if way == "file":
        made = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
        assert (made["status"], made["size"], made["virtual_size"]) == ("active", 0, 0)
        assert made["os_hash_value"] == hashlib.sha512(b"").hexdigest()


async def test_bytes_say_what_nobody_claimed(cloud: Cloud) -> None:
    """A record without formats gets those of its bytes, and the size of the disk inside."""
    image = await cloud.make_active(qcow2(1 << 30), disk_format=None, container_format=None)
    assert (image["disk_format"], image["container_format"]) == ("qcow2", "bare")
    assert image["virtual_size"] == 1 << 30


async def test_staged_bytes_become_the_image_by_an_import(cloud: Cloud) -> None:
    """Between the two calls the image is `uploading`; there is one task, made by the import."""
    image = await cloud.make()
    path = f"/images/{image['id']}"
    await cloud.want(204, "alice", "PUT", f"{path}/stage", data=io.BytesIO(LARGE), headers=OCTETS)
    assert (await cloud.want(200, "alice", "GET", path))["status"] == "uploading"
    assert (await cloud.fetch("alice", image["id"]))[0] == 204
    await cloud.want(409, "alice", "PUT", f"{path}/stage", data=io.BytesIO(LARGE), headers=OCTETS)
    body = {"method": {"name": "glance-direct"}}
    status, _, headers = await cloud.ask("alice", "POST", f"{path}/import", json=body)
    assert status == 202
    shown = await cloud.want(200, "alice", "GET", path)
    assert shown.items() >= (digests(LARGE) | {"status": "active"}).items()
    (task,) = (await cloud.want(200, "alice", "GET", f"{path}/tasks"))["tasks"]
    assert (task["status"], task["request_id"]) == ("success", headers["x-openstack-request-id"])
    await cloud.want(409, "alice", "POST", f"{path}/import", json=body)


async def test_a_staged_image_is_deleted_with_its_bytes(cloud: Cloud) -> None:
    """Nothing stays behind of what was never imported."""
    before = cloud.traces()
    image = await cloud.make()
    await cloud.want(204, "alice", "PUT", f"/images/{image['id']}/stage", data=raw(5000, 8), headers=OCTETS)
    assert len(cloud.traces()) == len(before) + 1
    await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}")
    assert cloud.traces() == before


async def test_an_upload_is_one_of_the_imports(cloud: Cloud) -> None:
    """The same records hold what was sent and what was pulled, with digests and provenance."""
    image = await cloud.make_active()
    headers = {"X-Auth-Token": "token of alice"}
    (record,) = (await cloud.get(f"/imports?image_id={image['id']}", headers=headers))["imports"]
    assert (record["method"], record["state"]) == ("upload", "succeeded")
    story = await cloud.get(f"/imports/{record['id']}/provenance", headers=headers)
    assert story["digests"]["sha512"] == image["os_hash_value"]
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}/tasks"))["tasks"] == []


async def test_a_second_upload_is_refused(cloud: Cloud) -> None:
    """Bytes never change under an id."""
    image = await cloud.make_active()
    document = await cloud.want(409, "alice", "PUT", f"/images/{image['id']}/file", data=DISK, headers=OCTETS)
    assert "active" in document["error"]["message"]


async def test_bytes_are_said_to_be_bytes(cloud: Cloud) -> None:
    """A browser's form is no image."""
    image = await cloud.make()
    await cloud.want(415, "alice", "PUT", f"/images/{image['id']}/file", data={"a": "b"})


async def test_deleting_ends_an_upload_that_runs(cloud: Cloud) -> None:
    """The sender is told, and no byte stays."""
    before = cloud.traces()
    image = await cloud.make()
    has_begun, is_deleted = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield LARGE
        has_begun.set()
        await is_deleted.wait()

    async def delete() -> None:
        await has_begun.wait()
        while (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] != "saving":
            await asyncio.sleep(0)
        await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}")
        is_deleted.set()

    deleting = asyncio.create_task(delete())
    path = f"/images/{image['id']}/file"
    document = await cloud.want(409, "alice", "PUT", path, data=slow(), headers=OCTETS)
    await deleting
    assert document["error"]["type"] == "cancelled"
    await cloud.want(404, "alice", "GET", f"/images/{image['id']}")
    assert cloud.traces() == before


async def test_a_sender_that_goes_away_leaves_nothing(cloud: Cloud) -> None:
    """Half an image is none: the record waits for bytes again."""
    before = cloud.traces()
    image = await cloud.make()
    host, _, port = cloud.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"PUT /v2/images/{image['id']}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: token of alice\r\n"
    fields = "Content-Type: application/octet-stream\r\nContent-Length: 3000000\r\n\r\n"
    writer.write((head + fields).encode() + LARGE[:1_000_000])
    await writer.drain()
    while (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] != "saving":
        await asyncio.sleep(0)
    writer.close()
    await reader.read()
    while (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] == "saving":
        await asyncio.sleep(0.005)
    assert cloud.traces() == before
    headers = {"X-Auth-Token": "token of alice"}
    (record,) = (await cloud.get(f"/imports?image_id={image['id']}", headers=headers))["imports"]
    assert record["verdict"]["fields"] == {
        "declared_bytes": 3_000_000,
        "received_bytes": record["progress"]["received_bytes"],
    }


async def test_a_refused_sender_gets_to_read_why(tmp_path: Path) -> None:
    """The answer comes over a connection that is closed afterwards, not reset under it."""
    async with Cloud(tmp_path, size={"max_bytes": 1000}) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}/file"
        status, document, headers = await cloud.ask(
            "alice", "PUT", path, data=io.BytesIO(LARGE), headers=OCTETS
        )
        assert (status, document["error"]["type"]) == (413, "too-many-bytes")
        status, document, headers = await cloud.ask("alice", "PUT", path, data=pieces(LARGE), headers=OCTETS)
        assert (status, document["error"]["type"]) == (413, "too-many-bytes")
        expecting = {**OCTETS, "Expect": "100-continue"}
        status, document, headers = await cloud.ask(
            "alice", "PUT", path, data=io.BytesIO(LARGE), headers=expecting
        )
        assert (status, headers["connection"]) == (413, "close")
        assert cloud.traces() == []


async def test_a_silent_sender_does_not_hold_its_slot(tmp_path: Path) -> None:
    """408, and the next one may send."""
    caps = {"max_running_per_project": 1}
    async with Cloud(tmp_path, pace={"idle_seconds": 0.3}, imports=caps) as cloud:
        image = await cloud.make()
        is_over = asyncio.Event()

        async def silent() -> AsyncIterator[bytes]:
            yield LARGE
            await is_over.wait()

        path = f"/images/{image['id']}/file"
        sending = asyncio.create_task(cloud.ask("alice", "PUT", path, data=silent(), headers=OCTETS))
        while (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] != "saving":
            await asyncio.sleep(0)
        other = await cloud.make()
        full = await cloud.want(429, "alice", "PUT", f"/images/{other['id']}/file", data=DISK, headers=OCTETS)
        assert full["error"]["type"] == "queue-full"
        status, document, _headers = await sending
        is_over.set()
        assert (status, document["error"]["type"]) == (408, "source-too-slow")
        await cloud.want(204, "alice", "PUT", f"/images/{other['id']}/file", data=DISK, headers=OCTETS)


async def test_the_operator_says_who_may_send(tmp_path: Path) -> None:
    """Where only admins upload, everybody may still import, and discovery says so to each."""
    async with Cloud(tmp_path, image_api={"upload_role": "admin"}) as cloud:
        image = await cloud.make()
        for way in ("file", "stage"):
            path = f"/images/{image['id']}/{way}"
            await cloud.want(403, "alice", "PUT", path, data=DISK, headers=OCTETS)
        methods = {
            who: (await cloud.want(200, who, "GET", "/info/import"))["import-methods"]["value"]
            for who in ("alice", "root")
        }
        assert methods == {"alice": ["web-download"], "root": ["glance-direct", "web-download"]}
        body = {"method": {"name": "glance-direct"}}
        await cloud.want(400, "alice", "POST", f"/images/{image['id']}/import", json=body)
        await cloud.want(204, "root", "PUT", f"/images/{image['id']}/file", data=DISK, headers=OCTETS)


async def test_the_operator_may_leave_uploads_unjudged(tmp_path: Path) -> None:
    """Then formats have to be said, and stay as they were said; size and digests are kept all the same."""
    async with Cloud(tmp_path, format={"enforce_on_upload": False}) as cloud:
        image = await cloud.make_active(DISK, disk_format="qcow2")
        assert image.items() >= (digests(DISK) | {"disk_format": "qcow2", "virtual_size": None}).items()
        vague = await cloud.make(disk_format=None)
        document = await cloud.want(
            400, "alice", "PUT", f"/images/{vague['id']}/file", data=DISK, headers=OCTETS
        )
        assert "disk_format" in document["error"]["message"]


async def test_nginx_may_send_the_bytes(tmp_path: Path) -> None:
    """The answer names the place inside its location; the digests come with it."""
    async with Cloud(tmp_path, server={"x_accel_location": "/blobs"}) as cloud:
        image = await cloud.make_active()
        status, body, headers = await cloud.fetch("alice", image["id"])
        sha256 = hashlib.sha256(DISK).hexdigest()
        assert (status, body) == (200, b"")
        assert headers["x-accel-redirect"] == f"/blobs/{sha256[:2]}/{sha256}"
        assert headers["etag"] == f'"{sha256}"'
        assert (await cloud.fetch("bob", image["id"]))[0] == 404


async def test_staged_bytes_outlive_a_crash_and_half_an_upload_does_not(tmp_path: Path) -> None:
    """What was acknowledged is there after a kill; what was under way is undone, and says so."""
    async with Process(config(tmp_path)) as service:
        made = [
            (await service.call("POST", "/v2/images", json={"disk_format": "raw"}))[1]["id"] for _ in range(2)
        ]
        staged, half = (f"/v2/images/{image_id}" for image_id in made)
        status, _ = await service.call("PUT", f"{staged}/stage", data=io.BytesIO(LARGE), headers=OCTETS)
        assert status == 204

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield raw(1000)
                await asyncio.sleep(0)

        sending = asyncio.create_task(service.call("PUT", f"{half}/file", data=endless(), headers=OCTETS))
        while (await service.call("GET", half))[1]["status"] != "saving":
            await asyncio.sleep(0)
        await service.kill()
        await asyncio.wait({sending})
        assert sending.exception() is not None
        await service.start()
        assert (await service.call("GET", half))[1]["status"] == "queued"
        (record,) = (await service.call("GET", f"/imports?image_id={made[1]}"))[1]["imports"]
        assert (record["state"], record["verdict"]["code"]) == ("failed", "interrupted")
        body = {"method": {"name": "glance-direct"}}
        assert (await service.call("POST", f"{staged}/import", json=body))[0] == 202
        assert (await service.call("GET", staged))[1]["os_hash_value"] == hashlib.sha512(LARGE).hexdigest()
        await service.kill()
        agree(tmp_path / "data")
