"""ZIP: whatever reader takes it, there is one member, and the one that was judged."""

import io
import shutil
import struct
import subprocess
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guards.stream.formats.build import MIB, mbr
from tests.guards.stream.formats.corpus import broken_rules, cut, inspected, new_guard, verdict_of
from tests.guards.stream.formats.zips import (
    DISK,
    HIDDEN,
    LOCAL,
    ONE,
    Member,
    archive,
    differing,
    with_zip64_end,
)

WIDTHS = {"checksum": 32, "packed": 32, "unpacked": 32}
STREAMED = Member(streamed=True)
HONEST = {
    "deflated": archive(),
    "stored": archive(Member(method=0)),
    "streamed": archive(STREAMED),
    "streamed without a signature": archive(replace(STREAMED, descriptor=STREAMED.behind()[4:])),
    "zip64": archive(Member(zip64=True)),
    "zip64, end": with_zip64_end(archive()),
    "extra fields differ": archive(replace(ONE, local={"extra": struct.pack("<HHI", 0x5455, 4, 0)})),
    "zeros behind it, as libarchive writes into a pipe": archive() + bytes(10_240),
    "zip64, end, zeros behind it": with_zip64_end(archive()) + bytes(60_000),
    "comment of the member": archive(replace(ONE, central={"comment": b"a disk"})),
}
HIDING = {
    "decoy first": archive(Member(content=DISK, is_listed=False), Member(content=HIDDEN)),
    "decoy last": archive(Member(content=HIDDEN), Member(content=DISK, is_listed=False)),
    "members reversed": archive(Member(name=b"a"), Member(name=b"b", content=HIDDEN), listed=(1, 0)),
    "directory names another": archive(Member(), Member(content=HIDDEN), listed=(1,)),
    "same member twice": archive(Member(), listed=(0, 0)),
    "none listed": archive(Member(is_listed=False)),
    "bytes before": b"x" * 4 + archive(),
    "member before": Member(content=HIDDEN).header() + Member(content=HIDDEN).body + archive(),
    "bytes behind": archive() + b"x",
    "zeros and bytes behind": archive() + bytes(600) + b"x",
    "more zeros behind than readers look through": archive() + bytes(70_000),
    "zeros, and an archive behind": archive() + bytes(600) + archive(Member(content=HIDDEN)),
    "archive behind": archive() + archive(Member(content=HIDDEN)),
    "bytes between": archive(replace(STREAMED, descriptor=STREAMED.behind() + b"x" * 8)),
    "wrong descriptor": archive(replace(STREAMED, descriptor=STREAMED.behind()[:-1] + b"\1")),
    "no descriptor": archive(replace(STREAMED, descriptor=b"")),
    "stored and streamed": archive(Member(method=0, streamed=True)),
    "end record in the comment": archive()[:-2]
    + struct.pack("<H", 22)
    + archive(Member(content=HIDDEN))[-22:],
    "two zip64 fields": archive(
        replace(ONE, local={"packed": 0xFFFF_FFFF, "extra": 2 * struct.pack("<HHQQ", 1, 16, len(DISK), 9)})
    ),
    "zip64 field missing": archive(replace(ONE, local={"packed": 0xFFFF_FFFF})),
    "zip64 end elsewhere": with_zip64_end(archive()).replace(b"PK\6\6", b"PK\6\x08"),
    "zip64 end says otherwise": with_zip64_end(archive())[:-22]
    + archive(end={"entries": 2, "here": 2})[-22:],
}
REFUSED = {
    "encrypted": (Member(local={"flags": 1}, central={"flags": 1}), "zip-encrypted"),
    "strongly encrypted": (Member(local={"flags": 65}, central={"flags": 65}), "zip-encrypted"),
    "bzip2": (Member(method=12), "zip-method"),
    "lzma": (Member(method=14), "zip-method"),
    "deflate64": (Member(method=9), "zip-method"),
    "a method of nobody": (Member(method=77), "zip-method"),
    "folder": (Member(name=b"folder/", content=b"", method=0), "zip-members"),
}


@pytest.mark.parametrize("name", HONEST)
def test_one_member_comes_in(name: str) -> None:
    """One member passes, whichever way writers put it down, and both `zipfile` and we find the same."""
    assert verdict_of(new_guard(), cut(HONEST[name])) == ("raw/compressed", "-")
    with zipfile.ZipFile(io.BytesIO(HONEST[name])) as opened:
        assert opened.read("disk.img") == DISK
    found = inspected(HONEST[name]).report()
    assert found.inside is not None
    assert (found.inside.format, found.facts["unpacked_bytes"]) == ("mbr", len(DISK))


