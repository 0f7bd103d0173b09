"""Clients of the Image API choose a disk and a format: in the import's call, or by the image's properties."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.guards.stream.formats.build import iso
from tests.importer.stages.test_converting import DISK, image_of
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.unpack.making import make_disk, make_tar, pack

SECOND = make_disk(2 << 20, seed=8)
ARCHIVE = make_tar([("a.raw", DISK), ("b.raw", SECOND)])
OCTETS = {"Content-Type": "application/octet-stream"}


async def make_image(service: Running, **fields: Any) -> str:
    """Make an image that waits for bytes; return its path."""
    status, image, _headers = await service.call(
        "POST", "/v2/images", json={"container_format": "bare", **fields}
    )
    assert status == 201, image
    return f"/v2/images/{image['id']}"


async def until_active(service: Running, path: str) -> dict[str, Any]:
    """Follow an image until its bytes are there."""
    while (shown := await service.get(path))["status"] != "active":
        assert shown["status"] in ("queued", "importing", "uploading")
    return dict(shown)


@pytest.mark.parametrize(
    ("properties", "method"),
    [({}, {"disk": "b.raw"}), ({"import_disk": "2"}, {}), ({"import_disk": "a.raw"}, {"disk": "2"})],
)
async def test_web_download_chooses_a_disk(
    properties: dict[str, str], method: dict[str, str], tmp_path: Path
) -> None:
    """`disk` of the method or `import_disk` of the image chooses; what the call says counts more."""
    async with Origin({"/x": behaviours.serve(ARCHIVE)}) as origin, Running(tmp_path, origin) as service:
        path = await make_image(service, disk_format="raw", **properties)
        call = {"method": {"name": "web-download", "uri": origin.url("/x"), **method}}
        assert (await service.call("POST", f"{path}/import", json=call))[0] == 202
        assert (await until_active(service, path))["size"] == len(SECOND)
        [task] = (await service.get(f"{path}/tasks"))["tasks"]
        shown = task["input"]["import_req"]["method"]
        assert shown["disk"] == method.get("disk", properties.get("import_disk"))


@pytest.mark.parametrize("by", ["method", "property"])
async def test_web_download_converts(by: str, tmp_path: Path) -> None:
    """`convert_to` gives the image its other format, its size and its virtual size."""
    body = image_of(tmp_path, DISK, "qcow2")
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        asked = {"import_convert_to": "raw"} if by == "property" else {}
        path = await make_image(service, disk_format="qcow2", **asked)
        call: dict[str, Any] = {"name": "web-download", "uri": origin.url("/x")}
        call |= {"convert_to": "raw"} if by == "method" else {}
        assert (await service.call("POST", f"{path}/import", json={"method": call}))[0] == 202
        shown = await until_active(service, path)
        assert (shown["disk_format"], shown["size"], shown["virtual_size"]) == ("raw", len(DISK), len(DISK))


@pytest.mark.parametrize(
    "method", [{"convert_to": "vmdk"}, {"convert_to": "qcow2"}, {"disk": 2}, {"convert": "raw"}]
)
async def test_what_cannot_be_asked_for(method: dict[str, Any], tmp_path: Path) -> None:
    """An unknown or unoffered format, or a field of another type, is refused by name at once."""
    only_raw = {"convert": {"offered": ["raw"]}}
    async with (
        Origin({"/x": behaviours.serve(DISK)}) as origin,
        Running(tmp_path, origin, **only_raw) as service,
    ):
        path = await make_image(service, disk_format="raw")
        call = {"method": {"name": "web-download", "uri": origin.url("/x"), **method}}
        status, problem, _headers = await service.call("POST", f"{path}/import", json=call)
        assert status == 400, problem
        assert next(iter(method)) in str(problem)
        assert (await service.get(path))["status"] == "queued"


async def test_an_unoffered_property_refuses_an_upload(tmp_path: Path) -> None:
    """Bytes for an image that asks for what is not offered are refused before they are taken."""
    async with Running(tmp_path, convert={"offered": []}) as service:
        path = await make_image(service, disk_format="raw", import_convert_to="qcow2")
        sent = io.BytesIO(DISK)
        status, problem, _headers = await service.call("PUT", f"{path}/file", data=sent, headers=OCTETS)
        assert status == 400
        assert "does not offer qcow2" in str(problem)
        assert service.traces() == []


UPLOADS = [
    ("asked", {}, "qcow2"),
    ("asked", {"import_convert_to": "raw"}, "raw"),
    ("never", {"import_convert_to": "raw"}, "qcow2"),
    ("always", {}, "raw"),
    ("always", {"import_convert_to": "as-received"}, "qcow2"),
]


@pytest.mark.parametrize(("rule", "properties", "found"), UPLOADS)
async def test_plain_uploads_by_rule(
    rule: str, properties: dict[str, str], found: str, tmp_path: Path
) -> None:
    """What is sent is converted only where the operator's rule and the image say so; packed or not."""
    body = pack("xz", image_of(tmp_path, DISK, "qcow2"))
    async with Running(tmp_path, convert={"target": "raw", "uploads": rule}) as service:
        path = await make_image(service, disk_format="qcow2", **properties)
        status, _answer, _headers = await service.call(
            "PUT", f"{path}/file", data=io.BytesIO(body), headers=OCTETS
        )
        assert status == 204
        shown = await service.get(path)
        assert (shown["status"], shown["disk_format"]) == ("active", found)
        assert len(service.traces()) == 1


