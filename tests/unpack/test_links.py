"""Links beside the disk of a tar: other names of files, which nothing is ever read through."""

import io
import tarfile

import pytest

from fetcher.errors import DiskUnclear
from tests.unpack.appliances import appliance
from tests.unpack.making import DISK, make_tar, refusal, rule, unpack

SYMBOLIC, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


def linked(
    *members: tuple[str, bytes] | tuple[str, bytes, str], form: int = tarfile.GNU_FORMAT, size: int = 0
) -> bytes:
    """Make a tar of files (name and content) and links (name, kind and target)."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, content, *leads_to in members:
            info = tarfile.TarInfo(name)
            if leads_to:
                info.type, info.linkname, info.size = content, leads_to[0], size
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


LONG = "folder/" * 30 + "disk.raw"
TAKEN = {
    "symbolic, before its disk": [("latest.raw", SYMBOLIC, "disk.raw"), ("disk.raw", DISK)],
    "symbolic, behind it": [("disk.raw", DISK), ("latest.raw", SYMBOLIC, "disk.raw")],
    "hard": [("disk.raw", DISK), ("again.raw", HARD, "disk.raw")],
    "hard, in a folder": [("a/disk.raw", DISK), ("b/again.raw", HARD, "a/disk.raw")],
    "up and down again": [("a/b/latest.raw", SYMBOLIC, "../../disk.raw"), ("disk.raw", DISK)],
    "to nothing": [("notes", SYMBOLIC, "missing.txt"), ("disk.raw", DISK)],
    "to a folder": [("here", SYMBOLIC, "."), ("disk.raw", DISK)],
    "to a long name": [("latest.raw", SYMBOLIC, LONG), ("disk.raw", DISK)],
    "a long name": [(LONG, SYMBOLIC, "a/disk.raw"), ("disk.raw", DISK)],
    "to itself": [("loop.raw", SYMBOLIC, "loop.raw"), ("disk.raw", DISK)],
}
REFUSED = {
    "absolute": [("latest.raw", SYMBOLIC, "/etc/passwd"), ("disk.raw", DISK)],
    "upwards": [("latest.raw", SYMBOLIC, "../disk.raw"), ("disk.raw", DISK)],
    "upwards from a folder": [("a/latest.raw", SYMBOLIC, "x/../../../disk.raw"), ("disk.raw", DISK)],
    "hard, absolute": [("latest.raw", HARD, "/disk.raw"), ("disk.raw", DISK)],
    "hard, upwards": [("a/latest.raw", HARD, "../disk.raw"), ("disk.raw", DISK)],
    "to nowhere": [("latest.raw", SYMBOLIC, ""), ("disk.raw", DISK)],
    "by a backslash": [("latest.raw", SYMBOLIC, "..\\disk.raw"), ("disk.raw", DISK)],
    "a descriptor": [("disk.raw", DISK), ("machine.ovf", SYMBOLIC, "disk.raw")],
}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("what", TAKEN)
def test_a_link_beside_the_disk_is_stepped_over(what: str, form: int) -> None:
    """The disk comes out, and the link is told as skipped."""
    found, unpacker = unpack(linked(*TAKEN[what], form=form))  # type: ignore[arg-type]
    assert found == DISK
    assert len(unpacker.evidence.skipped) == 1


@pytest.mark.parametrize("what", REFUSED)
def test_a_link_that_leads_out_is_refused(what: str) -> None:
    """An honest archive of a disk has none."""
    assert rule(linked(*REFUSED[what])) == "member-type"  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [SYMBOLIC, HARD])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_link_of_the_disks_name(kind: bytes, is_first: bool) -> None:
    """Readers that unpack would differ in what that name is."""
    members = [("disk.raw", kind, "other.raw"), ("disk.raw", DISK)]
    assert rule(linked(*members[:: 1 if is_first else -1])) == "member-name"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["disk.raw", "a/disk.raw"])
def test_a_link_alone_is_no_disk(name: str) -> None:
    """What it leads to is not here."""
    assert refusal(linked((name, SYMBOLIC, "x/disk.raw"))).code == "disk-unclear"


def test_a_link_cannot_be_chosen() -> None:
    """The answer names the file that it leads to, which can."""
    packed = linked(("a.raw", DISK), ("latest.raw", SYMBOLIC, "a.raw"))
    found = refusal(packed, disk="latest.raw")
    assert isinstance(found, DiskUnclear)
    assert "link to a.raw" in str(found)
    assert unpack(packed, disk="a.raw")[0] == DISK


def test_a_link_with_content() -> None:
    """Readers differ in whether bytes follow it."""
    member = tarfile.TarInfo("again.raw")
    member.type, member.linkname, member.size = HARD, "disk.raw", 512
    packed = member.tobuf() + bytes(512) + make_tar([("disk.raw", DISK)])
    assert rule(packed) == "member-type"


@pytest.mark.parametrize("is_first", [True, False])
def test_an_ova_has_no_links(is_first: bool) -> None:
    """Its standard knows regular files only; neither before its descriptor nor behind it."""
    link = tarfile.TarInfo("other.vmdk")
    link.type, link.linkname = SYMBOLIC, "disk1.vmdk"
    members = make_tar(appliance())
    end = len(members.rstrip(b"\0")) + 511 & ~511
    packed = link.tobuf() + members if is_first else members[:end] + link.tobuf() + bytes(10_240)
    assert rule(packed) == "member-type"
