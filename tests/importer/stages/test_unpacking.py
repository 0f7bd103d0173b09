"""What is published packed becomes the image that is inside, through the whole service, or leaves nothing."""

import gzip
import hashlib
import io
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config
from tests.unpack.appliances import appliance, manifest
from tests.unpack.making import make_disk, make_tar, make_zip, pack

MIB = 1 << 20
DISK = make_disk(5 * MIB + 512)
QCOW2 = qcow2(1 << 30, clusters=20, seed=3)
CODECS = ("gzip", "pigz", "xz", "zstd", "bzip2", "lz4")
CAP = 64 * MIB
TAG = {"ETag": '"v1"', "Accept-Ranges": "bytes"}


def packed_as(packing: str, content: bytes) -> bytes:
    """Pack an image the way it is published."""
    if packing == "zip":
        return make_zip([("disk.img", content)])
    if packing == "tar":
        return make_tar([("disk.img", content)])
    if packing.startswith("tar."):
        return pack(packing.removeprefix("tar."), make_tar([("disk.img", content)]))
    return pack(packing, content)


def sha256(content: bytes) -> str:
    """Return the digest."""
    return hashlib.sha256(content).hexdigest()


async def bytes_of(service: Running, ended: dict[str, Any]) -> bytes:
    """Download the image of an import."""
    async with service.client.get(f"/v2/images/{ended['image_id']}/file") as answer:
        assert answer.status == 200
        return await answer.read()


@pytest.mark.parametrize(("image", "disk_format"), [(DISK, "raw"), (QCOW2, "qcow2"), (QCOW2, None)])
@pytest.mark.parametrize("packing", [*CODECS, "zip", "tar", "tar.gzip", "tar.xz"])
async def test_whole(packing: str, image: bytes, disk_format: str | None, tmp_path: Path) -> None:
    """The image is what was packed; both digests are told, and the promise speaks of what was received."""
    body = packed_as(packing, image)
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        promise = f"sha256:{sha256(body)}"
        ended = await service.run(url=origin.url("/x"), disk_format=disk_format, checksum=promise)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["verified_by"] == "submitter"
        assert ended["digests"]["sha256"] == sha256(image)
        assert ended["stages"]["received"]["bytes"] == len(body) == ended["progress"]["received_bytes"]
        assert ended["stages"]["received"]["digests"]["sha256"] == sha256(body)
        assert ended["format"]["disk_format"] == (disk_format or "qcow2")
        shown = await service.get(f"/v2/images/{ended['image_id']}")
        assert (shown["size"], shown["container_format"]) == (len(image), "bare")
        assert shown["checksum"] == hashlib.md5(image, usedforsecurity=False).hexdigest()
        assert shown["os_hash_value"] == hashlib.sha512(image).hexdigest()
        assert await bytes_of(service, ended) == image
        story = await service.get(f"/imports/{ended['id']}/provenance")
        codec = packing.rpartition(".")[2].replace("pigz", "gzip")
        assert story["stages"]["unpacked"]["plan"].startswith(codec)
        assert len(service.traces()) == 1


def flipped(body: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


@pytest.mark.parametrize("packing", [*CODECS, "zip", "tar.gzip"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "trailing"])
async def test_harmed(packing: str, harm: str, tmp_path: Path) -> None:
    """A file that is cut, damaged or followed by something else is refused and leaves nothing."""
    whole = packed_as(packing, DISK)
    body = {"cut": whole[:-9], "flipped": flipped(whole), "trailing": whole + b"something else"}[harm]
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "unpack-failed")
        assert ended["verdict"]["advice"]
        assert service.traces() == []


@pytest.mark.parametrize("packing", [*CODECS, "zip", "tar.gzip"])
async def test_bomb(packing: str, tmp_path: Path) -> None:
    """What comes out is held to the cap of the import, however little came in, and to a mebibyte of it."""
    body = packed_as(packing, bytes(80 * MIB))
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), max_bytes=CAP)
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "too-many-bytes")
        assert service.traces() == []


async def test_every_guard_judges_what_comes_out(tmp_path: Path) -> None:
    """An unsafe image is unsafe in its packing, too; so is one that is not what was claimed."""
    unsafe = bytearray(QCOW2)
    unsafe[8:16] = (4096).to_bytes(8, "big")
    unsafe[16:20] = (12).to_bytes(4, "big")  # A backing file.
    routes = {
        "/unsafe": behaviours.serve(gzip.compress(bytes(unsafe))),
        "/other": behaviours.serve(pack("xz", QCOW2)),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/unsafe"), disk_format="qcow2")
        assert ended["verdict"]["code"] == "format-unsafe"
        ended = await service.run(url=origin.url("/other"), disk_format="iso")
        assert ended["verdict"]["code"] == "format-mismatch"
        assert service.traces() == []


async def test_the_quota_counts_what_comes_out(tmp_path: Path) -> None:
    """A small packed file does not get past a project's quota."""
    body = gzip.compress(bytes(8 * MIB))
    quota = {"quota": {"max_bytes": MIB}}
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **quota) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == "quota-exceeded"
        assert service.traces() == []


