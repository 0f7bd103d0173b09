"""`fetcher convert` and `fetcher verify-boot`."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from fetcher.cli.exits import Exit
from tests.cli.conftest import Fetcher
from tests.convert.sector import make_disk
from tests.guards.stream.formats.build import iso, mbr
from tests.guards.stream.formats.hostile_disks import QCOW2 as HOSTILE

MARKER = "Booted from the end."

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A compressed qcow2 that boots."""
    disk = make_disk(tmp_path / "disk", MARKER)
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", disk, tmp_path / "image.qcow2"], check=True)
    return tmp_path / "image.qcow2"


async def test_convert_and_verify_boot(fetcher: Fetcher, image: Path) -> None:
    """The two commands together: a published image in, a raw disk that boots out."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    result = await fetcher("convert", image, "--json")
    assert result.code == Exit.OK
    assert result.json["way"] == "one-pass"
    raw = image.with_suffix(".raw")
    assert raw.read_bytes() == (image.parent / "disk").read_bytes()
    result = await fetcher("verify-boot", raw, "--marker", MARKER, "--seconds", "90", "--json")
    assert result.code == Exit.OK, result.json
    assert result.json["verdict"] == "boots"


async def test_convert_never_overwrites_and_says_when_there_is_nothing_to_do(
    fetcher: Fetcher, image: Path
) -> None:
    """A target that exists stays; a format that is there already is no error of the image."""
    image.with_suffix(".raw").write_text("mine")
    result = await fetcher("convert", image)
    assert result.code == Exit.USAGE
    assert "exists" in result.err
    assert image.with_suffix(".raw").read_text() == "mine"
    result = await fetcher("convert", image, image.parent / "other", "--to", "qcow2")
    assert result.code == Exit.USAGE
    assert "already" in result.err


@pytest.mark.parametrize("command", ["convert", "verify-boot"])
async def test_a_hostile_image_is_refused_before_it_is_touched(
    fetcher: Fetcher, tmp_path: Path, command: str
) -> None:
    """The format guard judges first, and nothing is left behind."""
    image = tmp_path / "image.qcow2"
    image.write_bytes(HOSTILE["qcow2-backing-passwd"]())
    result = await fetcher(command, image, "--json")
    assert result.code == Exit.REFUSED
    assert result.json["error"]["code"] == "format-unsafe"
    assert [path.name for path in tmp_path.iterdir()] == ["image.qcow2"]


async def test_verify_boot_says_that_a_disk_does_not_boot(fetcher: Fetcher, tmp_path: Path) -> None:
    """The exit code branches on it, and the console is shown."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    image = tmp_path / "empty.raw"
    image.write_bytes(bytes(1 << 20))
    result = await fetcher("verify-boot", image, "--format", "raw", "--seconds", "90", "--json")
    assert result.code == Exit.REFUSED
    assert result.json["verdict"] == "does-not-boot"
    assert "SeaBIOS" in result.json["console"]


@pytest.mark.parametrize("command", ["convert", "verify-boot"])
async def test_what_is_no_disk_leads_to_the_command_that_helps(
    fetcher: Fetcher, tmp_path: Path, command: str
) -> None:
    """A packed disk is to be taken out first; a text is called one, and no URL is spoken of."""
    (tmp_path / "disk.gz").write_bytes(gzip.compress(mbr()))
    result = await fetcher(command, tmp_path / "disk.gz")
    assert result.code == Exit.USAGE
    assert f"fetcher unpack {tmp_path / 'disk.gz'}" in result.err
    (tmp_path / "text").write_bytes(b"no disk\n" * 200)
    result = await fetcher(command, tmp_path / "text")
    assert result.code == Exit.REFUSED
    assert "URL" not in result.err


async def test_a_disc_is_not_converted(fetcher: Fetcher, tmp_path: Path) -> None:
    """It boots as it is."""
    (tmp_path / "disc.iso").write_bytes(iso())
    result = await fetcher("convert", tmp_path / "disc.iso")
    assert (result.code, [path.name for path in tmp_path.iterdir()]) == (Exit.USAGE, ["disc.iso"])
    assert "a disc" in result.err
