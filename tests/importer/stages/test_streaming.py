"""Images become raw disks while their bytes come in: one file, one pass, and every promise of a pull kept."""

import asyncio
import gzip
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fetcher.convert.streaming import mapped
from fetcher.store.filesystem.disk import Disk
from tests.images import qcow2, raw
from tests.importer.download.test_further_connections import EAGER, PACE
from tests.importer.stages.test_converting import DISK, FORMS, TO_RAW, image_of
from tests.importer.stages.test_unpacking import TAG, bytes_of, sha256
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config
from tests.unpack.making import make_disk, make_tar, pack

MIB = 1 << 20
ONE_PASS = {"from": "qcow2", "to": "raw", "way": "one-pass", "why": ""}
STREAMS = [form for form in FORMS if form[3] == "one-pass"]
KINDS = {
    "plain": [],
    "deflate": ["-c"],
    "zstd": ["-c", "-o", "compression_type=zstd"],
    "small": ["-o", "cluster_size=512"],
    "version 2": ["-o", "compat=0.10"],
    "side by side": ["-W", "-m", "8"],
}


def made(folder: Path, disk: bytes, *arguments: str) -> bytes:
    """Make a qcow2 of a disk with qemu-img."""
    source, target = folder / "source.raw", folder / "image.qcow2"
    source.write_bytes(disk)
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *arguments, source, target], check=True
    )
    return target.read_bytes()


def written_at_random(folder: Path, size: int) -> tuple[bytes, bytes]:
    """Make a qcow2 as a running machine leaves it, its clusters in no order; return it and its disk."""
    image, disk = folder / "used.qcow2", folder / "used.raw"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, str(size)], check=True)
    places = [at for at in range(0, size, MIB) if at % (3 * MIB)]
    random.Random(4).shuffle(places)
    orders = [part for at in places for part in ("-c", f"write -q -P {at // MIB % 250 + 1} {at} 700k")]
    subprocess.run(["qemu-io", "-f", "qcow2", *orders, image], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, disk], check=True)
    return image.read_bytes(), disk.read_bytes()


def starts(service_folder: Path, disk: bytes) -> bool:
    """Return whether a staged file begins like a disk."""
    staged = [path for path in (service_folder / "data" / "staging").iterdir() if "kept" not in path.name]
    return (
        len(staged) == 1 and staged[0].stat().st_size > MIB and disk.startswith(staged[0].read_bytes()[:MIB])
    )


