"""OVAs: honest ones give their disk and their properties, hostile ones a refusal that says why."""

import gzip
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.unpack import UnpackLimits, recognise
from tests.unpack.appliances import (
    CPU,
    DISK,
    DISK_LINE,
    FILE,
    ITEMS,
    MEMORY,
    SECOND,
    appliance,
    descriptor,
    drive,
    item,
    manifest,
    strange,
    two_disks,
)
from tests.unpack.making import make_tar, make_zip, refusal, rule, unpack

USTAR = tarfile.USTAR_FORMAT


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
@pytest.mark.parametrize("place", [1, 2], ids=["before", "behind"])
def test_honest_appliance(algorithm: str, place: int) -> None:
    """The disk comes out, the manifest is compared wherever it lies, and the machine becomes properties."""
    members = appliance()
    members.insert(place, manifest(members, algorithm))
    packed = make_tar(members, format=USTAR)
    assert recognise(packed[:512]) == "ova"
    out, unpacker = unpack(packed)
    evidence = unpacker.evidence
    assert (out, str(unpacker.plan)) == (DISK, "ova > disk1.vmdk")
    assert evidence.manifest == "compared"
    assert algorithm.lower() in evidence.digests["disk1.vmdk"]
    assert (evidence.min_ram_mib, evidence.min_disk_gib) == (2048, 20)
    assert evidence.properties == {
        "hw_disk_bus": "scsi",
        "hw_scsi_model": "lsilogic",
        "hw_vif_model": "vmxnet3",
        "vmware_ostype": "ubuntu64Guest",
        "os_distro": "ubuntu",
        "os_type": "linux",
        "architecture": "x86_64",
    }
    assert evidence.facts == {"processors": 2, "disks": 1, "systems": 1}


@pytest.mark.parametrize(
    ("form", "stem"),
    [
        *((tarfile.USTAR_FORMAT, stem) for stem in ("vm", "\u00fcber")),  # It has no place for long names.
        *((tarfile.GNU_FORMAT, stem) for stem in ("vm", "a-very-long-name-" * 8, "\u00fcber")),
        *((tarfile.PAX_FORMAT, stem) for stem in ("vm", "a-very-long-name-" * 8, "\u00fcber")),
    ],
)
def test_every_way_to_write_names(form: int, stem: str) -> None:
    """GNU's long names, pax paths, a leading pax header, and long zero padding come in."""
    more: dict[str, object] = {"pax_headers": {"comment": "x"}} if form == tarfile.PAX_FORMAT else {}
    members = [(f"{stem}.ovf", descriptor()), ("disk1.vmdk", DISK)]
    out, unpacker = unpack(make_tar(members, format=form, **more) + bytes(3_000_000))
    assert (out, unpacker.plan.layers[0].packing) == (DISK, "ova")


@given(cuts=st.lists(st.integers(1, 2_000), max_size=40))
@settings(max_examples=20, deadline=None)
def test_cuts_change_nothing(cuts: list[int]) -> None:
    """Where chunks end is the source's choice."""
    members = appliance()
    out, unpacker = unpack(make_tar([*members, manifest(members)], format=USTAR), cut=cuts)
    assert out == DISK
    assert unpacker.evidence.manifest == "compared"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_any_order(order: tuple[int, ...]) -> None:
    """A late descriptor confirms the one disk that came before it, and the manifest still counts."""
    members = appliance()
    members.append(manifest(members))
    out, unpacker = unpack(make_tar([members[place] for place in order], format=USTAR))
    assert (out, str(unpacker.plan)) == (DISK, "ova > disk1.vmdk")
    assert unpacker.evidence.manifest == "compared"
    members[2] = ("vm.mf", members[2][1].replace(b"disk1.vmdk)= ", b"disk1.vmdk)= 00")[:-3] + b"\n")
    assert refusal(make_tar([members[place] for place in order], format=USTAR)).code in {
        "unpack-failed",
        "checksum-mismatch",
    }


def test_two_disks_are_refused_naming_them_at_once() -> None:
    """The descriptor tells; nobody waits for the disks. With a choice, that one comes out."""
    members = appliance(two_disks(), ("disk2.vmdk", SECOND))
    packed = make_tar(members, format=USTAR)
    failure = refusal(packed[:8_192])
    assert (failure.code, failure.fields()["disks"]) == ("disk-unclear", ["disk2.vmdk", "disk1.vmdk"])
    for asked, expected, gib in (
        ("disk1.vmdk", DISK, 20),
        ("disk2.vmdk", SECOND, 5),
        ("1", SECOND, 5),
        ("d1", DISK, 20),
    ):
        out, unpacker = unpack(packed, disk=asked)
        assert (out, unpacker.evidence.min_disk_gib) == (expected, gib)
    assert refusal(packed, disk="3").code == "disk-unclear"


