"""Zips: what real tools make gives one disk, and whatever two readers could read differently is refused."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import UnpackFailed
from fetcher.unpack import UnpackLimits
from fetcher.unpack.archives import zipped
from tests.unpack.making import DISK, MIB, make_disk, make_tar, make_zip, outcome, refusal, rule, run, unpack

SMALL = make_disk(20_000)
OTHER = make_disk(20_000, seed=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a publisher packs it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/disk.vhd").write_bytes(DISK)
    (tmp_path / "in/README.md").write_bytes(b"How to boot this.\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "zip -q -r - in",
        "zip -q -0 -r OUT in",
        "zip -q -r OUT in",
        "zip -q -9 -j OUT in/disk.vhd",
        "zip -q -fz -r OUT in",
        "zip -q -z -r OUT in",
        "7z a -bd -tzip OUT in",
        "7z a -bd -tzip -mx=0 OUT in",
        "python3 -m zipfile -c OUT in",
    ],
)
def test_what_real_tools_make_comes_out(folder: Path, command: str) -> None:
    """Folder entries, descriptors, zip64, comments and side files are what honest zips have."""
    words = command.replace("OUT", "out.zip").split()
    printed = run(*words, cwd=folder, stdin=b"a comment\n")
    packed = (folder / "out.zip").read_bytes() if "out.zip" in words else printed
    for cut in (65_536, 4_099):
        out, unpacker = unpack(packed, cut=cut)
        assert out == DISK
        assert str(unpacker.plan) in {"zip > in/disk.vhd", "zip > disk.vhd"}


def test_a_stream_of_unknown_length(folder: Path) -> None:
    """`... | zip out.zip -` does not know any size before the end."""
    packed = run("zip", "-q", "-", "-", stdin=DISK)
    assert unpack(packed)[0] == DISK


class Unseekable(io.RawIOBase):
    """A target that a writer cannot go back in."""

    def __init__(self) -> None:
        self.text = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.text += bytes(data)  # type: ignore[call-overload] # zipfile writes bytes
        return len(bytes(data))  # type: ignore[call-overload] # likewise


def streamed(*contents: bytes, force: bool = False) -> bytes:
    """Make a zip of members whose lengths come behind them."""
    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload] # a file that cannot seek is the point
        for number, content in enumerate(contents, start=1):
            with archive.open(
                "disk.vhd" if number == len(contents) else "readme.txt", "w", force_zip64=force
            ) as file:
                file.write(content)
    return bytes(target.text)


@pytest.mark.parametrize("force", [False, True])
def test_what_python_streams(force: bool) -> None:
    """Data descriptors of four and of eight bytes."""
    assert unpack(streamed(b"", SMALL, force=force), cut=7)[0] == SMALL


@given(cuts=st.lists(st.integers(1, 900), max_size=60))
@settings(max_examples=30, deadline=None)
def test_cuts_change_nothing(cuts: list[int]) -> None:
    """Where chunks end is the source's choice."""
    packed = make_zip([("readme.txt", b"hello"), ("disk.vhd", SMALL)])
    assert unpack(packed, cut=cuts)[0] == SMALL


def test_a_zip_that_is_cut_is_refused_wherever() -> None:
    """Also within the directory, and before the last byte of the record that ends it."""
    packed = make_zip([("disk.vhd", SMALL), ("readme.txt", b"1")])
    for end in (
        *range(4, 100, 7),
        *range(200, len(packed) - 250, 501),
        *range(len(packed) - 250, len(packed)),
    ):
        assert rule(packed[:end]) in {"cut-short", "directory"}, end


def test_flipped_bits_are_noticed() -> None:
    """Bytes of data and every byte of both headers count, but for times and what no reader follows."""
    packed = bytearray(make_zip([("disk.vhd", SMALL)]))
    missed = []
    head, tail = range(4, 100), range(len(packed) - 200, len(packed))
    for at in (*head, *range(head.stop, tail.start, 5), *tail):  # Of the data a part; of the headers all.
        packed[at] ^= 0x04
        result = outcome(bytes(packed))
        if isinstance(result, bytes):
            assert result == SMALL, at
            missed.append(at)
        else:
            assert result.code in {"unpack-failed", "disk-unclear", "too-many-bytes"}, (at, result)
        packed[at] ^= 0x04
    central = packed.rindex(b"PK\x01\x02")
    header = {4, 5, 6, *range(10, 14)}  # Versions, bits for the packer only, and times.
    behind = {*range(4, 8), 8, *range(12, 16), 36, 37, *range(38, 42)}  # The same, and attributes.
    data = set(range(38, central))  # Where another code gives the same bytes, as the CRC proves.
    assert set(missed) <= header | data | {central + at for at in behind}, central