async def test_an_upload_is_converted_while_it_comes(tmp_path: Path) -> None:
    """Before half of an image has been sent, the one file that there is begins as its disk does."""
    body = image_of(tmp_path, DISK, "qcow2")
    staging = tmp_path / "data" / "staging"

    async def send() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        while not any(path.read_bytes()[:4096] == DISK[:4096] for path in staging.iterdir()):
            await asyncio.sleep(0)
        yield body[len(body) // 2 :]

    async with Running(tmp_path) as service:
        path = await make_image(service, disk_format="qcow2", import_convert_to="raw")
        status, answer, _headers = await service.call("PUT", f"{path}/file", data=send(), headers=OCTETS)
        assert status == 204, answer
        shown = await service.get(path)
        assert (shown["disk_format"], shown["size"]) == ("raw", len(DISK))
        assert shown["os_hash_value"] == hashlib.sha512(DISK).hexdigest()
        assert len(service.traces()) == 1


async def test_an_upload_in_any_order_is_taken_in_whole_first(tmp_path: Path) -> None:
    """The order of a VMDK shows only while it comes, and nobody could be asked for it again."""
    body = image_of(tmp_path, DISK, "vmdk", "subformat=streamOptimized")
    async with Running(tmp_path) as service:
        path = await make_image(service, disk_format="vmdk", import_convert_to="raw")
        sent = io.BytesIO(body)
        assert (await service.call("PUT", f"{path}/file", data=sent, headers=OCTETS))[0] == 204
        shown = await service.get(path)
        assert (shown["disk_format"], shown["size"]) == ("raw", len(DISK))


async def test_an_upload_past_a_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sender is told to make it anew; nothing is left of either file."""
    monkeypatch.setattr("fetcher.convert.streaming.mapped.MAX_PENDING", 8)
    body = image_of(tmp_path, DISK, "qcow2")
    async with Running(tmp_path) as service:
        path = await make_image(service, disk_format="qcow2", import_convert_to="raw")
        sent = io.BytesIO(body)
        status, answer, _headers = await service.call("PUT", f"{path}/file", data=sent, headers=OCTETS)
        assert (status, answer["error"]["type"]) == (400, "conversion-failed")
        assert "too many clusters" in str(answer)
        assert "qemu-img convert" in str(answer)
        assert service.traces() == []
        assert list((tmp_path / "data" / "staging").iterdir()) == []


async def test_an_iso_is_never_converted(tmp_path: Path) -> None:
    """A disc stays a disc, whatever the rule."""
    async with Running(tmp_path, convert={"target": "raw", "uploads": "always"}) as service:
        path = await make_image(service, disk_format="iso")
        sent = io.BytesIO(iso())
        status, answer, _headers = await service.call("PUT", f"{path}/file", data=sent, headers=OCTETS)
        assert status == 204, answer
        assert (await service.get(path))["disk_format"] == "iso"


async def test_staged_bytes_for_glance_direct(tmp_path: Path) -> None:
    """What is staged is taken out of its archive and converted, so that the import is one step."""
    body = make_tar([("a.qcow2", image_of(tmp_path, DISK, "qcow2")), ("b.raw", SECOND)])
    async with Running(tmp_path) as service:
        asked = {"import_disk": "a.qcow2", "import_convert_to": "raw"}
        path = await make_image(service, disk_format="qcow2", **asked)
        sent = io.BytesIO(body)
        assert (await service.call("PUT", f"{path}/stage", data=sent, headers=OCTETS))[0] == 204
        call = {"method": {"name": "glance-direct"}}
        assert (await service.call("POST", f"{path}/import", json=call))[0] == 202
        shown = await until_active(service, path)
        assert (shown["disk_format"], shown["size"]) == ("raw", len(DISK))


async def test_discovery_says_how_to_ask(tmp_path: Path) -> None:
    """The limits name both properties, what is offered, and the rule for uploads."""
    async with Running(tmp_path) as service:
        told = await service.get("/v2/info/import")
        assert "import_disk" in told["unpack_enabled"]["description"]
        assert "import_convert_to" in told["convert_offered"]["description"]
        assert told["convert_uploads"]["value"] == "asked"