@pytest.mark.parametrize("packing", ["gzip", "xz", "zip"])
async def test_a_broken_connection_costs_nothing(packing: str, tmp_path: Path) -> None:
    """The decoder stays: every packed byte is asked for once."""
    image = raw(2 * MIB)
    body = packed_as(packing, image)
    cuts = [behaviours.cut(body, 400_000, fields=TAG) for _ in range(3)]
    turns = behaviours.in_turn(*cuts, behaviours.serve(body, etag='"v1"'))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert [attempt["offset"] for attempt in ended["attempts"]] == [0, 400_000, 800_000, 1_200_000]
        assert origin.sent_bytes == len(body)
        assert await bytes_of(service, ended) == image


@pytest.mark.parametrize("packing", ["gzip", "xz", "zstd", "bzip2", "lz4", "zip", "tar"])
async def test_a_crash_asks_for_the_packed_bytes_again(packing: str, tmp_path: Path) -> None:
    """After kill -9 the packed bytes come anew from the first; the image is whole, nothing half is left."""
    image = raw(3 * MIB)
    body = packed_as(packing, image)
    often = {"resume": {"checkpoint_bytes": 262_144, "mark_bytes": 65_536, "save_seconds": 0.05}}
    stalling = behaviours.stall(body, len(body) // 2, fields=TAG)
    turns = behaviours.in_turn(stalling, behaviours.serve(body, etag='"v1"'))
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin, **often)) as service:
        sent = {"url": origin.url("/x"), "disk_format": "raw"}
        created = (await service.call("POST", "/imports", json=sent))[1]
        while origin.sent_bytes < len(body) // 2:
            await service.until(created["id"], "running")
        await service.kill()
        await service.start()
        ended = await service.until(created["id"], "succeeded", "failed", "refused")
        assert ended["digests"]["sha256"] == sha256(image)
        assert [attempt["offset"] for attempt in ended["attempts"]] == [0, 0]
        await service.kill()
        agree(tmp_path / "data")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_stop_never_keeps_half_an_image(signal_number: signal.Signals, tmp_path: Path) -> None:
    """A packed import that a stop cuts off is parked without its bytes."""
    body = pack("gzip", raw(2 * MIB))
    turns = behaviours.in_turn(
        behaviours.stall(body, 1_500_000, fields=TAG), behaviours.serve(body, etag='"v1"')
    )
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin)) as service:
        sent = {"url": origin.url("/x"), "disk_format": "raw", "checksum": f"sha256:{sha256(body)}"}
        created = (await service.call("POST", "/imports", json=sent))[1]
        while origin.sent_bytes < 1_500_000:
            await service.until(created["id"], "running")
        await service.kill(signal_number)
        if signal_number == signal.SIGTERM:
            assert [*(tmp_path / "data" / "staging").iterdir()] == []
        await service.start()
        ended = await service.until(created["id"], "succeeded", "failed", "refused")
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter")


async def test_what_is_asked_for_packed_stays_packed(tmp_path: Path) -> None:
    """container_format compressed keeps the bytes as they were published."""
    body = pack("xz", QCOW2)
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        claims = {"disk_format": "qcow2", "container_format": "compressed"}
        ended = await service.run(url=origin.url("/x"), **claims)
        assert (ended["state"], ended["stages"]) == ("succeeded", {})
        assert await bytes_of(service, ended) == body


async def test_an_operator_turns_it_off(tmp_path: Path) -> None:
    """Without unpacking, a packed file is kept as one, as before."""
    body = pack("xz", QCOW2)
    off = {"unpack": {"enabled": False}}
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin, **off) as service:
        ended = await service.run(url=origin.url("/x"), disk_format=None)
        assert ended["format"]["container_format"] == "compressed"


async def test_an_appliance_brings_what_its_machine_is_like(tmp_path: Path) -> None:
    """The descriptor's hardware becomes properties where the submitter set none; what was set stays."""
    members = real_appliance(tmp_path)
    body = make_tar([*members, manifest(members, "SHA256")])
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        own = {"hw_vif_model": "virtio"}
        ended = await service.run(url=origin.url("/x"), disk_format=None, properties=own)
        assert ended["state"] == "succeeded", ended["verdict"]
        image = await service.get(f"/v2/images/{ended['image_id']}")
        assert (image["disk_format"], image["container_format"]) == ("vmdk", "bare")
        assert (image["min_ram"], image["min_disk"]) == (2048, 20)
        assert (image["hw_vif_model"], image["hw_disk_bus"]) == ("virtio", "scsi")
        assert ended["stages"]["unpacked"]["manifest"] == "compared"
        assert "disk1.vmdk" in ended["stages"]["unpacked"]["members"]