@pytest.mark.parametrize("length", [1, 512, 10_240, 2 * MIB])
def test_zeros_behind_the_end(length: int) -> None:
    """A tool that writes an archive to a pipe pads it, as bsdtar does."""
    packed = make_zip([("disk.vhd", SMALL)])
    out, unpacker = unpack(packed + bytes(length))
    assert out == SMALL
    assert unpacker.plan.layers[0].padding_bytes == length
    assert rule(packed + bytes(length) + b"x") == "trailing-bytes"


def test_trailing_bytes() -> None:
    """Nothing but zeros follows the end: readers look for the end from behind."""
    packed = make_zip([("disk.vhd", SMALL)])
    assert rule(packed + b"x") == "trailing-bytes"
    assert rule(packed + packed) == "trailing-bytes"
    assert rule(packed + bytes(512) + packed[-22:]) == "trailing-bytes"


def test_a_length_that_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Mac writes what is longer than 4 GiB with the low half of its length: no download cures that."""
    monkeypatch.setattr(zipped, "FULL32", 0xFFFF)  # As if 64 KiB were 4 GiB.
    content = bytes(70_000)
    packed = bytearray(streamed(content))
    at = packed.index(b"PK\x07\x08") + 12
    packed[at : at + 4] = (len(content) & 0xFFFF).to_bytes(4, "little")
    failure = refusal(bytes(packed))
    assert isinstance(failure, UnpackFailed)
    assert failure.rule == "zip64"
    assert "zip image.zip" in failure.hint


def parts(packed: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut a zip into its members, its directory and its end."""
    end = packed.rindex(b"PK\x05\x06")
    start = struct.unpack("<L", packed[end + 16 : end + 20])[0]
    return packed[:start], packed[start:end], packed[end:]


def with_end(members: bytes, directory: bytes, count: int) -> bytes:
    """Put a zip together with a true end record."""
    return (
        members
        + directory
        + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, len(directory), len(members), 0)
    )


def test_two_readers_would_read_two_files() -> None:
    """A decoy before the listed member, one that is not listed, and members in another order are refused."""
    good, bad = make_zip([("disk.vhd", SMALL)]), make_zip([("disk.vhd", OTHER)])
    members, directory, _ = parts(good)
    decoy, decoy_directory, _ = parts(bad)
    moved = directory[:42] + struct.pack("<L", len(decoy)) + directory[46:]
    assert unpack(with_end(members, directory, 1))[0] == SMALL
    assert rule(with_end(decoy + members, moved, 1)) == "member-name"
    renamed = decoy.replace(b"disk.vhd", b"text.txt")
    assert rule(with_end(renamed + members, moved, 1)) == "directory"
    assert rule(with_end(members, decoy_directory, 1)) == "directory"
    assert rule(with_end(members, directory + directory, 2)) == "directory"
    two_members, two_directory, _ = parts(make_zip([("disk.vhd", SMALL), ("a.txt", b"1")]))
    cut = two_directory.index(b"PK\x01\x02", 4)
    assert rule(with_end(two_members, two_directory[cut:] + two_directory[:cut], 2)) == "directory"
    assert rule(with_end(members + b"hidden bytes", directory, 1)) == "directory"


@pytest.mark.parametrize(
    ("at", "change"),
    [
        (8, b"\x00\x00"),
        (8, b"\x01\x00"),
        (8, b"\x08\x00"),
        (10, b"\x00\x00"),
        (10, b"\x0e\x00"),
        (16, b"evil"),
        (20, b"\x00\x00\x00\x01"),
        (24, b"\x00\x00\x00\x01"),
        (34, b"\x01\x00"),
        (42, b"\x01\x00\x00\x00"),
        (46, b"D"),
    ],
)
def test_one_change_in_the_directory(at: int, change: bytes) -> None:
    """Flags, method, CRC, sizes, disk, offset and name: each has to be the member's."""
    members, directory, end = parts(make_zip([("disk.vhd", SMALL)]))
    changed = directory[:at] + change + directory[at + len(change) :]
    if changed == directory:
        assert unpack(members + changed + end)[0] == SMALL
    else:
        assert rule(members + changed + end) == "directory"


@pytest.mark.parametrize("at", [4, 6, 8, 10, 12, 16])
def test_one_change_in_the_end(at: int) -> None:
    """Parts, counts, size and offset of the directory."""
    packed = bytearray(make_zip([("disk.vhd", SMALL)]))
    end = packed.rindex(b"PK\x05\x06")
    packed[end + at] ^= 1
    assert rule(bytes(packed)) == "directory"