@pytest.mark.parametrize(("form", "disk_format", "options", "_way"), STREAMS)
async def test_the_disk_is_written_while_the_image_comes(
    form: str, disk_format: str, options: str, _way: str, tmp_path: Path
) -> None:
    """Half of the image is there, and half of the disk is in the one staged file."""
    disk = raw(12 * MIB)
    body = image_of(tmp_path, disk, form, options)
    stalling = behaviours.stall(body, len(body) // 2)
    async with (
        Origin({"/x": stalling}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
        asyncio.timeout(60),
    ):
        created = await service.submit(url=origin.url("/x"), disk_format=disk_format)
        while not starts(tmp_path, disk):
            await service.get(f"/imports/{created['id']}")
        assert (await service.call("DELETE", f"/imports/{created['id']}"))[0] == 204
        assert service.traces() == []


@pytest.mark.parametrize("packing", ["", "xz", "gzip", "zstd"])
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_written_twice(
    kind: str, packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is the disk, packed or not, and what is written is its size: no second file."""
    image = made(tmp_path, DISK, *KINDS[kind])
    body = pack(packing, image) if packing else image
    written = []
    write = Disk.write

    def counting(disk: Disk, descriptor: int, piece: memoryview, offset: int) -> int:
        written.append(len(piece))
        return write(disk, descriptor, piece, offset)

    promise = f"sha256:{sha256(body)}"
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        monkeypatch.setattr(Disk, "write", counting)
        ended = await service.run(url=origin.url("/x"), disk_format=None, checksum=promise)
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter"), ended["verdict"]
        assert await bytes_of(service, ended) == DISK
        assert ended["stages"]["converted"] == ONE_PASS
        assert ended["stages"]["received"]["digests"]["sha256"] == sha256(body)
        assert ended["stages"]["received"]["bytes"] == len(body) == ended["progress"]["received_bytes"]
        assert ("unpacked" in ended["stages"]) is bool(packing)
        small = 0.06 if kind == "small" else 0.03  # Tables that nobody names: refcounts.
        assert sum(written) <= len(DISK) * (1 + small) + 5 * 65_536, written
        assert len(service.traces()) == 1


async def test_clusters_in_no_order(tmp_path: Path) -> None:
    """What a machine wrote here and there is put in its place, judged and digested from the file."""
    body, disk = written_at_random(tmp_path, 48 * MIB)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["digests"]["sha256"] == sha256(disk)
        assert ended["stages"]["converted"] == ONE_PASS
        assert (await service.get(f"/v2/images/{ended['image_id']}"))["size"] == len(disk)
        assert await bytes_of(service, ended) == disk
        assert len(service.traces()) == 1


@pytest.mark.parametrize("is_ordered", [True, False])
async def test_a_broken_connection_costs_nothing(is_ordered: bool, tmp_path: Path) -> None:
    """The conversion stays as it is: every byte of the image is asked for once."""
    disk = raw(24 * MIB)
    body = made(tmp_path, disk)
    if not is_ordered:
        body, disk = written_at_random(tmp_path, 48 * MIB)
    step = len(body) // 4
    steps = [30_000, *[step] * 3]  # The first one breaks off before the head is known.
    cuts = [behaviours.cut(body, count, fields=TAG) for count in steps]
    turns = behaviours.in_turn(*cuts, behaviours.serve(body, etag='"v1"'))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin, **TO_RAW) as service:
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert ended["state"] == "succeeded", ended["verdict"]
        offsets = [attempt["offset"] for attempt in ended["attempts"]]
        assert offsets == [0, 30_000, 30_000 + step, 30_000 + 2 * step, 30_000 + 3 * step]
        assert origin.sent_bytes == len(body)
        assert ended["digests"]["sha256"] == sha256(disk)


async def test_over_further_connections(tmp_path: Path) -> None:
    """Ranges of an image are put together in order before they are converted."""
    disk = raw(4 * MIB)
    body = made(tmp_path, disk)
    ranges = {"ranges": EAGER}
    serve = behaviours.serve(body, etag='"v1"', bytes_per_second=PACE, pieces_per_second=100)
    async with (
        Origin({"/x": serve}) as origin,
        Running(tmp_path, origin, **TO_RAW, **ranges) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert ended["digests"]["sha256"] == sha256(disk)
        assert len(origin.requests) > 1


@pytest.mark.parametrize("packing", ["", "xz"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_stop_feeds_the_image_again(how: signal.Signals, packing: str, tmp_path: Path) -> None:
    """A conversion cannot be saved: what was written is removed, and the image comes anew, whole."""
    disk = raw(8 * MIB)
    body = made(tmp_path, disk)
    body = pack(packing, body) if packing else body
    often = {"resume": {"checkpoint_bytes": 262_144, "mark_bytes": 65_536, "save_seconds": 0.05}}
    half = len(body) // 2
    turns = behaviours.in_turn(behaviours.stall(body, half, fields=TAG), behaviours.serve(body, etag='"v1"'))
    async with (
        Origin({"/x": turns}) as origin,
        Process(config(tmp_path, origin, **often, **TO_RAW)) as service,
    ):
        sent = {"url": origin.url("/x"), "checksum": f"sha256:{sha256(body)}"}
        created = (await service.call("POST", "/imports", json=sent))[1]
        while not starts(tmp_path, disk):
            await service.until(created["id"], "running")
        await service.kill(how)
        if how == signal.SIGTERM:
            assert [*(tmp_path / "data" / "staging").iterdir()] == []
        await service.start()
        ended = await service.until(created["id"], "succeeded", "failed", "refused")
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter")
        assert ended["digests"]["sha256"] == sha256(disk)
        assert [attempt["offset"] for attempt in ended["attempts"]] == [0, 0]
        await service.kill(signal.SIGTERM)  # What it received goes right after the verdict.
        agree(tmp_path / "data")


async def test_an_image_that_does_not_stream_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that exceeds a bound of the one pass is pulled again, and converted from its file."""
    monkeypatch.setattr(mapped, "MAX_PENDING", 4)
    body, disk = written_at_random(tmp_path, 24 * MIB)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert ended["digests"]["sha256"] == sha256(disk)
        assert ended["stages"]["converted"]["way"] == "qemu-img"
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok", "ok"]
        assert "complete file" in ended["attempts"][0]["reason"]
        assert len(service.traces()) == 1


async def test_the_guards_judge_the_disk(tmp_path: Path) -> None:
    """A disk that itself looks like an image of another file is refused, wherever it came out of."""
    inner = bytearray(qcow2(1 << 20))
    inner[8:16] = (4096).to_bytes(8, "big")
    inner[16:20] = (12).to_bytes(4, "big")  # A backing file.
    body = made(tmp_path, bytes(inner).ljust(4 * MIB, b"\0"))
    async with (
        Origin({"/x": behaviours.serve(body), "/y": behaviours.serve(gzip.compress(body))}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        for path in ("/x", "/y"):
            ended = await service.run(url=origin.url(path), disk_format="qcow2")
            assert (ended["state"], ended["verdict"]["code"]) == ("refused", "format-mismatch")
        assert service.traces() == []


def flipped(body: bytes) -> bytes:
    """Change one bit of the first entry of the L1 table."""
    changed = bytearray(body)
    at = int.from_bytes(body[40:48], "big")
    changed[at + 7] ^= 1
    return bytes(changed)


BAD: dict[str, Any] = {
    "cut": lambda body: body[: len(body) // 2],
    "flipped in a table": flipped,
}


@pytest.mark.parametrize("packing", ["", "gzip", "tar"])
@pytest.mark.parametrize("what", ["cut", "flipped in a table"])
async def test_what_is_damaged_leaves_nothing(what: str, packing: str, tmp_path: Path) -> None:
    """A cut or changed image is refused with a type, in any packing, and both files are gone."""
    body = BAD[what](made(tmp_path, DISK))
    if packing:
        body = make_tar([("disk.qcow2", body)]) if packing == "tar" else pack(packing, body)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert ended["state"] == "refused"
        assert ended["verdict"]["code"] == "format-unsafe", ended["verdict"]
        assert service.traces() == []


async def test_a_promise_is_about_what_was_received(tmp_path: Path) -> None:
    """A digest of the disk is no digest of the image: the import is refused, and nothing is left."""
    disk = make_disk(4 * MIB)
    body = made(tmp_path, disk)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, **TO_RAW) as service,
    ):
        promise = f"sha256:{sha256(disk)}"
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2", checksum=promise)
        assert ended["verdict"]["code"] == "checksum-mismatch"
        assert service.traces() == []
