"""Conversions by qemu-img behind walls: results, progress, and how they fail."""

import asyncio
import os
from pathlib import Path

import pytest

from fetcher.convert.files import Converted, Job, convert_file
from fetcher.convert.qemu_img import convert_staged
from fetcher.convert.sandbox import Walls
from fetcher.errors import ConversionFailed, ConversionUnavailable, FormatUnsafe, VirtualSizeExceeded
from tests.convert.one_pass import is_same, made, qemu_img
from tests.convert.sector import make_disk

pytestmark = pytest.mark.needs("qemu-img")
SIZE = 24 << 20
SOURCES = {
    "qcow2": ["-O", "qcow2", "-o", "extended_l2=on"],
    "vmdk": ["-O", "vmdk"],
    "vhdx": ["-O", "vhdx"],
    "vdi": ["-O", "vdi"],
    "vhd": ["-O", "vpc", "-o", "force_size=on"],
    "ploop": ["-O", "parallels"],
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("disk") / "disk", "x", size=SIZE)


def job(source: Path, disk_format: str, target: Path, walls: Walls | None, to: str = "raw") -> Job:
    return Job(
        source=source,
        target=target,
        disk_format=disk_format,
        target_format=to,
        virtual_bytes=SIZE,
        walls=walls,
    )


@pytest.mark.parametrize("disk_format", SOURCES)
async def test_every_format_becomes_raw(disk: Path, tmp_path: Path, walls: Walls, disk_format: str) -> None:
    """The bytes are the disk's, and zeros take no room."""
    image = made(disk, tmp_path / "image", SOURCES[disk_format])
    done = await convert_file(job(image, disk_format, tmp_path / "target", walls))
    assert done.way == ("one-pass" if disk_format in ("vdi", "vhd") else "qemu-img")
    assert is_same(tmp_path / "target", disk)
    assert (tmp_path / "target").stat().st_blocks * 512 < SIZE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "target"]


@pytest.mark.parametrize("is_packed", [False, True])
async def test_raw_becomes_qcow2(disk: Path, tmp_path: Path, walls: Walls, is_packed: bool) -> None:
    """The result is a self-contained qcow2 of the same disk; progress goes from little to all."""
    shares: list[float] = []
    target = tmp_path / "target"
    await convert_staged(
        disk,
        target,
        disk_format="raw",
        target_format="qcow2",
        virtual_bytes=SIZE,
        walls=walls,
        is_packed=is_packed,
        on_progress=shares.append,
    )
    qemu_img("compare", "-f", "raw", "-F", "qcow2", disk, target)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_without_walls_only_one_pass_is_left(disk: Path, tmp_path: Path) -> None:
    """What needs qemu-img is refused where no wall stands; what needs none of it is not."""
    vhdx = made(disk, tmp_path / "vhdx", ["-O", "vhdx"])
    with pytest.raises(ConversionUnavailable):
        await convert_file(job(vhdx, "vhdx", tmp_path / "target", Walls()))
    assert not (tmp_path / "target").exists()
    qcow2 = made(disk, tmp_path / "qcow2", ["-O", "qcow2"])
    done = await convert_file(job(qcow2, "qcow2", tmp_path / "target", Walls()))
    assert done == Converted(way="one-pass")


async def test_a_claim_that_is_wrong_is_refused_and_leaves_nothing(
    disk: Path, tmp_path: Path, walls: Walls
) -> None:
    """qemu-img reads what it was told to read; its words are for the log alone."""
    with pytest.raises(ConversionFailed) as caught:
        await convert_file(job(disk, "vhdx", tmp_path / "target", walls))
    assert "qemu-img:" in caught.value.__notes__[0]
    assert "qemu-img:" not in str(caught.value.fields())
    assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_larger_than_the_guard_said_is_refused(disk: Path, tmp_path: Path, walls: Walls) -> None:
    """The size that the format guard read bounds the result, whichever way it is made."""
    qcow2 = made(disk, tmp_path / "qcow2", ["-O", "qcow2"])
    small = Job(
        source=qcow2,
        target=tmp_path / "target",
        disk_format="qcow2",
        target_format="raw",
        virtual_bytes=SIZE - 512,
        walls=walls,
    )
    with pytest.raises(VirtualSizeExceeded):
        await convert_file(small)
    qemu_img("create", "-f", "vhdx", tmp_path / "vhdx", "10G")
    with pytest.raises(ConversionFailed):
        await convert_file(job(tmp_path / "vhdx", "vhdx", tmp_path / "target", walls))
    assert not (tmp_path / "target").exists()


async def test_a_malformed_image_leaves_nothing(disk: Path, tmp_path: Path, walls: Walls) -> None:
    """Also when the fault shows after most of the result has been written."""
    image = made(disk, tmp_path / "image", ["-O", "vdi"])
    os.truncate(image, image.stat().st_size - (2 << 20))
    with pytest.raises(FormatUnsafe):
        await convert_file(job(image, "vdi", tmp_path / "target", walls))
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@pytest.mark.parametrize("disk_format", ["qcow2", "raw"])
async def test_a_cancelled_conversion_leaves_nothing(tmp_path: Path, walls: Walls, disk_format: str) -> None:
    """Both ways stop in the middle and remove what they had."""
    source = make_disk(tmp_path / "source", "x", size=1 << 30, pieces=4000)
    if disk_format == "qcow2":
        source = made(source, tmp_path / "image", ["-O", "qcow2"])
    to = "raw" if disk_format == "qcow2" else "qcow2"
    started, loop = asyncio.Event(), asyncio.get_running_loop()
    work = Job(
        source=source,
        target=tmp_path / "target",
        disk_format=disk_format,
        target_format=to,
        virtual_bytes=1 << 30,
        walls=walls,
        on_progress=lambda _share: loop.call_soon_threadsafe(started.set) and None,
    )
    task = asyncio.create_task(convert_file(work))
    await asyncio.wait_for(started.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("target")]


async def test_an_existing_target_is_never_touched(disk: Path, tmp_path: Path, walls: Walls) -> None:
    """A file that is there stays as it is."""
    (tmp_path / "target").write_text("mine")
    for disk_format, arguments in (("qcow2", ["-O", "qcow2"]), ("vhdx", ["-O", "vhdx"])):
        image = made(disk, tmp_path / disk_format, arguments)
        with pytest.raises(FileExistsError):
            await convert_file(job(image, disk_format, tmp_path / "target", walls))
    assert (tmp_path / "target").read_text() == "mine"
