"""The papers of a kept appliance: they hold as much as they do where it is unpacked."""

import hashlib
import itertools
import random

import pytest

from fetcher.errors import Failure
from fetcher.parsers.archives.manifest import MAX_MANIFEST_BYTES
from fetcher.parsers.archives.ovf import MAX_DESCRIPTOR_BYTES
from tests.guards.stream.formats.build import MIB, vmdk_stream
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.hostile_ova import ova, ovf
from tests.unpack.making import unpack

Member = tuple[str, bytes]
PAPER: Member = ("a.ovf", ovf())
DISK: Member = ("disk.vmdk", vmdk_stream())
CERTIFICATE: Member = ("a.cert", b"-----BEGIN CERTIFICATE-----\n")
NVRAM: Member = ("a.nvram", b"MRVN" + random.Random(3).randbytes(200_000))


def manifest(*members: Member, algorithm: str = "SHA256") -> Member:
    """Make the manifest of members."""
    lines = (f"{algorithm}({name})= {hashlib.new(algorithm, text).hexdigest()}\n" for name, text in members)
    return ("a.mf", "".join(lines).encode())


def unpacks(packed: bytes) -> str:
    """Return the rule that an archive breaks where it is unpacked; empty where it comes in."""
    try:
        unpack(packed)
    except Failure as failure:
        return str(failure.fields().get("rule", failure.code))
    return ""


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512", "sha256"])
@pytest.mark.parametrize("order", list(itertools.permutations(["manifest", "disk", "certificate", "nvram"])))
def test_an_honest_manifest_is_compared(algorithm: str, order: tuple[str, ...]) -> None:
    """In any place behind the descriptor, with each usual algorithm, beside a certificate."""
    parts = {"disk": DISK, "certificate": CERTIFICATE, "nvram": NVRAM}
    parts["manifest"] = manifest(PAPER, DISK, NVRAM, algorithm=algorithm)
    packed = ova(PAPER, *(parts[part] for part in order))
    found = inspected(packed).report()
    assert (found.is_safe, found.facts["manifest"]) == (True, "compared")
    assert found.facts["certificate"] == "present, not verified"
    assert unpacks(packed) == ""


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("changed", [PAPER, DISK, NVRAM])
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
def test_a_member_that_is_not_what_the_manifest_says(algorithm: str, changed: Member, is_first: bool) -> None:
    """One other byte anywhere in any member is found, as it is where the appliance is unpacked."""
    name, text = changed
    said = [
        (name, text[:-600] + b"?" + text[-599:]) if one is changed else one for one in (PAPER, DISK, NVRAM)
    ]
    papers = manifest(*said, algorithm=algorithm)
    members = (papers, DISK, NVRAM) if is_first else (DISK, NVRAM, papers)
    packed = ova(PAPER, *members)
    assert broken_rules(packed) == {"ova-manifest"}
    assert unpacks(packed) == "checksum-mismatch"


def changed_in(packed: bytes, member: bytes, at: int) -> bytes:
    """Flip a bit of a member."""
    place = packed.index(member) + at
    return packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]


@pytest.mark.parametrize("at", [0, 65_535, 65_536, 131_072, 200_003])
def test_a_bit_anywhere_in_a_long_member(at: int) -> None:
    """Also between the first and the last 64 KiB, which nothing else reads."""
    packed = ova(PAPER, DISK, NVRAM, manifest(PAPER, DISK, NVRAM))
    assert not broken_rules(packed)
    assert broken_rules(changed_in(packed, NVRAM[1], at)) == {"ova-manifest"}
    assert not broken_rules(changed_in(ova(PAPER, DISK, NVRAM), NVRAM[1], at))