def test_late_descriptor_with_a_choice() -> None:
    """By name, also where the descriptor comes last."""
    members = appliance(two_disks(), ("disk2.vmdk", SECOND))[::-1]
    packed = make_tar(members, format=USTAR)
    assert unpack(packed, disk="disk1.vmdk")[0] == DISK
    assert unpack(packed, disk="disk2.vmdk")[0] == SECOND
    assert refusal(packed).code == "disk-unclear"


def test_discs_and_nvram_beside_the_disk() -> None:
    """What the descriptor does not call a disk is not one."""
    ovf = descriptor(
        files=FILE + '<File ovf:href="tools.iso" ovf:id="f2"/><File ovf:href="vm.nvram" ovf:id="f3"/>'
    )
    members = appliance(ovf, ("tools.iso", bytes(40_000)), ("vm.nvram", b"MRVN"))
    out, unpacker = unpack(make_tar([*members, manifest(members), ("vm.cert", b"-----BEGIN")], format=USTAR))
    assert out == DISK
    assert unpacker.evidence.signature == "present, not verified"
    assert unpacker.evidence.skipped == ["tools.iso", "vm.nvram", "vm.cert"]


@pytest.mark.parametrize("name", ["disk1.vmdk", "disk1.vmdk.gz"])
def test_compressed_disk(name: str) -> None:
    """`ovf:compression="gzip"` is undone, and has to be true."""
    ovf = descriptor(files=f'<File ovf:href="{name}" ovf:id="file1" ovf:compression="gzip"/>')
    for members in (
        [("vm.ovf", ovf), (name, gzip.compress(DISK))],
        [(name, gzip.compress(DISK)), ("vm.ovf", ovf)],
    ):
        out, unpacker = unpack(make_tar([*members, manifest(members)], format=USTAR))
        assert (out, str(unpacker.plan)) == (DISK, f"ova > {name} > gzip")
    for members in ([("vm.ovf", ovf), (name, DISK)], [(name, DISK), ("vm.ovf", ovf)]):
        assert rule(make_tar(members, format=USTAR)) == "compression"


def test_appliance_in_other_packings() -> None:
    """A .ova.gz, a zip of an OVA, and a zip of an unpacked appliance."""
    members = [("app/" + name, text) for name, text in appliance()]
    packed = make_tar(appliance(), format=USTAR)
    assert str(unpack(gzip.compress(packed))[1].plan) == "gzip > ova > disk1.vmdk"
    assert str(unpack(make_zip([("vm.ova", packed)]))[1].plan) == "zip > vm.ova > ova > disk1.vmdk"
    out, unpacker = unpack(make_zip(members))
    assert (out, unpacker.evidence.min_ram_mib) == (DISK, 2048)
    assert unpack(make_tar(members))[1].evidence.min_disk_gib == 20


SELF = "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {b} '&{a};&{a};'>" for a, b in ("ab", "bc", "cd"))
    + "]>"
)


def typed(document_type: str) -> bytes:
    """Put a document type before an envelope."""
    return descriptor().replace(b"<Envelope", document_type.encode() + b"<Envelope", 1)