def vmdk(folder: Path) -> bytes:
    """Make a streamOptimized VMDK with qemu-img."""
    source, target = folder / "disk.raw", folder / "disk.vmdk"
    source.write_bytes(make_disk(2 * MIB))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*command, source, target], check=True)
    return target.read_bytes()


def real_appliance(folder: Path) -> list[tuple[str, bytes]]:
    """Make an appliance with a disk that qemu-img wrote."""
    return [(name, vmdk(folder) if name == "disk1.vmdk" else content) for name, content in appliance()]


async def test_several_disks_are_chosen_from(tmp_path: Path) -> None:
    """An archive with two disks is refused and names them; `disk` chooses."""
    second = make_disk(2 * MIB, seed=8)
    body = make_tar([("a.raw", DISK), ("b.raw", second)])
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        refused = await service.run(url=origin.url("/x"))
        assert (refused["state"], refused["verdict"]["code"]) == ("refused", "disk-unclear")
        assert refused["verdict"]["fields"]["disks"] == ["a.raw", "b.raw"]
        for choice in ("b.raw", "2"):
            ended = await service.run(url=origin.url("/x"), disk=choice)
            assert ended["submission"]["disk"] == choice
            assert await bytes_of(service, ended) == second


async def test_unchanged_sources_never_give_another_packing(tmp_path: Path) -> None:
    """A 304 makes no image of bytes that were kept in another way than this submission asks for."""
    body = pack("gzip", QCOW2)
    again = {"reuse": {"revalidate": "everybody"}}
    etag = behaviours.serve(body, etag='"v1"')
    async with Origin({"/x": etag}) as origin, Running(tmp_path, origin, **again) as service:
        packed = {"disk_format": "qcow2", "container_format": "compressed"}
        kept = await service.run(url=origin.url("/x"), **packed)
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        twice = await service.run(url=origin.url("/x"), disk_format="qcow2")
        repeated = await service.run(url=origin.url("/x"), **packed)
        assert [await bytes_of(service, one) for one in (kept, ended, twice, repeated)] == [
            body,
            QCOW2,
            QCOW2,
            body,
        ]
        asked = [request.header("If-None-Match") for request in origin.requests]
        assert asked == [None, None, None, '"v1"']


async def upload(service: Running, body: bytes, **fields: Any) -> tuple[int, dict[str, Any]]:
    """Make an image and send its bytes."""
    _status, image, _headers = await service.call("POST", "/v2/images", json=fields)
    headers = {"Content-Type": "application/octet-stream"}
    path = f"/v2/images/{image['id']}/file"
    status, _answer, _headers = await service.call("PUT", path, data=io.BytesIO(body), headers=headers)
    return status, await service.get(f"/v2/images/{image['id']}")


async def test_uploads_are_unpacked_by_rule(tmp_path: Path) -> None:
    """A packed qcow2 that is sent becomes its image; one said to be raw is never changed."""
    body = pack("zstd", QCOW2)
    async with Running(tmp_path) as service:
        status, image = await upload(service, body, disk_format="qcow2", container_format="bare")
        assert (status, image["size"], image["checksum"]) == (
            204,
            len(QCOW2),
            hashlib.md5(QCOW2, usedforsecurity=False).hexdigest(),
        )
        status, image = await upload(service, body, disk_format="raw", container_format="bare")
        assert (status, image["status"]) == (400, "queued")
        kept = {"disk_format": "qcow2", "container_format": "compressed"}
        assert (await upload(service, body, **kept))[1]["size"] == len(body)


async def test_a_staged_upload_is_unpacked_once(tmp_path: Path) -> None:
    """What glance-direct makes an image of is what came out when the bytes were staged."""
    body = pack("xz", QCOW2)
    async with Running(tmp_path) as service:
        fields = {"disk_format": "qcow2", "container_format": "bare"}
        _status, image, _headers = await service.call("POST", "/v2/images", json=fields)
        path = f"/v2/images/{image['id']}"
        headers = {"Content-Type": "application/octet-stream"}
        assert (await service.call("PUT", f"{path}/stage", data=io.BytesIO(body), headers=headers))[0] == 204
        method = {"method": {"name": "glance-direct"}}
        assert (await service.call("POST", f"{path}/import", json=method))[0] == 202
        shown = await service.get(path)
        assert (shown["status"], shown["size"]) == ("active", len(QCOW2))


async def test_equal_requests_for_other_disks_are_two_pulls(tmp_path: Path) -> None:
    """Whoever asks for another disk of the same archive never gets the first one's."""
    second = make_disk(2 * MIB, seed=8)
    body = make_tar([("a.raw", DISK), ("b.raw", second)])
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        made = [await service.submit(url=origin.url("/x"), disk=name) for name in ("a.raw", "b.raw")]
        ended = [await service.ended(one["id"]) for one in made]
        assert [await bytes_of(service, one) for one in ended] == [DISK, second]
        assert len(origin.requests) == 2
