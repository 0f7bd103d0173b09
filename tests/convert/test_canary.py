"""Files that name other files and hosts: what qemu-img gives away of them, without walls and within.

Each is converted as what it claims to be and once more as whatever qemu takes it for. The canary is a
secret in a file that belongs to us; it has leaked when the secret is in the result.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from fetcher.convert.sandbox import Rules, Walls, run
from fetcher.convert.sandbox.runner import Ended, start
from tests.convert.one_pass import qemu_img

pytestmark = pytest.mark.needs("qemu-img")
SIZE = 1 << 20
Make = Callable[[Path, Path, int], None]


BACKING_FORMAT, UNKNOWN_EXTENSION = bytes.fromhex("e2792aca"), bytes.fromhex("12345678")


def _backed(driver: str, name: str, *, is_told: bool = True) -> Make:
    """Make an image with a backing file, and say or leave out what the backing file is."""

    def make(path: Path, canary: Path, port: int) -> None:
        backing = name.format(canary=canary, port=port)
        qemu_img("create", "-u", "-f", driver, "-b", backing, "-F", "raw", path, SIZE)
        if not is_told:
            path.write_bytes(path.read_bytes().replace(BACKING_FORMAT, UNKNOWN_EXTENSION, 1))

    return make


def _data_file(name: str) -> Make:
    def make(path: Path, canary: Path, port: int) -> None:
        other = path.with_suffix(".other")
        options = f"data_file={other},data_file_raw=on"
        qemu_img("create", "-f", "qcow2", "-o", options, path, SIZE)
        image = path.read_bytes()
        new = name.format(canary=canary, port=port).encode()
        path.write_bytes(_renamed(image, str(other).encode(), new))
        other.unlink()

    return make


def _renamed(image: bytes, old: bytes, new: bytes) -> bytes:
    """Put another name into the header extension of a data file."""
    at = image.index(b"DATA") + 8
    assert image[at : at + len(old)] == old
    room = -(-len(old) // 8) * 8
    assert len(new) <= room
    length = len(new).to_bytes(4, "big")
    return image[: at - 4] + length + new.ljust(room, b"\0") + image[at + room :]


def _descriptor(kind: str, extent: str, extra: str = "") -> Make:
    def make(path: Path, canary: Path, port: int) -> None:
        lines = [
            "# Disk DescriptorFile",
            "version=1",
            "CID=7d0a6f7e",
            "parentCID=ffffffff",
            f'createType="{kind}"',
            extent.format(canary=canary, port=port, sectors=SIZE // 512),
            extra.format(canary=canary),
            'ddb.adapterType = "ide"',
        ]
        path.write_text("\n".join(lines) + "\n")

    return make


FLAT = 'RW {sectors} FLAT "{canary}" 0'
TABLE: dict[str, tuple[str, Make]] = {
    "qcow2-path": ("qcow2", _backed("qcow2", "{canary}")),
    "qcow2-probed": ("qcow2", _backed("qcow2", "{canary}", is_told=False)),
    "qcow2-file": ("qcow2", _backed("qcow2", "file:{canary}")),
    "qcow2-json": (
        "qcow2",
        _backed("qcow2", 'json:{{"driver":"raw","file":{{"driver":"file","filename":"{canary}"}}}}'),
    ),
    "qcow2-json-probed": (
        "qcow2",
        _backed(
            "qcow2", 'json:{{"driver":"raw","file":{{"driver":"file","filename":"{canary}"}}}}', is_told=False
        ),
    ),
    "qcow2-blkdebug": ("qcow2", _backed("qcow2", "blkdebug::{canary}")),
    "qcow2-nbd": ("qcow2", _backed("qcow2", "nbd://127.0.0.1:{port}/x")),
    "qcow2-nbd-json": (
        "qcow2",
        _backed("qcow2", 'json:{{"driver":"nbd","host":"127.0.0.1","port":"{port}"}}'),
    ),
    "qcow2-http": ("qcow2", _backed("qcow2", "http://127.0.0.1:{port}/x")),
    "qcow2-ssh": ("qcow2", _backed("qcow2", "ssh://127.0.0.1:{port}/x")),
    "qcow2-v2-path": ("qcow2", _backed("qcow2", "{canary}")),
    "qcow2-data-file": ("qcow2", _data_file("{canary}")),
    "qcow2-data-file-relative": ("qcow2", _data_file("secret")),
    "qcow1-path": ("qcow", _backed("qcow", "{canary}")),
    "qed-path": ("qed", _backed("qed", "{canary}")),
    "qed-nbd": ("qed", _backed("qed", "nbd://127.0.0.1:{port}/x")),
    "vmdk-flat": ("vmdk", _descriptor("monolithicFlat", FLAT)),
    "vmdk-two-gb-flat": ("vmdk", _descriptor("twoGbMaxExtentFlat", FLAT)),
    "vmdk-vmfs": ("vmdk", _descriptor("vmfs", 'RW {sectors} VMFS "{canary}"')),
    "vmdk-relative": ("vmdk", _descriptor("monolithicFlat", 'RW {sectors} FLAT "secret" 0')),
    "vmdk-json": ("vmdk", _descriptor("monolithicFlat", 'RW {sectors} FLAT "file:{canary}" 0')),
    "vmdk-nbd": ("vmdk", _descriptor("monolithicFlat", 'RW {sectors} FLAT "nbd://127.0.0.1:{port}/x" 0')),
    "vmdk-http": ("vmdk", _descriptor("monolithicFlat", 'RW {sectors} FLAT "http://127.0.0.1:{port}/x" 0')),
    "vmdk-crlf": ("vmdk", _descriptor("monolithicFlat\r", FLAT)),
}


class Listener:
    """A port that counts who comes."""

    def __init__(self) -> None:
        self.visits = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def _visit(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


def secret_file(folder: Path) -> tuple[Path, bytes]:
    """A file of the size of the disk that is full of a secret."""
    word = secrets.token_hex(16).encode()
    path = folder / "secret"
    path.write_bytes((word * (SIZE // len(word) + 1))[:SIZE])
    return path, word


async def convert(image: Path, target: Path, driver: str | None, walls: Walls | None) -> Ended:
    program = os.path.realpath(str(shutil.which("qemu-img")))
    claim = ["-f", driver] if driver else []
    target.unlink(missing_ok=True)
    target.touch()
    command = [program, "convert", *claim, "-O", "raw", str(image), str(target)]
    if walls is not None:
        return await run(command, Rules(read=(image,), write=(target,), file_bytes=64 << 20), walls)
    limits = ["/usr/bin/prlimit", "--as=1073741824", "--cpu=30", "--fsize=67108864"]
    return await start([*limits, *command], lambda _output: None, lambda: True)


async def leaks(folder: Path, walls: Walls | None) -> tuple[set[str], int]:
    """Convert the whole table; tell what leaked and how often our port was visited."""
    canary, word = secret_file(folder)
    found: set[str] = set()
    async with Listener() as listener:
        for name, (driver, make) in TABLE.items():
            image, target = folder / name, folder / "result"
            make(image, canary, listener.port)
            for claim in (driver, None):
                await convert(image, target, claim, walls)
                if word in target.read_bytes():
                    found.add(f"{name} as {claim or 'probed'}")
        visits = listener.visits
    return found, visits


async def test_limits_alone_give_the_secret_away(tmp_path: Path) -> None:
    """The table is worth something: under limits alone, as others run qemu-img, many of them leak."""
    found, visits = await leaks(tmp_path, None)
    assert len(found) >= 20, sorted(found)
    assert visits > 0
    assert {"qcow2-path as qcow2", "qcow2-data-file as qcow2", "vmdk-flat as vmdk"} <= found


@pytest.mark.parametrize("which", ["all", "landlock", "bubblewrap"])
async def test_within_the_walls_nothing_leaks(walls: Walls, tmp_path: Path, which: str) -> None:
    """Not one secret and not one connection, by whichever walls stand."""
    sets = {
        "all": walls,
        "landlock": Walls(landlock=walls.landlock, seccomp=walls.seccomp),
        "bubblewrap": Walls(bubblewrap=walls.bubblewrap),
    }
    if not sets[which].is_standing:
        pytest.skip(f"{which} does not work here")
    assert await leaks(tmp_path, sets[which]) == (set(), 0)
