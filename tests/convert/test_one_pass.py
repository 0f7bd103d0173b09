"""One pass gives the same bytes as qemu-img, for all that its writers make."""

import random
from pathlib import Path

import pytest

from fetcher.convert.streaming import NotStreamable, Staged
from tests.convert.one_pass import convert_path, is_same, made, qemu_img
from tests.convert.sector import make_disk

pytestmark = pytest.mark.needs("qemu-img")
WIDE = ["-W", "-m", "16"]
VARIANTS = {
    "qcow2": ["-O", "qcow2"],
    "qcow2-out-of-order": ["-O", "qcow2", *WIDE],
    "qcow2-v2": ["-O", "qcow2", "-o", "compat=0.10"],
    "qcow2-512": ["-O", "qcow2", "-o", "cluster_size=512"],
    "qcow2-4k": ["-O", "qcow2", "-o", "cluster_size=4k"],
    "qcow2-2m": ["-O", "qcow2", "-o", "cluster_size=2M"],
    "qcow2-metadata": ["-O", "qcow2", "-o", "preallocation=metadata"],
    "qcow2-falloc": ["-O", "qcow2", "-o", "preallocation=falloc"],
    "qcow2-full": ["-O", "qcow2", "-o", "preallocation=full"],
    "qcow2-refcount-1": ["-O", "qcow2", "-o", "refcount_bits=1"],
    "qcow2-lazy": ["-O", "qcow2", "-o", "lazy_refcounts=on"],
    "qcow2-deflate": ["-O", "qcow2", "-c"],
    "qcow2-deflate-v2": ["-O", "qcow2", "-c", "-o", "compat=0.10"],
    "qcow2-deflate-out-of-order": ["-O", "qcow2", "-c", *WIDE],
    "qcow2-deflate-4k": ["-O", "qcow2", "-c", "-o", "cluster_size=4k", *WIDE],
    "qcow2-deflate-2m": ["-O", "qcow2", "-c", "-o", "cluster_size=2M"],
    "qcow2-zstd": ["-O", "qcow2", "-c", "-o", "compression_type=zstd"],
    "qcow2-zstd-2m": ["-O", "qcow2", "-c", "-o", "compression_type=zstd,cluster_size=2M", *WIDE],
    "vmdk-stream": ["-O", "vmdk", "-o", "subformat=streamOptimized"],
    "vdi": ["-O", "vdi"],
    "vdi-static": ["-O", "vdi", "-o", "static=on"],
    "vdi-out-of-order": ["-O", "vdi", *WIDE],
    "vhd-dynamic": ["-O", "vpc", "-o", "force_size=on"],
    "vhd-dynamic-chs": ["-O", "vpc"],
    "vhd-fixed": ["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("disk") / "disk", "x", size=(24 << 20) + 1536)


@pytest.mark.parametrize("chunk", [1 << 20, 1000])
@pytest.mark.parametrize("name", VARIANTS)
def test_one_pass_gives_the_bytes_of_qemu_img(disk: Path, tmp_path: Path, name: str, chunk: int) -> None:
    """The result is the same whichever way, and zeros take no room in it."""
    arguments = VARIANTS[name]
    image = made(disk, tmp_path / "image", arguments)
    disk_format = "vhd" if name == "vhd-fixed" else None
    sink = convert_path(image, tmp_path / "ours", chunk=chunk, disk_format=disk_format)
    assert not isinstance(sink, Staged)
    qemu_img("convert", "-f", arguments[1], "-O", "raw", image, tmp_path / "theirs")
    assert is_same(tmp_path / "ours", tmp_path / "theirs")
    assert (tmp_path / "ours").stat().st_blocks <= disk.stat().st_blocks + 64
    assert sink.kept_bytes < 600_000
    assert not (tmp_path / "ours.kept").exists()


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"qcow2-512"}))
def test_what_qemu_img_writes_needs_no_second_file(disk: Path, tmp_path: Path, name: str) -> None:
    """Every table comes before its data, or so little behind it that the look-back window has it."""
    image = made(disk, tmp_path / "image", VARIANTS[name])
    disk_format = "vhd" if name == "vhd-fixed" else None
    sink = convert_path(image, tmp_path / "ours", keeps=False, disk_format=disk_format)
    assert not isinstance(sink, Staged)
    assert sink.kept_bytes == 0


