"""`fetcher unpack`."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.cli.exits import Exit
from tests.cli.conftest import Fetcher
from tests.guards.stream.formats.build import qcow2
from tests.guards.stream.formats.hostile_disks import QCOW2 as HOSTILE
from tests.importer.stages.test_unpacking import sha256
from tests.unpack.making import DISK, make_tar, make_zip

PUBLISHED: dict[str, tuple[Callable[[], bytes], str, bytes]] = {
    "disk.raw.gz": (lambda: gzip.compress(DISK), "disk.raw", DISK),
    "disk.qcow2.xz": (lambda: lzma.compress(qcow2()), "disk.qcow2", qcow2()),
    "image.tar.gz": (lambda: gzip.compress(make_tar([("disk.raw", DISK)])), "image.raw", DISK),
    "no-suffix": (lambda: gzip.compress(DISK), "no-suffix.raw", DISK),
}


@pytest.mark.parametrize("name", PUBLISHED)
async def test_the_disk_is_beside_what_was_published(fetcher: Fetcher, tmp_path: Path, name: str) -> None:
    """It is called as what it is, and both digests are told."""
    make, called, disk = PUBLISHED[name]
    packed = make()
    (tmp_path / name).write_bytes(packed)
    result = await fetcher("unpack", tmp_path / name, "--json")
    assert result.code == Exit.OK, result.err
    assert result.json["target"] == str(tmp_path / called)
    assert (tmp_path / called).read_bytes() == disk
    assert result.json["sha256"] == {"received": sha256(packed), "disk": sha256(disk)}
    assert {path.name for path in tmp_path.iterdir()} == {name, called}


async def test_a_disk_is_chosen(fetcher: Fetcher, tmp_path: Path) -> None:
    """Of two disks one is chosen, else both are named; nothing is written over."""
    archive = tmp_path / "two.zip"
    archive.write_bytes(make_zip([("a.raw", bytes(4096)), ("b.raw", DISK)]))
    result = await fetcher("unpack", archive)
    assert result.code == Exit.REFUSED
    assert "a.raw, b.raw" in result.err
    assert (await fetcher("unpack", archive, tmp_path / "b", "--disk", "b.raw")).code == Exit.OK
    assert (tmp_path / "b").read_bytes() == DISK
    result = await fetcher("unpack", archive, tmp_path / "b", "--disk", "b.raw")
    assert result.code == Exit.USAGE
    assert "exists" in result.err


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "hostile": (lambda: gzip.compress(HOSTILE["qcow2-backing-passwd"]()), "format-unsafe"),
    "cut": (lambda: gzip.compress(DISK)[:-9], "unpack-failed"),
    "text": (lambda: gzip.compress(b"no disk\n" * 500), "format-unknown"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_leaves_nothing(fetcher: Fetcher, tmp_path: Path, case: str) -> None:
    """What comes out is judged as in an import."""
    make, code = REFUSED[case]
    (tmp_path / "disk.gz").write_bytes(make())
    result = await fetcher("unpack", tmp_path / "disk.gz", "--json")
    assert (result.code, result.json["error"]["code"]) == (Exit.REFUSED, code)
    assert [path.name for path in tmp_path.iterdir()] == ["disk.gz"]


async def test_what_is_not_packed_is_said(fetcher: Fetcher, tmp_path: Path) -> None:
    """There is nothing to do for a disk that is none but itself."""
    (tmp_path / "disk.raw").write_bytes(DISK)
    result = await fetcher("unpack", tmp_path / "disk.raw")
    assert result.code == Exit.USAGE
    assert "not packed" in result.err


@pytest.mark.parametrize(
    ("name", "make", "word"),
    [
        ("disk.lzma", lambda: lzma.compress(DISK, format=lzma.FORMAT_ALONE), "xz"),
        ("disk.7z", lambda: b"7z\xbc\xaf\x27\x1c\0\4" + bytes(600), "7z"),
        ("disk.lz", lambda: b"LZIP\1" + bytes(600), "lzip"),
        ("page.gz", lambda: b"<html><body>Log in.</body></html>" * 30, "HTML"),
    ],
)
async def test_packed_in_a_way_that_is_not_taken(
    fetcher: Fetcher, tmp_path: Path, name: str, make: Callable[[], bytes], word: str
) -> None:
    """It is told as an import tells it, with what to do; it is never called a disk."""
    (tmp_path / name).write_bytes(make())
    result = await fetcher("unpack", tmp_path / name)
    assert result.code == Exit.REFUSED
    assert word in result.err
    assert "nothing needs to be unpacked" not in result.err
