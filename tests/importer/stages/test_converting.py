"""Images become what the operator's cloud boots: in the service, before anybody sees them."""

import gzip
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fetcher.convert.boot import verify_boot
from fetcher.convert.sandbox import probe_walls
from fetcher.crash import VARIABLE
from tests.convert.sector import make_disk as make_boot_disk
from tests.images import qcow2, raw
from tests.importer.stages.test_unpacking import bytes_of, sha256
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config
from tests.unpack.appliances import appliance, manifest
from tests.unpack.making import make_disk, make_tar, make_zip, pack

MIB = 1 << 20
MARKER = "The last sector was read."
DISK = make_disk(6 * MIB)
TO_RAW = {"convert": {"target": "raw"}}


def image_of(folder: Path, disk: bytes, form: str, options: str = "") -> bytes:
    """Make an image of a disk with qemu-img."""
    source, target = folder / "source.raw", folder / f"image.{form}"
    source.write_bytes(disk)
    more = ["-o", options] if options else []
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *more, source, target], check=True)
    return target.read_bytes()


FORMS = [
    ("qcow2", "qcow2", "", "one-pass"),
    ("qcow2", "qcow2", "extended_l2=on,cluster_size=131072", "qemu-img"),
    ("vmdk", "vmdk", "subformat=streamOptimized", "one-pass"),
    ("vmdk", "vmdk", "", "qemu-img"),
    ("vdi", "vdi", "", "one-pass"),
    ("vpc", "vhd", "force_size=on", "one-pass"),
    ("vhdx", "vhdx", "", "qemu-img"),
]


@pytest.mark.parametrize(("form", "disk_format", "options", "way"), FORMS)
async def test_the_operators_target(
    form: str, disk_format: str, options: str, way: str, tmp_path: Path
) -> None:
    """Every format becomes raw with the disk's own bytes; the story tells how, and both digests."""
    body = image_of(tmp_path, DISK, form, options)
    promise = f"sha256:{sha256(body)}"
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format=disk_format, checksum=promise)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert (ended["verified_by"], ended["format"]["disk_format"]) == ("submitter", "raw")
        assert (await bytes_of(service, ended))[: len(DISK)] == DISK
        image = await service.get(f"/v2/images/{ended['image_id']}")
        assert (image["disk_format"], image["virtual_size"]) == ("raw", image["size"])
        told = (await service.get(f"/imports/{ended['id']}/provenance"))["stages"]
        assert (told["converted"]["from"], told["converted"]["to"]) == (disk_format, "raw")
        assert told["converted"]["way"] == way
        assert told["received"]["digests"]["sha256"] == sha256(body)
        assert len(service.traces()) == 1


async def test_a_submission_asks_within_what_is_offered(tmp_path: Path) -> None:
    """convert_to chooses another format, or none; what the operator does not offer is refused at once."""
    body = image_of(tmp_path, DISK, "qcow2")
    sections = {"convert": {"target": "raw", "offered": ["as-received"]}}
    serve = behaviours.serve(body)
    async with Origin({"/x": serve}) as origin, Running(tmp_path, origin, **sections) as service:
        url = {"url": origin.url("/x"), "disk_format": "qcow2"}
        ended = await service.run(**url, convert_to="as-received")
        assert (ended["stages"], ended["submission"]["convert_to"]) == ({}, "as-received")
        status, problem, _headers = await service.call(
            "POST", "/imports", json={**url, "convert_to": "qcow2"}
        )
        assert (status, problem["code"]) == (400, "request-invalid")
        limits = (await service.get("/limits"))["limits"]
        assert limits["convert_target"]["value"] == "raw"
        assert limits["conversion_walls"]["value"]
        assert (await service.get("/v2/info/import"))["convert_target"]["value"] == "raw"


async def test_raw_becomes_qcow2(tmp_path: Path) -> None:
    """The other direction works in the sandbox, and its result is judged as a qcow2."""
    async with Origin({"/x": behaviours.serve(DISK)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), convert_to="qcow2")
        assert ended["state"] == "succeeded", ended["verdict"]
        assert (ended["format"]["disk_format"], ended["format"]["virtual_bytes"]) == ("qcow2", len(DISK))
        assert ended["stages"]["converted"]["way"] == "qemu-img"


async def test_a_refused_conversion_leaves_nothing(tmp_path: Path) -> None:
    """Tables that name one place twice end in a typed refusal, without a trace."""
    body = bytearray(image_of(tmp_path, DISK, "qcow2"))
    l1_table = int.from_bytes(body[40:48], "big")
    l2_table = int.from_bytes(body[l1_table : l1_table + 8], "big") & ~(1 << 63)
    body[l2_table : l2_table + 8] = body[l2_table + 8 : l2_table + 16]  # Two clusters on one place.
    async with (
        Origin({"/x": behaviours.serve(bytes(body))}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "format-unsafe")
        assert service.traces() == []


async def test_the_result_is_held_to_the_cap(tmp_path: Path) -> None:
    """A small image of a large disk is refused before it is written out."""
    body = qcow2(1 << 30)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2", max_bytes=64 * MIB)
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "too-many-bytes")
        assert service.traces() == []