TAIL = bytes(1024)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute name": (make_tar([*appliance(), ("/etc/x", b"1")]), "member-name"),
    "parent folder": (make_tar([*appliance(), ("../x", b"1")]), "member-name"),
    "folder": (make_tar([*appliance(), ("in/x", b"1")]), "member-name"),
    "symlink": (strange(tarfile.SYMTYPE, "disk.vmdk", "/dev/sda") + make_tar(appliance()), "member-type"),
    "symlink first": (strange(tarfile.SYMTYPE, "vm.ovf", "/etc/passwd") + TAIL, "member-type"),
    "hard link": (strange(tarfile.LNKTYPE, "vm.ovf", "disk1.vmdk") + TAIL, "member-type"),
    "device": (strange(tarfile.CHRTYPE, "vm.ovf") + TAIL, "member-type"),
    "pipe": (strange(tarfile.FIFOTYPE, "vm.ovf") + TAIL, "member-type"),
    "external entity": (make_tar(appliance(typed(SELF))), "descriptor"),
    "billion laughs": (make_tar(appliance(typed(LAUGHS))), "descriptor"),
    "document type": (make_tar(appliance(typed("<!DOCTYPE x>"))), "descriptor"),
    "no xml": (make_tar(appliance(b"not xml at all")), "descriptor"),
    "html": (make_tar(appliance(b"<html/>")), "descriptor"),
    "utf-16 mark": (make_tar(appliance(b"\xff\xfe<\0")), "descriptor"),
    "unknown encoding": (
        make_tar(appliance(b'<?xml version="1.0" encoding="x-none"?><Envelope/>')),
        "descriptor",
    ),
    "huge descriptor": (make_tar(appliance(descriptor() + b" " * (1 << 20))), "descriptor"),
    "huge manifest": (make_tar([*appliance(), ("vm.mf", b" " * 70_000)]), "descriptor"),
    "two descriptors": (make_tar(appliance(None, ("other.ovf", descriptor()))), "descriptor"),
    "two manifests": (
        make_tar([*appliance(), manifest(appliance()), ("b.mf", manifest(appliance())[1])]),
        "manifest",
    ),
    "30,000 members": (
        make_tar([*appliance(), *[(f"{n}", b"") for n in range(30_000)]], format=USTAR),
        "members",
    ),
    "path in reference": (
        make_tar(appliance(descriptor(files=FILE.replace("disk1", "../disk1")))),
        "reference",
    ),
    "url in reference": (
        make_tar(appliance(descriptor(files=FILE.replace("disk1", "http://x/disk1")))),
        "reference",
    ),
    "empty reference": (make_tar(appliance(descriptor(files=FILE.replace("disk1.vmdk", "")))), "reference"),
    "missing file": (make_tar(appliance(descriptor(files=FILE + FILE.replace("1", "2")))), "reference"),
    "missing disk": (make_tar(appliance()[:1]), "reference"),
    "no reference": (make_tar(appliance(descriptor(files=""))), "reference"),
    "same id twice": (
        make_tar(appliance(descriptor(files=FILE + FILE.replace("disk1", "disk2")))),
        "reference",
    ),
    "parent": (
        make_tar(appliance(descriptor(disks=DISK_LINE.replace("<Disk", '<Disk ovf:parentRef="p"')))),
        "parent",
    ),
    "chunks": (make_tar(appliance(descriptor(files=FILE.replace("/>", ' ovf:chunkSize="9"/>')))), "chunks"),
    "bzip2": (
        make_tar(appliance(descriptor(files=FILE.replace("/>", ' ovf:compression="bzip2"/>')))),
        "compression",
    ),
    "capacity": (make_tar(appliance(descriptor(disks=DISK_LINE.replace('"20"', '"-1"')))), "capacity"),
    "unit": (make_tar(appliance(descriptor(disks=DISK_LINE.replace("byte * 2^30", "parsec")))), "capacity"),
    "no disks": (make_tar(appliance(descriptor(disks=""))), "disk-unclear"),
    "other disk before": (make_tar([("evil.vmdk", SECOND), *appliance()]), "disk-unclear"),
    "cut": (make_tar(appliance())[:9_000], "cut-short"),
    "same name": (make_tar([*appliance(), ("disk1.vmdk", SECOND)]), "member-name"),
    "wrong digest": (make_tar([*appliance(), manifest([("disk1.vmdk", SECOND)])]), "checksum-mismatch"),
    "wrong digest of the descriptor": (
        make_tar([*appliance(), manifest([("vm.ovf", b""), ("disk1.vmdk", DISK)])]),
        "checksum-mismatch",
    ),
    "manifest without the disk": (make_tar([*appliance(), manifest(appliance()[:1])]), "manifest"),
    "manifest of a missing file": (
        make_tar([*appliance(), manifest([*appliance(), ("x", b"")])]),
        "manifest",
    ),
    "manifest of junk": (make_tar([*appliance(), ("vm.mf", b"junk")]), "manifest"),
    "manifest in md5": (make_tar([*appliance(), ("vm.mf", b"MD5(disk1.vmdk)= " + b"0" * 40)]), "manifest"),
    "manifest short": (make_tar([*appliance(), ("vm.mf", b"SHA256(disk1.vmdk)= " + b"0" * 40)]), "manifest"),
    "manifest twice": (make_tar([*appliance(), ("vm.mf", manifest(appliance())[1] * 2)]), "manifest"),
    "late rare digest": (make_tar([*appliance(), manifest(appliance(), "SHA384")]), "manifest"),
    "trailing": (make_tar(appliance()) + b"x", "trailing-bytes"),
    "tar in it": (
        make_tar([("vm.ovf", descriptor()), ("disk1.vmdk", make_tar([("disk.raw", DISK)]))]),
        "nested",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_appliances(name: str) -> None:
    """Each ends with the rule that it breaks, whole or in small chunks."""
    packed, expected = HOSTILE[name]
    assert rule(packed) == expected
    assert rule(packed, cut=4_096) == expected


@pytest.mark.parametrize("size", [b"-0000000001\0", b"\xff" * 12, b"junkjunkjunk"])
def test_sizes_that_are_none(size: bytes) -> None:
    """A negative, an endless and a senseless size."""
    packed = bytearray(make_tar(appliance()))
    at = packed.index(b"disk1.vmdk\0")
    packed[at + 124 : at + 136] = size
    packed[at + 148 : at + 156] = b" " * 8
    packed[at + 148 : at + 156] = b"%06o\0 " % sum(packed[at : at + 512])
    assert rule(bytes(packed)) == "header"


def test_a_size_of_eight_gibibytes_in_binary() -> None:
    """GNU's binary form is read; more than the limit is refused at the header."""
    packed = make_tar(appliance(), format=tarfile.GNU_FORMAT)
    at = packed.index(b"disk1.vmdk\0")
    big = bytearray(packed[: at + 512])
    big[at + 124 : at + 136] = b"\x80" + (9 << 30).to_bytes(11, "big")
    big[at + 148 : at + 156] = b" " * 8
    big[at + 148 : at + 156] = b"%06o\0 " % sum(big[at : at + 512])
    assert refusal(bytes(big)).fields()["declared_bytes"] == 9 << 30
    assert rule(bytes(big), limits=UnpackLimits(max_output_bytes=10 << 30)) == "cut-short"


@pytest.mark.parametrize(
    ("capacity", "unit", "gib"),
    [
        ("20", "byte * 2^30", 20),
        ("20", "GigaBytes", 20),
        ("20480", "MegaBytes", 20),
        ("20", "GB", 20),
        ("21", "GiB", 21),
        ("1", "byte * 2^40", 1024),
        ("1073741825", "byte", 2),
        ("1073741824", "", 1),
        ("20971520", "KB", 20),
        ("20", "byte*2^30", 20),
        ("2", "bytes * 10^9", 2),
        ("8", "byte * 1073741824", 8),
        ("${size}", "byte", None),
    ],
)
def test_units(capacity: str, unit: str, gib: int | None) -> None:
    """All that products have written since OVF 0.9."""
    line = DISK_LINE.replace('"20"', f'"{capacity}"').replace('"byte * 2^30"', f'"{unit}"')
    if not unit:
        line = line.replace('ovf:capacityAllocationUnits=""', "")
    _, unpacker = unpack(make_tar(appliance(descriptor(disks=line))))
    assert unpacker.evidence.min_disk_gib == gib


@pytest.mark.parametrize(
    ("items", "config", "expected"),
    [
        (item(5, "3") + drive("d1", "3"), "", {"hw_disk_bus": "ide"}),
        (item(20, "3", "AHCI") + drive("d1", "3"), "", {"hw_disk_bus": "sata"}),
        (item(20, "3", "vmware.sata.ahci") + drive("d1", "3"), "", {"hw_disk_bus": "sata"}),
        (
            item(6, "3", "VirtualSCSI") + drive("d1", "3"),
            "",
            {"hw_disk_bus": "scsi", "hw_scsi_model": "vmpvscsi"},
        ),
        (
            item(6, "3", "lsilogicsas") + drive("d1", "3"),
            "",
            {"hw_disk_bus": "scsi", "hw_scsi_model": "lsisas1068"},
        ),
        (item(6, "3", "unheard") + drive("d1", "3"), "", {"hw_disk_bus": "scsi"}),
        (item(10, "7", "E1000e"), "", {"hw_vif_model": "e1000e"}),
        (item(10, "7", "PCNet32"), "", {"hw_vif_model": "pcnet"}),
        (item(10, "7", "Unheard"), "", {}),
        ("", '<vmw:Config vmw:key="firmware" vmw:value="efi"/>', {"hw_firmware_type": "uefi"}),
        ("", '<vmw:Config vmw:key="firmware" vmw:value="bios"/>', {"hw_firmware_type": "bios"}),
        ("", '<vbox:Machine><Firmware type="EFI"/></vbox:Machine>', {"hw_firmware_type": "uefi"}),
        (
            "",
            '<vmw:Config vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>',
            {"os_secure_boot": "optional"},
        ),
    ],
)
def test_hardware(items: str, config: str, expected: dict[str, str]) -> None:
    """Controllers, network cards and firmware in the words of image properties."""
    _, unpacker = unpack(make_tar(appliance(descriptor(items=items, config=config, os=""))))
    assert unpacker.evidence.properties == expected


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        ("debian11_64Guest", "", {"os_distro": "debian", "os_type": "linux", "architecture": "x86_64"}),
        (
            "windows9Server64Guest",
            "",
            {"os_distro": "windows", "os_type": "windows", "architecture": "x86_64"},
        ),
        ("otherLinux64Guest", "", {"os_type": "linux", "architecture": "x86_64"}),
        ("otherGuest", "", {}),
        ("", "RedHat_64", {"os_distro": "rhel", "os_type": "linux", "architecture": "x86_64"}),
        ("", "Ubuntu_64", {"os_distro": "ubuntu", "os_type": "linux", "architecture": "x86_64"}),
        ("", "Windows10_64", {"os_distro": "windows", "os_type": "windows", "architecture": "x86_64"}),
        ("", "FreeBSD_64", {"os_distro": "freebsd", "architecture": "x86_64"}),
    ],
)
def test_operating_systems(kind: str, words: str, expected: dict[str, str]) -> None:
    """VMware's and VirtualBox's names of guests."""
    os = f'vmw:osType="{kind}"' if kind else ""
    _, unpacker = unpack(make_tar(appliance(descriptor(items=CPU + MEMORY, os=os, words=words))))
    found = dict(unpacker.evidence.properties)
    assert found.pop("vmware_ostype", "") == kind
    assert found == expected