@pytest.mark.parametrize("chunk", [1 << 20, 1000])
def test_a_vmdk_of_qemu_img_may_end_with_its_last_grain(tmp_path: Path, chunk: int) -> None:
    """It writes no end marker; where the last grain cannot be compressed, nothing looks like one either."""
    (tmp_path / "disk").write_bytes(bytes(1 << 20) + random.Random(1).randbytes(3 << 16))
    image = made(tmp_path / "disk", tmp_path / "image", VARIANTS["vmdk-stream"])
    assert image.read_bytes()[-512:].strip(b"\0")
    sink = convert_path(image, tmp_path / "ours", chunk=chunk, keeps=False)
    assert not isinstance(sink, Staged)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "disk").read_bytes()


@pytest.mark.parametrize("extra", [[], ["-W", "-m", "8"], ["-c"], ["-c", "-W", "-m", "16"]])
def test_many_tables_over_a_large_disk_stream(tmp_path: Path, extra: list[str]) -> None:
    """A disk of 20 GiB with data here and there has an L2 table for each half gibibyte."""
    disk, picked = tmp_path / "disk", random.Random(3)
    with disk.open("wb") as file:
        file.truncate(20 << 30)
        for _ in range(60):
            file.seek(picked.randrange(0, (20 << 30) - 100_000) // 512 * 512)
            file.write(picked.randbytes(70_000))
    image = made(disk, tmp_path / "image", ["-O", "qcow2", *extra])
    sink = convert_path(image, tmp_path / "ours")
    assert not isinstance(sink, Staged)
    qemu_img("compare", "-f", "raw", "-F", "raw", disk, tmp_path / "ours")
    assert sink.written_bytes < 60 * (70_000 + 2 * 4096)


def test_an_internal_snapshot_changes_nothing(disk: Path, tmp_path: Path) -> None:
    """The disk is what is there now, not what was kept of earlier."""
    image = made(disk, tmp_path / "image", ["-O", "qcow2"])
    qemu_img("snapshot", "-c", "before", image)
    sink = convert_path(image, tmp_path / "ours")
    assert not isinstance(sink, Staged)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", image, tmp_path / "theirs")
    assert is_same(tmp_path / "ours", tmp_path / "theirs")


def test_a_resized_image_is_staged(disk: Path, tmp_path: Path) -> None:
    """Growing moves the L1 table behind the data, which shows in the first bytes."""
    image = made(disk, tmp_path / "image", ["-O", "qcow2"])
    qemu_img("resize", "-f", "qcow2", image, "8T")
    found = convert_path(image, tmp_path / "ours")
    assert isinstance(found, Staged)
    assert "resize" in found.reason


@pytest.mark.parametrize(
    "arguments", [["-O", "qcow2", "-o", "extended_l2=on"], ["-O", "vmdk"], ["-O", "vhdx"]]
)
def test_what_does_not_stream_says_so_by_its_head(disk: Path, tmp_path: Path, arguments: list[str]) -> None:
    """A caller knows before it has written anything."""
    image = made(disk, tmp_path / "image", arguments)
    assert isinstance(convert_path(image, tmp_path / "ours"), Staged)


def test_clusters_before_their_table_are_kept_and_put_in_place(tmp_path: Path) -> None:
    """With somewhere to keep them they end in the right place; without, the caller is told."""
    disk = make_disk(tmp_path / "disk", "x", size=96 << 20, pieces=400)
    image = made(disk, tmp_path / "image", ["-O", "qcow2", "-o", "cluster_size=512", "-c"])
    with pytest.raises(NotStreamable):
        convert_path(image, tmp_path / "without", keeps=False)
    sink = convert_path(image, tmp_path / "ours")
    assert not isinstance(sink, Staged)
    assert sink.kept_bytes > 0
    assert is_same(tmp_path / "ours", disk)
