"""Data areas: what a disk holds never makes its container ambiguous; what lies over the metadata does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guards.stream.formats import peers
from tests.guards.stream.formats.build import (
    MIB,
    ext,
    gpt,
    iso,
    mbr,
    parallels,
    patch,
    put,
    qcow2,
    udf,
    vdi,
    vhd,
    vmdk,
)
from tests.guards.stream.formats.corpus import cut, inspected, new_guard, verdict_of
from tests.guards.stream.formats.tools import run

SECTOR = 512
SIGNS = {
    "amiga": (3 * SECTOR, b"RDSK"),
    "bsd": (SECTOR, b"\x57\x45\x56\x82"),
    "gpt": (4_096, b"EFI PART"),
    "lvm2": (3 * SECTOR + 24, b"LVM2 001"),
    "swap": (8_182, b"SWAPSPACE2"),
    "erofs": (1_024, b"\xe2\xe1\xf5\xe0"),
    "zfs": (16_384, b"\1\1" + bytes(9) + b"\1"),
    "hfs+": (1_024, b"H+\0\4"),
    "ext": (1_024, ext()[1_024:1_280]),
}
CONTAINERS: dict[str, tuple[Callable[[], bytes], int]] = {
    "vdi": (vdi, 1_024),
    "vhd": (vhd, 2_048),
    "qcow2, clusters of 512 bytes": (lambda: qcow2(bits=9, size=65_536), SECTOR),
    "qcow2, clusters of 4 KiB": (lambda: qcow2(bits=12), 4_096),
    "qcow2": (qcow2, 65_536),
    "ploop": (parallels, SECTOR),
    "vmdk": (vmdk, 65_536),
    "vmdk, tables of 8 KiB": (lambda: patch(vmdk(), 64, "<Q", 16), 8_192),
    "qed": (lambda: b"QED\0".ljust(MIB, b"\0"), SECTOR),
    "vhdx": (lambda: b"vhdxfile".ljust(MIB, b"\0"), MIB),
}


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_sign_counts_before_the_data_only(container: str, sign: str) -> None:
    """The same bytes are a second format among the metadata, and a guest's behind them."""
    make, data_at = CONTAINERS[container]
    at, magic = SIGNS[sign]
    found = inspected(put(make(), at, magic)).report()
    assert (found.format == "ambiguous") is (at < data_at)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_partition_table_lies_over_the_metadata(container: str) -> None:
    """The first sector is never data, so a boot record in it makes two things of any container."""
    image = put(CONTAINERS[container][0](), 446, mbr()[446:512])
    assert inspected(image).report().format == "ambiguous"


def test_a_sign_in_the_data_hides_none_before_it() -> None:
    """Two labels of one kind: the one that would name a raw disk lies in the data, the other does not."""
    image = put(put(vdi(), 1_024, b"\xe2\xe1\xf5\xe0"), 32, b"NXSB")
    assert inspected(image).report().format == "ambiguous"
    assert inspected(put(vdi(), 1_024, b"\xe2\xe1\xf5\xe0")).report().format == "vdi"


@pytest.mark.parametrize("disc", [iso, udf])
def test_a_disc_counts_where_its_readers_begin(disc: Callable[[], bytes]) -> None:
    """A disc inside lies behind its usual place by as much as the metadata takes, and no reader finds it."""
    area = disc()[32_768:]
    assert inspected(put(vdi(), 32_768, area)).report().format == "ambiguous"
    assert inspected(put(vdi(), 32_768 + 2_048, area)).report().format == "vdi"
    assert inspected(put(qcow2(), 32_768 + 2_048, area)).report().format == "ambiguous"


def amiga(sector: int) -> bytes:
    """Make a disk of 8 MiB with Amiga's label in one of its first sectors."""
    return put(b"\xa5" * (8 * MIB), sector * SECTOR, b"RDSK")


DISKS: dict[str, Callable[[], bytes]] = {
    **{f"amiga-{sector}": lambda sector=sector: amiga(sector) for sector in (0, 2, 15)},  # type: ignore[misc] # the default binds
    "lvm2": lambda: put(b"\xa5" * (8 * MIB), SECTOR + 24, b"LVM2 001"),
    "swap": lambda: put(b"\xa5" * (8 * MIB), 4_086, b"SWAPSPACE2"),
    "bsd": lambda: put(b"\xa5" * (8 * MIB), SECTOR, b"\x57\x45\x56\x82"),
    "ext": lambda: ext(size=8 * MIB),
    "gpt": lambda: gpt(size=8 * MIB),
    "disc": lambda: iso(blocks=4_096),
}
TARGETS = {
    "vhd": "-O vpc",
    "vdi": "-O vdi",
    "qcow2": "-O qcow2 -o cluster_size=512",
    "ploop": "-O parallels",
    "vmdk": "-O vmdk",
    "vhdx": "-O vhdx",
}


@pytest.mark.skipif(not peers.has_qemu_img(), reason="qemu-img is not installed (package qemu-utils)")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("disk", DISKS)
def test_what_qemu_img_converts_is_what_it_was_converted_to(disk: str, target: str, tmp_path: Path) -> None:
    """Every disk in every container that its converter writes comes in as that container."""
    (tmp_path / "disk").write_bytes(DISKS[disk]())
    run(f"qemu-img convert -f raw {TARGETS[target]} disk out", tmp_path)
    image = (tmp_path / "out").read_bytes()
    assert inspected(image).report().format in (target, "parallels")
    if target != "ploop":  # Which the lists of a usual operator do not have.
        assert verdict_of(new_guard(), cut(image, MIB)) == (f"{target}/bare", "-")


@pytest.mark.skipif(not peers.has_qemu_img(), reason="qemu-img is not installed (package qemu-utils)")
@pytest.mark.parametrize("mebibytes", [100, 300, 700])
@pytest.mark.parametrize("disk", ["gpt", "disc", "amiga-2"])
def test_the_size_of_the_map_shifts_no_verdict(disk: str, mebibytes: int, tmp_path: Path) -> None:
    """A VDI's map grows with its disk, so that signs inside come to lie where a raw disk has its own."""
    (tmp_path / "disk").write_bytes(DISKS[disk]())
    run(f"truncate -s {mebibytes}M disk; qemu-img convert -f raw -O vdi disk out", tmp_path)
    assert verdict_of(new_guard(), cut((tmp_path / "out").read_bytes(), MIB)) == ("vdi/bare", "-")
