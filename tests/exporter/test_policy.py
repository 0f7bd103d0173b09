"""What may leave, to whom and how much: nothing at first, and never what nobody could use."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fetcher.api.services import Services
from fetcher.service import background
from tests.exporter.buckets import Bucket
from tests.exporter.places import image_for
from tests.exporter.test_put import IMAGE, ended, push
from tests.exporter.test_s3 import bucket_of, pushed
from tests.images import qcow2
from tests.importer.schemes.test_s3 import BODY
from tests.service import Running

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


async def refused(service: Running, image_id: str, **fields: Any) -> dict[str, Any]:
    """Submit an export that is not taken."""
    status, problem, _ = await service.call("POST", "/exports", json={"image": image_id, **fields})
    assert status >= 400, problem
    return dict(problem)


async def test_each_way_is_allowed_for_itself(tmp_path: Path) -> None:
    """Who lets images into buckets lets them nowhere else; discovery says which ways there are."""
    bucket = Bucket()
    async with (
        bucket.server() as server,
        image_for(tmp_path, IMAGE, server, kinds=["s3"]) as (service, image_id),
    ):
        for url in (f"{server.base}/x", f"oci://{server.host}:{server.port}/a:b", f"glance+{server.base}"):
            assert (await refused(service, image_id, url=url))["code"] == "receiver-forbidden"
        assert server.asked == []
        assert (await pushed(service, image_id, **bucket_of(server)))["state"] == "succeeded"
        told = (await service.get("/limits"))["limits"]
        assert told["export_kinds"]["value"] == ["s3"]


@pytest.mark.parametrize("name", ["os_encrypt_key_id", "cinder_encryption_key_id"])
async def test_an_encrypted_image_stays(tmp_path: Path, name: str) -> None:
    """Its key is in a key manager here: the bytes alone are of no use to whoever gets them."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        change = json.dumps([{"op": "add", "path": f"/{name}", "value": "k"}])
        status, _, _ = await service.call("PATCH", f"/v2/images/{image_id}", data=change, headers=PATCH)
        assert status == 200
        problem = await refused(service, image_id, **bucket_of(server))
        assert (problem["code"], name in problem["title"] + problem["detail"]) == ("conflict", True)
        assert server.asked == []


async def test_an_image_that_is_deactivated_meanwhile_is_not_sent(tmp_path: Path) -> None:
    """It is looked at again before each attempt, and its receiver is told nothing more of it."""
    bucket = Bucket()

    async def busy(_asked: Any) -> Any:
        status, _, _ = await service.call("POST", f"/v2/images/{image_id}/actions/deactivate")
        assert status == 204
        return None

    bucket.faults["PUT"] = [busy]
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        done = await pushed(service, image_id, **bucket_of(server))
        assert (done["state"], done["verdict"]["code"]) == ("failed", "conflict")
        assert "deactivated" in done["verdict"]["title"]
        assert bucket.objects == {}
        assert (await refused(service, image_id, **bucket_of(server)))["code"] == "conflict"


async def test_an_image_that_is_deleted_meanwhile_is_not_sent_again(tmp_path: Path) -> None:
    """Its export ends, with a name of its own."""
    bucket = Bucket()

    async def busy(_asked: Any) -> Any:
        status, _, _ = await service.call("DELETE", f"/v2/images/{image_id}")
        assert status == 204
        return None

    bucket.faults["PUT"] = [busy]
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        done = await pushed(service, image_id, **bucket_of(server))
        assert (done["state"], done["verdict"]["code"]) == ("failed", "unknown-image")
        assert bucket.objects == {}