def test_methods_that_are_not_taken() -> None:
    """They are named, with those that are taken."""
    for method, word in ((zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")):
        failure = refusal(make_zip([("disk.vhd", SMALL)], method))
        assert failure.fields()["rule"] == "method"
        assert word in str(failure)
        assert "deflate" in str(failure)


def test_encrypted_members(folder: Path) -> None:
    """There is nobody to ask for a password."""
    run("zip", "-q", "-P", "secret", "out.zip", "in/disk.vhd", cwd=folder)
    assert rule((folder / "out.zip").read_bytes()) == "encrypted"


@pytest.mark.parametrize(
    ("method", "word", "hint"),
    [
        (9, "deflate64", "7-Zip"),
        (12, "bzip2", "zip image.zip"),
        (14, "LZMA", "zip image.zip"),
        (93, "zstd", "zip"),
    ],
)
def test_other_methods(method: int, word: str, hint: str) -> None:
    """The refusal names the method, and says how to pack the disk instead."""
    packed = bytearray(make_zip([("disk.raw", SMALL)]))
    for sign, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        packed[packed.find(sign) + at] = method
    found = refusal(bytes(packed))
    assert word in str(found)
    assert isinstance(found, UnpackFailed)
    assert hint in found.hint


def test_two_disks_and_a_choice() -> None:
    """Refused naming them, or the one that was chosen."""
    packed = make_zip([("a.vhd", SMALL), ("b/c.vhd", OTHER)])
    assert refusal(packed).fields()["disks"] == ["a.vhd", "b/c.vhd"]
    assert unpack(packed, disk="c.vhd")[0] == OTHER
    assert unpack(packed, disk="1")[0] == SMALL
    assert refusal(packed, disk="3").code == "disk-unclear"


@pytest.mark.parametrize("name", ["/disk.vhd", "../disk.vhd", "a\\disk.vhd", "a\x07.vhd"])
def test_names_that_leave_the_archive(name: str) -> None:
    """They never reach a file system; still an honest archive has none."""
    assert rule(make_zip([(name, SMALL)])) == "member-name"


def test_a_folder_with_content() -> None:
    """Readers make a folder of a name that ends so, and see nothing of what it holds."""
    assert rule(make_zip([("disk.vhdX", SMALL)]).replace(b"disk.vhdX", b"disk.vhd/")) == "member-name"


def test_empty_zip() -> None:
    """A zip without members has no disk."""
    assert refusal(make_zip([])).code == "disk-unclear"
    assert refusal(make_zip([("in/", b"")])).code == "disk-unclear"


def test_members_and_bytes_have_caps() -> None:
    """Also what is skipped counts: a bomb beside the disk is a bomb."""
    members = [(f"{number}.txt", b"1") for number in range(9)]
    assert unpack(make_zip([*members, ("d.raw", SMALL)]), limits=UnpackLimits(max_members=10))[0] == SMALL
    assert rule(make_zip([*members, ("d.raw", SMALL)]), limits=UnpackLimits(max_members=9)) == "members"
    bomb = make_zip([("a.raw", SMALL), ("b.raw", bytes(3_000_000))])
    limits = UnpackLimits(max_layer_bytes=1_000_000)
    assert refusal(bomb, limits=limits, disk="1").code == "too-many-bytes"


def test_nesting() -> None:
    """A zip of a packed disk or of a tar is taken; a zip in a zip is not."""
    inner = run("xz", "-c", "-1", stdin=SMALL)
    assert str(unpack(make_zip([("disk.raw.xz", inner)]))[1].plan) == "zip > disk.raw.xz > xz"
    packed = make_zip([("all.tar", make_tar([("a.raw", SMALL), ("b.raw", OTHER)]))])
    assert unpack(packed, disk="b.raw")[0] == OTHER
    assert unpack(packed, disk="1")[0] == SMALL
    assert rule(make_zip([("in.zip", make_zip([("disk.vhd", SMALL)]))])) == "nested"


@pytest.mark.parametrize("sign", [b"PK\5\6", b"PK\6\7"])
def test_an_end_inside_the_comment(sign: bytes) -> None:
    """Readers look for the last record that ends the file, so a comment must not hold another one."""
    packed = make_zip([("disk.raw", DISK)])
    comment = sign + bytes(18)
    said = packed[:-2] + len(comment).to_bytes(2, "little") + comment
    assert rule(said) == "directory"
    assert unpack(packed[:-2] + b"\x05\0hello")[0] == DISK


def test_what_is_not_whole_is_to_be_fetched_again() -> None:
    """Whoever lost the end of an archive need not make it anew."""
    for archive in (make_zip([("disk.raw", DISK)]), make_tar([("disk.raw", DISK)])):
        failure = refusal(archive[: len(archive) // 2])
        assert "Test the file that was published" in str(failure.fields()["hint"])


class Pipe(io.RawIOBase):
    """A file for a zip in which nobody can go back."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += bytes(data)
        return len(data)


@pytest.mark.parametrize("first", [bytes(512), b"\xeb" * 512])
def test_stored_members_of_a_pipe_get_advice(first: bytes) -> None:
    """Python's zipfile stores what it writes to a pipe without its length: nobody can see where it ends."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("README", b"")  # Nothing has an end that can be seen.
        with archive.open("disk.img", "w") as member:
            member.write(first + SMALL)
    refused = refusal(pipe.written)
    assert refused.fields()["rule"] == "method"
    assert "does not tell its length" in str(refused)
    assert "zip image.zip disk.vhd" in refused.fields()["hint"]
