"""Links beside the disk of an archive: other names of files, which nothing is ever read through."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetcher.errors import DiskUnclear
from tests.unpack.appliances import appliance
from tests.unpack.making import DISK, make_tar, make_zip, refusal, rule, run, unpack

SYMBOLIC, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


def linked(*members: Any, form: int = tarfile.GNU_FORMAT, size: int = 0) -> bytes:
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


def zipped(*members: Any) -> bytes:
    """Make a zip of the same, as `zip -y` does: a link is a member whose content is its target."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, *leads_to in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            info.external_attr = (0o120777 if leads_to else 0o100644) << 16
            archive.writestr(info, leads_to[0] if leads_to else content)
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
BELOW = {
    "the disk": [("a", SYMBOLIC, "b"), ("a/disk.raw", DISK)],
    "the disk, before it": [("a/c/disk.raw", DISK), ("a", SYMBOLIC, "b")],
    "a file beside it": [("disk.raw", DISK), ("a", SYMBOLIC, "b"), ("a/notes.txt", b"x")],
}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("what", TAKEN)
def test_a_link_beside_the_disk_is_stepped_over(what: str, form: int) -> None:
    """The disk comes out, and the link is told as skipped."""
    found, unpacker = unpack(linked(*TAKEN[what], form=form))
    assert found == DISK
    assert len(unpacker.evidence.skipped) == 1


@pytest.mark.parametrize("what", REFUSED)
def test_a_link_that_leads_out_is_refused(what: str) -> None:
    """An honest archive of a disk has none."""
    assert rule(linked(*REFUSED[what])) == "member-type"


@pytest.mark.parametrize("pack", [linked, zipped])
@pytest.mark.parametrize("what", BELOW)
def test_no_member_lies_below_a_link(what: str, pack: Callable[..., bytes]) -> None:
    """Readers that unpack differ in where such a member ends up."""
    assert rule(pack(*BELOW[what])) == "member-name"


@pytest.mark.parametrize("kind", [SYMBOLIC, HARD])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_link_of_the_disks_name(kind: bytes, is_first: bool) -> None:
    """Readers that unpack would differ in what that name is."""
    members = [("disk.raw", kind, "other.raw"), ("disk.raw", DISK)]
    assert rule(linked(*members[:: 1 if is_first else -1])) == "member-name"


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


IN_ZIPS = [
    "symbolic, before its disk",
    "symbolic, behind it",
    "up and down again",
    "to a long name",
    "to itself",
]


@pytest.mark.parametrize("what", IN_ZIPS)
def test_a_link_in_a_zip_beside_the_disk_that_was_asked_for(what: str) -> None:
    """Whoever takes out the one that was asked for never looks at the link."""
    asked = next(member[0] for member in TAKEN[what] if len(member) == 2)
    found, unpacker = unpack(zipped(*TAKEN[what]), disk=asked)
    assert (found, unpacker.plan.layers[0].member) == (DISK, asked)
    assert len(unpacker.evidence.skipped) == 1


def test_a_link_in_a_zip_looks_like_a_file_until_its_end() -> None:
    """One whose name is a disk's makes two disks; what it is shows too late to count only one."""
    packed = zipped(("disk.raw", DISK), ("latest.raw", SYMBOLIC, "disk.raw"))
    assert refusal(packed).fields()["disks"] == ["disk.raw", "latest.raw"]
    found = refusal(packed, disk="latest.raw")
    assert isinstance(found, DiskUnclear)
    assert "link to disk.raw" in str(found)
    assert unpack(packed, disk="1")[0] == DISK
    alone = refusal(zipped(("in/latest.raw", SYMBOLIC, "disk.raw")))
    assert (alone.code, alone.fields()["disks"]) == ("disk-unclear", ["in/disk.raw"])


def test_what_zip_makes_of_links(tmp_path: Path) -> None:
    """With `-y` it keeps them as links; beside the one disk of an archive they are stepped over."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/disk.raw").write_bytes(DISK)
    (tmp_path / "in/README.md").write_bytes(b"How to boot this.")
    (tmp_path / "in/current").symlink_to("disk.raw")
    run("zip", "-q", "-y", "-r", "out.zip", "in", cwd=tmp_path)
    out, unpacker = unpack((tmp_path / "out.zip").read_bytes())
    assert out == DISK
    assert sorted(unpacker.evidence.skipped) == ["in/README.md", "in/current"]


@pytest.mark.parametrize("what", [name for name in REFUSED if not name.startswith("hard")])
def test_a_link_in_a_zip_that_leads_out_is_refused(what: str) -> None:
    """Likewise where another member was asked for."""
    expected = "descriptor" if what == "a descriptor" else "member-type"
    assert rule(zipped(*REFUSED[what]), disk="disk.raw") == expected


def test_a_link_in_a_zip_with_a_long_target() -> None:
    """It leads nowhere, and its text is not held."""
    members = [("disk.raw", DISK), ("notes", SYMBOLIC, "x" * 1_025)]
    assert rule(zipped(*members)) == "member-type"
    assert unpack(zipped(members[0], ("notes", SYMBOLIC, "x" * 1_024)))[0] == DISK


def test_an_appliance_in_a_zip_has_no_links() -> None:
    """Its standard knows regular files only."""
    link = ("notes", SYMBOLIC, "readme.txt")
    assert rule(zipped(*appliance(), link)) == "member-type"
    assert unpack(make_zip(appliance()))[1].evidence.skipped == []