def test_senseless_hardware_suggests_nothing() -> None:
    """What cannot be read is left out: it is only a suggestion."""
    odd = ITEMS.replace("2048", "many").replace(">2<", ">two<").replace("VmxNet3", "x" * 999)
    _, unpacker = unpack(make_tar(appliance(descriptor(items=odd, os='vmw:osType="&lt;b&gt;"'))))
    assert unpacker.evidence.min_ram_mib is None
    assert unpacker.evidence.facts == {"disks": 1, "systems": 1}
    assert set(unpacker.evidence.properties) == {"hw_disk_bus", "hw_scsi_model"}


def test_a_choice_that_the_late_descriptor_sees_otherwise() -> None:
    """A number counts the members before the descriptor; an id of the descriptor comes too late for them."""
    members = appliance(two_disks(), ("disk2.vmdk", SECOND))
    late = [members[1], members[2], members[0]]
    assert unpack(make_tar(late, format=USTAR), disk="disk2.vmdk")[0] == SECOND
    assert refusal(make_tar(late, format=USTAR), disk="d1").code == "disk-unclear"
    assert unpack(make_tar(late, format=USTAR), disk="1")[0] == DISK


MAC = ("._vm.ovf", b"\0\5\x16\7" + bytes(100))


def test_what_desktops_leave_is_no_descriptor() -> None:
    """A Mac's shadow of the descriptor comes before it, and says nothing."""
    out, unpacker = unpack(make_tar([MAC, *appliance()], format=USTAR))
    assert (out, str(unpacker.plan)) == (DISK, "ova > disk1.vmdk")


