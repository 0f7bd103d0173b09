"""What the guard accepts, qemu-img can read in full without opening anything outside it."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.stream.formats import build, corpus, peers
from tests.guards.stream.formats.canary import run_qemu, watched
from tests.guards.stream.formats.corpus import cut, new_guard, verdict_of

pytestmark = pytest.mark.skipif(
    not peers.has_qemu_img(), reason="Debian's package qemu-utils is not installed"
)
DRIVERS = {"vhd": "vpc", "ploop": "parallels", "iso": "raw"}
ROUNDS, WANTED = 3_000, 12
BASES = (
    *("good-qcow2-512", "good-vmdk", "good-vmdk-stream", "good-vdi", "good-vhd", "good-vhdx"),
    *("good-parallels", "good-iso"),
)


def backed(name: bytes) -> bytes:
    """Make a QCOW2 image with a backing file."""
    return build.put(build.patch(build.qcow2(), 8, ">QI", 512, len(name)), 512, name)


def read_fully(image: bytes, driver: str, folder: Path) -> int:
    """Let qemu-img look at an image, by its probe and by its driver, and convert it."""
    folder.mkdir(exist_ok=True)
    file = folder / "image"
    file.write_bytes(image)
    run_qemu("info", "--backing-chain", str(file), folder=folder)
    return run_qemu("convert", "-f", driver, "-O", "raw", str(file), str(folder / "out"), folder=folder)


@pytest.mark.parametrize(
    ("image", "driver"),
    [
        (backed, "qcow2"),
        (lambda name: b'version=1\ncreateType="monolithicFlat"\nRW 8 FLAT "' + name + b'" 0\n', "vmdk"),
    ],
    ids=["qcow2", "vmdk"],
)
def test_the_canary_sings(image, driver: str, tmp_path: Path) -> None:
    """The check can fail: images that name the canary, and that the guard refuses, make qemu-img open it."""
    with watched(tmp_path / "cage") as canary:
        hostile = image(bytes(canary.file))
        assert verdict_of(new_guard(driver), cut(hostile))[0] == "format-unsafe"
        read_fully(hostile, driver, tmp_path / "work")
        assert "canary" in canary.opened()


def spoilt(base: bytes, name: bytes, dice: random.Random) -> bytes:
    """Write names of the canary, numbers and noise over an image, mostly over its headers."""
    image = bytearray(base)
    pieces = (
        name,
        b'json:{"file.filename":"' + name + b'"}',
        b'parentFileNameHint="' + name + b'"\n',
        b'RW 8 FLAT "' + name + b'" 0\n',
        struct.pack(">Q", dice.choice((0, 1, 512, 65_536, len(base)))),
        struct.pack("<I", dice.choice((0, 1, 512, 0xFFFF_FFFF))),
        dice.randbytes(dice.choice((1, 2, 8, 300))),
    )
    for _ in range(dice.randint(1, 3)):
        at = dice.choice((dice.randrange(1024), dice.randrange(12_000), dice.randrange(len(base))))
        piece = dice.choice(pieces)
        image[at : at + len(piece)] = piece
    return bytes(image[: len(base)])


def accepted(base: bytes, name: bytes, dice: random.Random) -> Iterator[tuple[bytes, str]]:
    """Yield the spoilt images that the guard lets pass, with qemu's driver for each."""
    for _ in range(ROUNDS):
        image = spoilt(base, name, dice)
        verdict, _ = verdict_of(new_guard(), cut(image))
        disk = verdict.partition("/")[0]
        if verdict.endswith("/bare"):
            yield image, DRIVERS.get(disk, disk)


@pytest.mark.parametrize("base", BASES)
def test_accepted_mutations_open_nothing(base: str, tmp_path: Path) -> None:
    """However an image is spoilt, if the guard lets it pass then qemu-img opens nothing but the image."""
    dice = random.Random(base)
    with watched(tmp_path / "cage") as canary:
        tried = 0
        for image, driver in accepted(corpus.BUILT[base](), bytes(canary.file), dice):
            read_fully(image, driver, tmp_path / "work")
            assert canary.opened() == []
            tried += 1
            if tried == WANTED:
                break
        assert tried == WANTED