async def test_the_image_api_sees_the_effect(tmp_path: Path) -> None:
    """web-download into an image that was said to be qcow2 gives a raw one where the operator wants that."""
    body = image_of(tmp_path, DISK, "qcow2")
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        fields = {"disk_format": "qcow2", "container_format": "bare"}
        _status, image, _headers = await service.call("POST", "/v2/images", json=fields)
        method = {"method": {"name": "web-download", "uri": origin.url("/x")}}
        await service.call("POST", f"/v2/images/{image['id']}/import", json=method)
        while (shown := await service.get(f"/v2/images/{image['id']}"))["status"] != "active":
            assert shown["status"] in ("queued", "importing")
        assert (shown["disk_format"], shown["size"]) == ("raw", len(DISK))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_stop_in_a_conversion(how: signal.Signals, tmp_path: Path) -> None:
    """Whatever ends the service while it converts, the next start makes the image whole."""
    disk = raw(48 * MIB)
    body = image_of(tmp_path, disk, "vhdx")
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Process(config(tmp_path, origin, **TO_RAW)) as service,
    ):
        created = (
            await service.call("POST", "/imports", json={"url": origin.url("/x"), "disk_format": "vhdx"})
        )[1]
        phase = ""
        while phase != "converting":
            phase = (await service.call("GET", f"/imports/{created['id']}"))[1]["phase"]
        await service.kill(how)
        await service.start()
        ended = await service.until(created["id"], "succeeded", "failed", "refused")
        assert ended["digests"]["sha256"] == sha256(disk)
        await service.kill()
        agree(tmp_path / "data")


async def test_a_cancel_in_a_conversion(tmp_path: Path) -> None:
    """Cancelling ends the conversion, and nothing of it is left."""
    body = image_of(tmp_path, raw(48 * MIB), "vhdx")
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        created = await service.submit(url=origin.url("/x"), disk_format="vhdx")
        phase = ""
        while phase != "converting":
            phase = (await service.get(f"/imports/{created['id']}"))["phase"]
        assert (await service.call("DELETE", f"/imports/{created['id']}"))[0] == 204
        assert service.traces() == []


CHAINS = {
    "qcow2.xz": lambda image: pack("xz", image),
    "qcow2.gz": gzip.compress,
    "qcow2.zst": lambda image: pack("zstd", image),
    "qcow2.bz2": lambda image: pack("bzip2", image),
    "qcow2.tar.gz": lambda image: gzip.compress(make_tar([("disk.qcow2", image)])),
    "qcow2.zip": lambda image: make_zip([("disk.qcow2", image)]),
}


@pytest.mark.needs("qemu-img", "qemu-system-x86_64")
@pytest.mark.parametrize("name", CHAINS)
async def test_what_was_packed_boots(name: str, tmp_path: Path) -> None:
    """Through the whole service: packed in, a raw image out that finds its last sector in a machine."""
    disk = make_boot_disk(tmp_path / "disk", MARKER, size=8 * MIB).read_bytes()
    body = CHAINS[name](image_of(tmp_path, disk, "qcow2", "compression_type=zstd"))
    ended = await boots(tmp_path, body, disk)
    assert ended["state"] == "succeeded"


@pytest.mark.needs("qemu-img", "qemu-system-x86_64")
async def test_an_appliance_boots(tmp_path: Path) -> None:
    """An OVA becomes the raw disk of its VMDK, and boots."""
    disk = make_boot_disk(tmp_path / "disk", MARKER, size=8 * MIB).read_bytes()
    vmdk = image_of(tmp_path, disk, "vmdk", "subformat=streamOptimized")
    members = [(name, vmdk if name == "disk1.vmdk" else content) for name, content in appliance()]
    ended = await boots(tmp_path, make_tar([*members, manifest(members, "SHA256")]), disk)
    assert ended["stages"]["converted"] == {"from": "vmdk", "to": "raw", "way": "one-pass", "why": ""}


async def boots(folder: Path, body: bytes, disk: bytes) -> dict[str, Any]:
    """Import a file with the target raw, and boot what came of it."""
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(folder, origin, **TO_RAW) as service:
        ended = await service.run(url=origin.url("/x"), disk_format=None)
        assert ended["state"] == "succeeded", ended["verdict"]
        image = await bytes_of(service, ended)
        assert image == disk
        path = folder / "downloaded.raw"
        path.write_bytes(image)
        walls = await probe_walls()
        proof = await verify_boot(path, disk_format="raw", marker=MARKER, seconds=90, walls=walls)
        assert proof.verdict == "boots", proof
        return ended


@pytest.mark.parametrize(
    "step",
    ["store.staged:1", "store.written:1", "importer.announced:1", "store.renamed:1", "store.settled:1"],
)
@pytest.mark.parametrize("target", ["as-received", "raw"])
async def test_killed_at_a_step_of_a_packed_import(step: str, target: str, tmp_path: Path) -> None:
    """Wherever it dies, even between last byte and row, the next start ends with the promised image."""
    body = pack("xz", image_of(tmp_path, DISK, "qcow2"))
    kept = DISK if target == "raw" else image_of(tmp_path, DISK, "qcow2")
    sections = {"convert": {"target": target}}
    async with Origin({"/x": behaviours.serve(body)}) as origin:
        service = Process(config(tmp_path, origin, **sections))
        service.environment = {VARIABLE: step}
        await service.start()
        sent = {"url": origin.url("/x"), "checksum": f"sha256:{sha256(body)}"}
        with suppress(aiohttp.ClientError, OSError, AssertionError):
            created = (await service.call("POST", "/imports", json=sent))[1]
            await service.until(created["id"], "succeeded", "refused", "failed")
        await service.kill()
        service.environment = {}
        await service.start()
        [ended] = (await service.call("GET", "/imports"))[1]["imports"]
        ended = await service.until(ended["id"], "succeeded", "refused", "failed")
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter")
        assert ended["digests"]["sha256"] == sha256(kept)
        await service.kill()
        agree(tmp_path / "data")