@pytest.mark.parametrize("name", ["my disk.vmdk", "my%20disk.vmdk"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_references_are_uris(name: str, order: tuple[int, int]) -> None:
    """A reference may be encoded as URIs are, or stand as it is; the manifest speaks of members."""
    members = [
        ("vm.ovf", descriptor(files=FILE.replace("disk1.vmdk", "my%20disk.vmdk"))),
        (name, DISK),
    ]
    packed = make_tar([*(members[place] for place in order), manifest(members)], format=USTAR)
    out, unpacker = unpack(packed)
    assert (out, unpacker.evidence.manifest) == (DISK, "compared")
    assert unpacker.plan.layers[0].member == name


def test_references_that_lead_outside_when_decoded() -> None:
    """Encoding is no way around the rule that a reference is a plain name."""
    outside = descriptor(files=FILE.replace("disk1.vmdk", "%2e%2e%2fdisk1.vmdk"))
    assert rule(make_tar([("vm.ovf", outside), ("disk1.vmdk", DISK)])) == "reference"


def test_manifests_in_other_spellings() -> None:
    """Names of algorithms are written in either case; one that is rare is compared where it can be."""
    members = appliance()
    name, text = manifest(members)
    lower = (name, text.replace(b"SHA256", b"sha256"))
    assert unpack(make_tar([*members, lower], format=USTAR))[1].evidence.manifest == "compared"
    rare = manifest(members, "SHA384")
    assert unpack(make_tar([members[0], rare, members[1]], format=USTAR))[1].evidence.manifest == "compared"
