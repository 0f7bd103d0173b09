"""The disk among what usual exports put beside it, and disks that an archive holds only in parts."""

import hashlib
import tarfile

import pytest

from fetcher.errors import DiskUnclear, UnpackFailed
from tests.unpack.appliances import DISK_LINE, appliance, descriptor
from tests.unpack.making import DISK, MIB, make_disk, make_tar, make_zip, refusal, rule, unpack

LARGE = b"\x07" * (MIB + 1)
START = make_disk(20_000)  # It begins as a disk does, which its name does not say.


@pytest.mark.parametrize(
    "beside",
    [
        "Virtual Machines/4F.vmcx",
        "Virtual Machines/4F.VMRS",
        "Virtual Machines/4F.vmgs",
        "box.utm/Data/efi_vars.fd",
        "OVMF_VARS.fd",
        "nvram.bin",
        "vm.vmem",
        "vm.vmss",
        "vm-Snapshot1.vmsn",
        "vmware.log",
        "jammy-floppy",
    ],
)
def test_what_exports_put_beside_a_disk(beside: str) -> None:
    """Firmware, logs and the state of a machine are no disk, of whatever size."""
    for members in ([("disk.raw", DISK), (beside, LARGE)], [(beside, LARGE), ("disk.raw", DISK)]):
        out, unpacker = unpack(make_zip(members))
        assert out == DISK
        assert unpacker.evidence.skipped == [beside]


PARTS = {
    "numbers": ("disk.raw.00", "disk.raw.01"),
    "numbers from one": ("disk.vhd.001", "disk.vhd.002"),
    "letters": ("disk.img.aa", "disk.img.ab"),
    "letters alone": ("xaa", "xab"),
    "chunks of an appliance": ("disk.vmdk.000000000", "disk.vmdk.000000001"),
    "parts": ("disk.raw.part1", "disk.raw.part2"),
    "extents of VMware": ("disk-f001.vmdk", "disk-f002.vmdk"),
    "a carry": ("disk.raw.09", "disk.raw.10"),
    "a carry of letters": ("disk.raw.az", "disk.raw.ba"),
}


@pytest.mark.parametrize("what", PARTS)
@pytest.mark.parametrize("asked", [None, "1", "2", "first", "second"])
def test_a_disk_in_parts_is_never_one_of_them(what: str, asked: str | None) -> None:
    """One part would be a disk that is cut short, also where it is asked for."""
    first, second = PARTS[what]
    disk = {"first": first, "second": second}.get(asked or "", asked)
    failure = refusal(make_tar([(first, START), (second, START)]), disk=disk)
    assert isinstance(failure, UnpackFailed | DiskUnclear)
    if asked != "2":
        assert getattr(failure, "rule", "") == "parts"
        assert "one file" in failure.hint


@pytest.mark.parametrize("names", [("a/disk-s001.vmdk", "a/disk.vmdk"), ("disk.vmdk", "disk-s001.vmdk")])
def test_a_descriptor_and_its_extent_are_one_disk(names: tuple[str, str]) -> None:
    """Neither of them is the disk, so that nobody is asked to choose."""
    failure = refusal(make_tar([(name, START) for name in names]))
    assert isinstance(failure, UnpackFailed)
    assert failure.rule == "parts"


@pytest.mark.parametrize("names", [("a.raw", "b.raw"), ("box_0.img", "box_1.img"), ("a.raw.00", "b.raw.01")])
def test_two_disks_are_not_taken_for_parts(names: tuple[str, str]) -> None:
    """One of them can be chosen."""
    packed = make_tar([(name, START) for name in names])
    assert refusal(packed).code == "disk-unclear"
    assert unpack(packed, disk=names[1])[0] == START


def test_a_number_alone_makes_no_part() -> None:
    """Logs that are rotated lie beside a disk as anything else does, and a date is no part."""
    packed = make_tar([("disk.raw", DISK), ("syslog.01", b"a"), ("syslog.02", b"b")])
    assert unpack(packed)[0] == DISK
    assert unpack(make_tar([("disk.raw.01", DISK)]))[0] == DISK


@pytest.mark.parametrize("disk", [None, "1", "Ref:4/00000000"])
def test_an_export_of_xenserver(disk: str | None) -> None:
    """An XVA cuts its disk into mebibytes and leaves empty ones out: the first is not the disk."""
    first, last = (make_disk(MIB, seed=seed) for seed in (1, 2))
    members = [("ova.xml", b"<value/>")]
    for name, content in (("Ref:4/00000000", first), ("Ref:4/00000021", last)):
        members += [(name, content), (f"{name}.checksum", hashlib.sha1(content).hexdigest().encode())]
    failure = refusal(make_tar(members), disk=disk)
    assert isinstance(failure, UnpackFailed)
    assert failure.rule == "parts"


@pytest.mark.parametrize("is_first", [True, False])
def test_a_disk_by_its_beginning_only_is_alone(is_first: bool) -> None:
    """No file is the disk where no name says which, and several could be."""
    members = [("system", START), ("data", b"\x01" * 9_000)]
    packed = make_tar(members[:: 1 if is_first else -1])
    failure = refusal(packed)
    assert isinstance(failure, DiskUnclear)
    assert sorted(failure.disks) == ["data", "system"]
    assert unpack(packed, disk="system")[0] == START
    assert unpack(make_tar([*members[:1], ("README", b"Boot it.")]))[0] == START


def test_what_vagrant_includes() -> None:
    """A box of VirtualBox may have a folder beside its descriptor, but no disk in it."""
    box = [*appliance(), ("include/_Vagrantfile", b"Vagrant.configure(2)"), ("metadata.json", b"{}")]
    assert unpack(make_tar(box))[0] == appliance()[1][1]
    assert rule(make_tar([*appliance(), ("include/disk.vmdk", DISK)])) == "member-name"


def test_no_parent_is_none() -> None:
    """An oVirt engine writes the reference to a parent also where there is none."""
    ovf = descriptor(disks=DISK_LINE.replace("<Disk", '<Disk ovf:parentRef=""'))
    assert unpack(make_tar(appliance(ovf)))[0] == appliance()[1][1]


def test_an_incremental_tar() -> None:
    """A folder that lists its files, as `tar -g` writes it, is a folder like any other."""

    def as_dumpdir(info: tarfile.TarInfo) -> None:
        if info.name.endswith("/"):
            info.type = b"D"

    listing = b"Ydisk.raw\0Nold.raw\0\0"
    members = [("image/", listing), ("image/disk.raw", DISK)]
    out, unpacker = unpack(make_tar(members, as_dumpdir), cut=700)
    assert (out, unpacker.evidence.skipped) == (DISK, [])
    assert rule(make_tar(members, as_dumpdir)[:600]) == "cut-short"
    assert rule(make_tar([("../", b""), *members], as_dumpdir)) == "member-name"


@pytest.mark.parametrize(("kind", "words"), [(b"M", "several"), (b"Z", "not known"), (b"6", "pipe")])
def test_members_of_other_kinds_are_called_what_they_are(kind: bytes, words: str) -> None:
    """A part of an archive and what nobody knows are no device."""

    def of_kind(info: tarfile.TarInfo) -> None:
        info.type = kind

    failure = refusal(make_tar([("disk.raw", b"")], of_kind))
    assert isinstance(failure, UnpackFailed)
    assert failure.rule == "member-type"
    assert words in failure.reason