OTHER = manifest(PAPER, DISK)[1]
REFUSED: dict[str, tuple[Member, ...]] = {
    "without the disk": (DISK, manifest(PAPER)),
    "empty": (DISK, ("a.mf", b"")),
    "of a file that is not there": (DISK, manifest(PAPER, DISK, ("x", b""))),
    "junk": (DISK, ("a.mf", b"junk\n")),
    "junk before the disk": (("a.mf", b"junk\n"), DISK),
    "in md5": (DISK, ("a.mf", b"MD5(disk.vmdk)= " + b"0" * 40)),
    "digest too short": (DISK, ("a.mf", b"SHA256(disk.vmdk)= " + b"0" * 40)),
    "a file twice": (DISK, ("a.mf", OTHER * 2)),
    "two of them": (DISK, ("a.mf", OTHER), ("b.mf", OTHER)),
    "rare and late": (DISK, manifest(PAPER, DISK, algorithm="SHA384")),
    "too long": (DISK, ("a.mf", OTHER + b"\n" * MAX_MANIFEST_BYTES)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_manifest_that_cannot_be_used(name: str) -> None:
    """It is refused in both ways that an appliance can come in."""
    packed = ova(PAPER, *REFUSED[name])
    assert broken_rules(packed) == {"ova-manifest"}
    assert unpacks(packed) in {"manifest", "descriptor"}


def test_a_rare_digest_that_comes_first() -> None:
    """Only one algorithm is computed then, and any will do."""
    packed = ova(PAPER, manifest(PAPER, DISK, algorithm="SHA384"), DISK)
    assert inspected(packed).report().facts["manifest"] == "compared"
    assert unpacks(packed) == ""


@pytest.mark.parametrize("written", ["my%20disk.vmdk", "my disk.vmdk"])
@pytest.mark.parametrize("is_first", [True, False])
def test_names_in_a_manifest_may_be_encoded(written: str, is_first: bool) -> None:
    """As in references: some writers encode them, others do not."""
    paper, disk = ("a.ovf", ovf("my%20disk.vmdk")), ("my disk.vmdk", DISK[1])
    papers = manifest(paper, (written, DISK[1]))
    packed = ova(paper, papers, disk) if is_first else ova(paper, disk, papers)
    assert inspected(packed).report().facts["manifest"] == "compared"
    assert unpacks(packed) == ""


def test_a_descriptor_may_be_as_long_as_in_an_unpacked_one() -> None:
    """At the limit passes, one byte past it is refused."""
    room = MAX_DESCRIPTOR_BYTES - len(ovf())
    long = ovf() + b" " * room
    assert not broken_rules(ova(("a.ovf", long), DISK))
    assert unpacks(ova(("a.ovf", long), DISK)) == ""
    assert broken_rules(ova(("a.ovf", long + b" "), DISK)) == {"ova-descriptor"}
    assert unpacks(ova(("a.ovf", long + b" "), DISK)) == "descriptor"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('ovf:href="disk.vmdk"', 'ovf:href="disk.vmdk" ovf:chunkSize="9"', "chunks"),
        ('ovf:href="disk.vmdk"', 'ovf:href="disk.vmdk" ovf:compression="bzip2"', "compression"),
        ('ovf:fileRef="f"', 'ovf:fileRef="g"', "reference"),
        ('ovf:href="disk.vmdk"', f'ovf:href="{"x" * 1_001}"', "reference"),
        ('ovf:href="disk.vmdk"', 'ovf:href="disk&#10;.vmdk"', "reference"),
        ("<Disk ", '<Disk ovf:parentRef="d0" ', "parent"),
        ('ovf:capacity="4"', 'ovf:capacity="-4"', "capacity"),
        ("<DiskSection>", "<DiskSection>" + "<a/>" * 16_400, "descriptor"),
        ("Envelope", "Envelop", "descriptor"),
    ],
)
def test_descriptors_are_judged_alike(old: str, new: str, rule: str) -> None:
    """What is refused where an appliance is unpacked is refused where it is kept, by the same rule."""
    text = ovf().decode().replace(old, new)
    assert text != ovf().decode()
    packed = ova(("a.ovf", text.encode()), DISK)
    assert broken_rules(packed) == {f"ova-{rule}"}
    assert unpacks(packed) == rule


def test_disks_that_are_made_at_deployment_count() -> None:
    """A disk without a file is part of the machine's size, and nothing else."""
    empty = '<Disk ovf:capacity="7" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="e"/></DiskSection>'
    text = ovf().decode().replace("</DiskSection>", empty).encode()
    found = inspected(ova(("a.ovf", text), DISK)).report()
    assert (found.is_safe, found.virtual_bytes, found.facts["disks"]) == (True, 11 * MIB, 2)
    assert unpacks(ova(("a.ovf", text), DISK)) == ""


def test_what_desktops_leave_is_no_paper() -> None:
    """A Mac's tar puts a file of attributes before each member that has any; as where it is unpacked."""
    papers, hidden = manifest(PAPER, DISK), b"\0\5\x16\7" + bytes(159)
    packed = ova(PAPER, ("._a.mf", hidden), papers, ("._b.ovf", hidden), ("._disk.vmdk", hidden), DISK)
    assert inspected(packed).report().facts["manifest"] == "compared"
    assert not broken_rules(packed)
    assert unpacks(packed) == ""