@pytest.mark.parametrize("name", HIDING)
@pytest.mark.parametrize("size", [100, 65_536])
def test_no_reader_finds_another_member(name: str, size: int) -> None:
    """What one reader would find and another would not is refused, and it is not called an image."""
    code, _ = verdict_of(new_guard("raw/compressed"), cut(HIDING[name], size))
    assert code in {"format-unsafe", "format-mismatch"}


@pytest.mark.parametrize("name", REFUSED)
def test_what_not_every_reader_knows_is_refused(name: str) -> None:
    """Encryption, rare methods and folders are refused by rules of their own."""
    member, rule = REFUSED[name]
    assert verdict_of(new_guard(), cut(archive(member))) == ("format-unsafe", rule)


@given(
    where=st.sampled_from(["local", "central"]),
    field=st.sampled_from(LOCAL),
    number=st.integers(0, (1 << 32) - 1),
    member=st.sampled_from([ONE, Member(method=0), Member(content=HIDDEN), STREAMED, Member(zip64=True)]),
)
def test_any_field_that_differs_is_refused(where: str, field: str, number: int, member: Member) -> None:
    """Both headers say the same: a change of any field in one of them is refused, whatever the field."""
    value = number % (1 << WIDTHS.get(field, 16))
    said = member.fields()[field]
    may_be_left_out = where == "local" and member.streamed and field in WIDTHS
    if value == said or (may_be_left_out and value == 0) or (member.zip64 and where == "local"):
        return
    code, _ = verdict_of(new_guard("raw/compressed"), cut(differing(member, where, field, value)))
    assert code in {"format-unsafe", "format-mismatch", "virtual-size-exceeded"}


@given(name=st.binary(min_size=1, max_size=20).filter(lambda name: name != b"disk.img"))
def test_another_name_in_the_directory_is_refused(name: bytes) -> None:
    """A reader that goes by names finds the same member."""
    assert broken_rules(differing(ONE, "central", "name", name))
    assert broken_rules(differing(ONE, "local", "name", name))


@given(
    field=st.sampled_from(["disk", "first", "here", "entries", "size", "offset"]),
    number=st.integers(0, 65_534),
)
def test_any_wrong_number_at_the_end_is_refused(field: str, number: int) -> None:
    """The end record counts one member and points at its directory."""
    honest = {"disk": 0, "first": 0, "here": 1, "entries": 1}
    stream = archive(end={field: number})
    if stream != archive() and honest.get(field) != number:
        assert broken_rules(stream)


@given(at=st.integers(0, len(archive()) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_shows_another_content(at: int, bit: int) -> None:
    """Where a spoilt archive passes all the same, a reader finds what was judged, or an error."""
    stream = bytearray(archive(Member(content=HIDDEN)))
    stream[at % len(stream)] ^= 1 << bit
    for claim in ("raw/compressed", "qcow2/compressed"):
        code, _ = verdict_of(new_guard(claim), cut(bytes(stream)))
        if code == claim:  # The checksum of the content is the reader's.
            with (
                zipfile.ZipFile(io.BytesIO(stream)) as opened,
                pytest.raises((zipfile.BadZipFile, zlib.error)),
            ):
                opened.read("disk.img")


@pytest.mark.skipif(shutil.which("zip") is None, reason="the Debian package zip is not installed")
def test_an_ordinary_archive_of_a_folder_gets_the_right_words(tmp_path: Path) -> None:
    """`zip -r` of a folder, or a README beside the image: told as several members, with what to do."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "README").write_text("How to boot this.\n" * 9_000)
    (folder / "disk.img").write_bytes(mbr(size=MIB))
    whole, flat = tmp_path / "whole.zip", tmp_path / "flat.zip"
    subprocess.run(["zip", "-qr", whole, "image"], cwd=tmp_path, check=True)
    subprocess.run(["zip", "-qj", "-0", flat, folder / "README", folder / "disk.img"], check=True)
    for file in (whole, flat):
        assert verdict_of(new_guard(), cut(file.read_bytes())) == ("format-unsafe", "zip-members")
        [finding, *_] = inspected(file.read_bytes()).report().findings
        assert "zip -j" in finding.hint
    alone = tmp_path / "alone.zip"
    subprocess.run(["zip", "-qj", alone, folder / "disk.img"], check=True)
    assert verdict_of(new_guard(), cut(alone.read_bytes())) == ("raw/compressed", "-")


def test_a_small_stored_member_ends_where_it_does() -> None:
    """What is looked at of a stored member is its content, not the records behind it."""
    found = inspected(archive(Member(method=0, content=DISK[:512]))).report()
    assert found.inside is not None
    assert found.inside.seen_bytes == 0
    assert found.inside.format == "mbr"