async def test_a_disk_is_converted_on_its_way_out(tmp_path: Path) -> None:
    """The receiver gets the raw disk, whose size and digest the export tells; nothing of it stays here."""
    bucket, small = Bucket(), qcow2(4 << 20, clusters=8)
    async with bucket.server() as server, image_for(tmp_path, small, server) as (service, image_id):
        done = await pushed(service, image_id, **bucket_of(server, format="raw", verify=True))
        assert done["state"] == "succeeded", done["verdict"]
        (sent,) = bucket.objects.values()
        assert done["progress"] == {"sent_bytes": len(sent), "size": len(sent), "percent": 100}
        image = await service.get(f"/v2/images/{image_id}")
        assert len(sent) == image["virtual_size"] != image["size"]
        assert sent[:4] != b"QFI\xfb"
        assert done["digests"]["sha256"] == bucket.fields["/images/a/disk.img"]["x-amz-meta-sha256"]
        assert done["options"]["format"] == "raw"
        assert list((service.data / "staging").iterdir()) == []
        same = await push(
            service, image_id, "s3://images/as-it-is", **_without(bucket_of(server)), format="qcow2"
        )
        assert (await ended(service, same["id"]))["state"] == "succeeded"
        assert bucket.objects["/images/as-it-is"] == small


def _without(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "url"}


async def test_only_what_is_offered_is_converted_and_its_size_counts(tmp_path: Path) -> None:
    """The operator's list holds on the way out too, and a day's bytes are those that may be sent."""
    bucket = Bucket()
    sections = {"convert": {"offered": ["as-received", "raw"]}}
    async with (
        bucket.server() as server,
        image_for(tmp_path, IMAGE, server, sections=sections, max_bytes_per_day=len(IMAGE) + 1) as (
            service,
            image_id,
        ),
    ):
        problem = await refused(service, image_id, **bucket_of(server, format="qcow2"))
        assert problem["field"] == "format"
        problem = await refused(service, image_id, **bucket_of(server, format="raw"))
        assert problem["code"] == "send-limit"
        assert server.asked == []


async def test_what_a_put_has_brought_is_read_where_that_is_possible(tmp_path: Path) -> None:
    """A URL signed for PUT gives nothing back, which is told; another URL does, and other bytes fail."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        url = f"{server.base}/put"
        done = await pushed(service, image_id, url=url, verify=True)
        assert (done["state"], done["read_back"]["result"]) == ("succeeded", "not-possible")
        assert "read_url" in done["read_back"]["reason"]
        done = await pushed(service, image_id, url=url, verify=True, read_url=url)
        assert done["read_back"]["result"] == "matched"
        bucket.objects["/other"] = BODY
        done = await pushed(service, image_id, url=url, verify=True, read_url=f"{server.base}/other")
        assert (done["state"], done["verdict"]["code"]) == ("failed", "receiver-mismatch")
        assert (await pushed(service, image_id, url=url))["read_back"] is None
        problem = await refused(service, image_id, url=url, read_url="http://evil.example/")
        assert problem["code"] == "receiver-forbidden"


async def test_exports_begin_when_the_staging_area_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start removes what is staged and nobody's: what exports convert must not be there yet."""
    begun: list[bool] = []
    honest = background.take_up

    async def take_up(services: Services) -> None:
        begun.append("exports" in {task.get_name() for task in asyncio.all_tasks()})
        await honest(services)

    monkeypatch.setattr(background, "take_up", take_up)
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        assert (await pushed(service, image_id, **bucket_of(server)))["state"] == "succeeded"
    assert begun == [False]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"s3": {"region": "x"}}, "s3"),
        ({"token": "t"}, "token"),
        ({"layout": "containerdisk"}, "layout"),
        ({"url": "oci://127.0.0.1/a:b", "read_url": "https://127.0.0.1/"}, "read_url"),
    ],
)
async def test_what_is_of_no_use_is_refused(tmp_path: Path, fields: dict[str, Any], name: str) -> None:
    """Credentials for another kind of receiver are a mistake, and are not kept."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        problem = await refused(service, image_id, **{"url": f"{server.base}/d", **fields})
        assert (problem["code"], problem["field"]) == ("request-invalid", name)
