"""The boot proof: what is converted boots, up to its last sector, and so do images of others."""

import lzma
from pathlib import Path

import pytest

from fetcher.convert.boot import verify_boot
from fetcher.convert.files import Job, convert_file
from fetcher.convert.sandbox import Walls
from fetcher.errors import ConversionUnavailable
from tests.convert.one_pass import convert_bytes, made
from tests.convert.sector import make_disk

pytestmark = pytest.mark.needs("qemu-img", "qemu-system-x86_64")
MARKER = "The last sector was read."
SIZE = 8 << 20
SECONDS = 90
FORMATS = {
    "raw": ("raw", ["-O", "raw"]),
    "qcow2": ("qcow2", ["-O", "qcow2"]),
    "qcow2-deflate": ("qcow2", ["-O", "qcow2", "-c"]),
    "qcow2-zstd": ("qcow2", ["-O", "qcow2", "-c", "-o", "compression_type=zstd"]),
    "qcow2-extended": ("qcow2", ["-O", "qcow2", "-o", "extended_l2=on"]),
    "vmdk-stream": ("vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]),
    "vmdk-sparse": ("vmdk", ["-O", "vmdk"]),
    "vdi": ("vdi", ["-O", "vdi"]),
    "vhd-dynamic": ("vhd", ["-O", "vpc", "-o", "force_size=on"]),
    "vhd-fixed": ("vhd", ["-O", "vpc", "-o", "subformat=fixed,force_size=on"]),
    "vhdx": ("vhdx", ["-O", "vhdx"]),
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("disk") / "disk", MARKER, size=SIZE)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"raw"}))
async def test_what_we_convert_boots(disk: Path, tmp_path: Path, walls: Walls, name: str) -> None:
    """The boot sector of the result finds its last sector where it was."""
    disk_format, arguments = FORMATS[name]
    image, target = made(disk, tmp_path / "image", arguments), tmp_path / "raw"
    work = Job(
        source=image,
        target=target,
        disk_format=disk_format,
        target_format="raw",
        virtual_bytes=SIZE,
        walls=walls,
    )
    await convert_file(work)
    proof = await verify_boot(target, disk_format="raw", walls=walls, marker=MARKER, seconds=SECONDS)
    assert proof.verdict == "boots", proof


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_boots_as_it_is(disk: Path, tmp_path: Path, walls: Walls, name: str) -> None:
    """`verify-boot` needs no conversion, and changes nothing of the image."""
    disk_format, arguments = FORMATS[name]
    image = made(disk, tmp_path / "image", arguments)
    before = image.read_bytes()
    proof = await verify_boot(image, disk_format=disk_format, walls=walls, marker=MARKER, seconds=SECONDS)
    assert proof.verdict == "boots", proof
    assert image.read_bytes() == before


async def test_a_packed_qcow2_boots_after_one_pass(disk: Path, tmp_path: Path, walls: Walls) -> None:
    """The whole chain without a second file: xz of a compressed qcow2 in, a raw disk out."""
    packed = lzma.compress(made(disk, tmp_path / "image", ["-O", "qcow2", "-c"]).read_bytes(), preset=0)
    target = tmp_path / "raw"
    target.write_bytes(convert_bytes(lzma.decompress(packed), chunk=1000))
    proof = await verify_boot(target, disk_format="raw", walls=walls, marker=MARKER, seconds=SECONDS)
    assert proof.verdict == "boots", proof


async def test_raw_to_qcow2_boots(disk: Path, tmp_path: Path, walls: Walls) -> None:
    """The other target of an operator boots as well."""
    target = tmp_path / "qcow2"
    work = Job(
        source=disk,
        target=target,
        disk_format="raw",
        target_format="qcow2",
        virtual_bytes=SIZE,
        walls=walls,
    )
    await convert_file(work)
    proof = await verify_boot(target, disk_format="qcow2", walls=walls, marker=MARKER, seconds=SECONDS)
    assert proof.verdict == "boots", proof


OTHERS = {
    "/usr/lib/ipxe/ipxe.iso": "iPXE",
    "/usr/lib/grub-rescue/grub-rescue-cdrom.iso": "Welcome to GRUB",
}


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("is_told", [True, False])
async def test_images_of_others_boot(walls: Walls, path: str, is_told: bool) -> None:
    """With the text that their makers print as the marker, and by whatever they print."""
    image = Path(path)
    if not image.exists():
        pytest.skip(f"{path} is not installed")
    marker = OTHERS[path] if is_told else None
    proof = await verify_boot(image, disk_format="iso", walls=walls, marker=marker, seconds=SECONDS)
    assert proof.verdict == "boots", proof


async def test_a_disk_without_its_end_does_not_show_the_marker(
    disk: Path, tmp_path: Path, walls: Walls
) -> None:
    """The proof is of the last sector: a disk that lost it prints nothing and is not said to boot."""
    image = tmp_path / "image"
    image.write_bytes(disk.read_bytes()[:-512] + bytes(512))
    proof = await verify_boot(image, disk_format="raw", walls=walls, marker=MARKER, seconds=4)
    assert proof.verdict == "undecided"
    assert MARKER not in proof.console


async def test_an_empty_disk_does_not_boot(tmp_path: Path, walls: Walls) -> None:
    """The firmware's own words end the wait."""
    image = tmp_path / "image"
    image.write_bytes(bytes(SIZE))
    for marker in (MARKER, None):
        proof = await verify_boot(image, disk_format="raw", walls=walls, marker=marker, seconds=SECONDS)
        assert proof.verdict == "does-not-boot", proof


async def test_any_text_of_the_disk_is_enough_without_a_marker(disk: Path, walls: Walls) -> None:
    """Without a marker the image's own boot code has to say something."""
    proof = await verify_boot(disk, disk_format="raw", walls=walls, seconds=SECONDS)
    assert proof.verdict == "boots", proof


async def test_nothing_boots_without_walls(disk: Path) -> None:
    """An emulator reads untrusted bytes too."""
    with pytest.raises(ConversionUnavailable):
        await verify_boot(disk, disk_format="raw", walls=Walls())
