"""Tars: what real tools make gives one disk, and what is no plain archive of one disk is refused."""

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import DiskUnclear, UnpackFailed
from fetcher.unpack import UnpackLimits, Zeros, plain
from fetcher.unpack.unpacker import Unpacker
from tests.unpack.making import (
    DISK,
    LIMITS,
    MIB,
    chunks,
    make_disk,
    make_tar,
    make_zip,
    pack,
    refusal,
    rule,
    run,
    unpack,
)

SMALL = make_disk(20_000)
LONG = "a-rather-long-folder-name/" * 6 + "disk.raw"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a disk that has holes."""
    with (tmp_path / "disk.raw").open("wb") as file:
        file.write(DISK)
        file.seek(9 * MIB)
        file.write(SMALL)
        file.truncate(16 * MIB)
    return tmp_path


SPARSE = ["-S", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"]
FORMS = {"ustar": [], "gnu": SPARSE, "oldgnu": SPARSE, "pax": SPARSE, "posix": SPARSE, "v7": []}
"""The formats of GNU tar, and how each writes holes; it refuses to where a format has no place for them."""


@pytest.mark.parametrize(
    ("form", "sparse"), [(form, sparse) for form, ways in FORMS.items() for sparse in ["", *ways]]
)
def test_what_gnu_tar_makes_comes_out(folder: Path, form: str, sparse: str) -> None:
    """Every format comes out whole, also with holes; GCE asks for `--format=oldgnu -S`."""
    options = ["-S", sparse] if sparse.startswith("--") else [sparse] if sparse else []
    command = ["tar", f"--format={form}", *options, "-cf", "-", "disk.raw"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    expected = (folder / "disk.raw").read_bytes()
    out, unpacker = unpack(done.stdout)
    assert out == expected
    assert str(unpacker.plan) == "tar > disk.raw"
    if sparse:
        assert len(done.stdout) < len(expected) // 2
    packed = gzip.compress(done.stdout, 1)
    out, unpacker = unpack(packed, cut=1_009)
    assert (out, str(unpacker.plan)) == (expected, "gzip > tar > disk.raw")


def test_holes_can_be_told(folder: Path) -> None:
    """Whoever asks gets the holes as lengths, in pieces of at most a mebibyte, and the same bytes."""
    packed = run("tar", "--format=oldgnu", "-Scf", "-", "disk.raw", cwd=folder)
    unpacker = Unpacker(limits=LIMITS, tells_zeros=True)
    pieces = [*unpacker.feed(packed), *unpacker.finish()]
    assert sum(len(piece) for piece in pieces if isinstance(piece, Zeros)) >= 12 * MIB
    assert b"".join(plain(piece) for piece in pieces) == (folder / "disk.raw").read_bytes()


def test_many_holes(tmp_path: Path) -> None:
    """A map that goes on in further blocks is read to its end."""
    with (tmp_path / "disk.img").open("wb") as file:
        for number in range(300):
            file.seek(number * 65_536)
            file.write(b"%04d" % number * 1024)
    expected = (tmp_path / "disk.img").read_bytes()
    for options in (["--format=gnu"], ["--format=pax"], ["--format=pax", "--sparse-version=0.1"]):
        packed = run("tar", *options, "-Scf", "-", "disk.img", cwd=tmp_path)
        assert unpack(packed, cut=700)[0] == expected


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["disk.raw", "./disk.raw", LONG, "b\u00fcrg.raw"])
def test_what_python_makes_comes_out(form: int, name: str) -> None:
    """Long names by GNU's and by pax's headers are read; they only show."""
    more: dict[str, object] = (
        {"pax_headers": {"comment": "made by a test"}} if form == tarfile.PAX_FORMAT else {}
    )
    out, unpacker = unpack(make_tar([(name, SMALL)], format=form, **more))
    assert out == SMALL
    assert unpacker.plan.layers[0].member == name.removeprefix("./")


def test_pax_size_counts() -> None:
    """A size in an extended header is the size, as for members that octal digits cannot hold."""
    packed = bytearray(make_tar([("disk.raw", SMALL)], format=tarfile.USTAR_FORMAT))
    record = b"14 size=20000\n"
    head = make_tar([("x", record)], lambda info: setattr(info, "type", b"x"), format=tarfile.USTAR_FORMAT)[
        :1024
    ]
    size_field = slice(124, 136)
    packed[size_field] = b"00000000000\0"
    packed[148:156] = b" " * 8
    packed[148:156] = b"%06o\0 " % sum(packed[:512])
    assert unpack(head + bytes(packed))[0] == SMALL


@given(cuts=st.lists(st.integers(1, 3_000), max_size=40))
@settings(max_examples=30, deadline=None)
def test_cuts_change_nothing(cuts: list[int]) -> None:
    """Where chunks end is the source's choice."""
    packed = make_tar([("readme.txt", b"hello"), (LONG, SMALL)], format=tarfile.PAX_FORMAT)
    assert unpack(packed, cut=cuts)[0] == SMALL


def test_side_files_are_skipped_and_named() -> None:
    """Small files beside the disk are what archives have; they are noted."""
    side = [
        ("README.md", b"x" * 500),
        ("SHA256SUMS", b"x"),
        ("._disk.raw", b"x" * 4096),
        ("notes", b"few bytes"),
    ]
    packed = make_tar([*side[:2], ("disk.raw", SMALL), *side[2:]])
    out, unpacker = unpack(packed)
    assert out == SMALL
    assert unpacker.evidence.skipped == [name for name, _ in side]


def test_folders_are_taken(folder: Path) -> None:
    """`tar -c folder` begins with the folder itself."""
    (folder / "in").mkdir()
    (folder / "in/x.qcow2").write_bytes(b"QFI\xfb" + SMALL)
    for what in ("in", "./in", "in/"):
        assert unpack(run("tar", "-cf", "-", what, cwd=folder))[0] == b"QFI\xfb" + SMALL
    (folder / "disk.raw").unlink()
    assert unpack(run("tar", "-cf", "-", ".", cwd=folder))[0] == b"QFI\xfb" + SMALL


def test_two_disks_are_refused_naming_them() -> None:
    """Which one to boot is not guessed; the answer says how to choose."""
    packed = make_tar([("a.raw", SMALL), ("b.qcow2", SMALL[::-1])])
    failure = refusal(packed)
    assert failure.code == "disk-unclear"
    assert failure.fields()["disks"] == ["a.raw", "b.qcow2"]
    assert "disk" in failure.public_fields()["hint"]


@pytest.mark.parametrize(
    ("asked", "place"), [("a.raw", 0), ("2", 1), ("b.raw", 1), ("in/b.raw", 1), ("./a.raw", 0)]
)
def test_a_disk_can_be_chosen(asked: str, place: int) -> None:
    """By name, with or without folders, or by number."""
    disks = [SMALL, SMALL[::-1], b"third" * 100]
    packed = make_tar(zip(["a.raw", "in/b.raw", "c.img"], disks, strict=True))
    out, unpacker = unpack(packed, disk=asked)
    assert out == disks[place]
    assert len(unpacker.evidence.skipped) == 2


def test_a_disk_that_is_not_there() -> None:
    """The answer lists those that are."""
    failure = refusal(make_tar([("a.raw", SMALL), ("b.raw", SMALL)]), disk="c.raw")
    assert failure.fields()["disks"] == ["a.raw", "b.raw"]
    failure = refusal(make_tar([("readme.txt", b"no disk")]))
    assert (failure.code, failure.fields()["disks"]) == ("disk-unclear", [])
    assert "readme.txt" in failure.fields()["hint"]


def test_an_archive_without_members() -> None:
    """An empty tar is zeros, which nothing recognises; one with only a folder has no disk."""
    assert unpack(make_tar([]))[0] == bytes(10_240)
    assert (
        refusal(make_tar([("in", b"")], lambda info: setattr(info, "type", tarfile.DIRTYPE))).code
        == "disk-unclear"
    )


@pytest.mark.parametrize(
    "name", ["/disk.raw", "../disk.raw", "a/../../disk.raw", "a\\disk.raw", "a\nb.raw", ".."]
)
def test_names_that_leave_the_archive(name: str) -> None:
    """They never reach a file system; still an honest archive has none."""
    assert rule(make_tar([("ok.txt", b"1"), (name, SMALL)])) == "member-name"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_out_of_it_and_devices_are_refused(kind: bytes) -> None:
    """Regular files and folders only, and links within the archive."""
    packed = make_tar(
        [("disk.raw", b"")], lambda info: (setattr(info, "type", kind), setattr(info, "linkname", "/etc"))
    )
    assert rule(packed) == "member-type"


def test_same_name_twice() -> None:
    """Readers differ in which of the two they take."""
    assert rule(make_tar([("readme.txt", b"1"), ("readme.txt", b"2"), ("d.raw", SMALL)])) == "member-name"


def test_members_have_a_cap() -> None:
    """At the limit passes, one past it is refused."""
    members = [(f"{number}.txt", b"") for number in range(9)]
    limits = UnpackLimits(max_members=10)
    assert unpack(make_tar([*members, ("d.raw", SMALL)]), limits=limits)[0] == SMALL
    assert rule(make_tar([*members, ("more.txt", b""), ("d.raw", SMALL)]), limits=limits) == "members"


def test_headers_without_members_have_a_cap() -> None:
    """Extended headers that speak of nothing are counted too."""
    header = make_tar([("x", b"")], lambda info: setattr(info, "type", b"g"))[:512]
    assert rule(make_tar([("a.txt", b"")])[:512] + header * 5_000) == "members"


def test_a_tar_that_is_cut_is_refused_wherever() -> None:
    """Also between members, and before the zeros that end it; after those it is whole."""
    packed = make_tar([("disk.raw", SMALL), ("readme.txt", b"1")])
    end = 512 + 20_480 + 512 + 512
    for length in (100, 511, 512, 600, 5_000, 512 + 20_480, 512 + 20_480 + 100, end - 512, end):
        if length >= 512:
            assert rule(packed[:length]) == "cut-short", length
    assert unpack(packed[: end + 1024])[0] == SMALL


def test_what_follows_the_end() -> None:
    """Zeros may follow, however many; anything else is refused."""
    packed = make_tar([("disk.raw", SMALL)])
    assert unpack(packed + bytes(5 * MIB))[0] == SMALL
    assert rule(packed + bytes(5 * MIB) + b"x") == "trailing-bytes"
    assert rule(packed + make_tar([("more.raw", SMALL)])) == "trailing-bytes"


def test_damaged_headers() -> None:
    """A check sum that is wrong, and sizes that are none."""
    packed = make_tar([("readme.txt", b"1"), ("disk.raw", SMALL)])
    broken = bytearray(packed)
    broken[1024 + 3] ^= 1
    assert rule(bytes(broken)) == "header"
    for size in (b"-0000000001\0", b"junkjunkjunk", b"\xff" * 12):
        broken = bytearray(packed)
        broken[1024 + 124 : 1024 + 136] = size
        broken[1024 + 148 : 1024 + 156] = b" " * 8
        broken[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(broken[1024:1536])
        assert rule(bytes(broken)) == "header", size


def test_a_size_past_the_cap_is_refused_at_once() -> None:
    """The header of a member says that it is too large; nobody waits for its bytes."""
    packed = make_tar([("disk.raw", DISK)])
    limits = UnpackLimits(max_output_bytes=len(DISK) - 1)
    failure = refusal(packed[:1024], limits=limits)
    assert (failure.code, failure.fields()["declared_bytes"]) == ("too-many-bytes", len(DISK))
    assert unpack(packed, limits=UnpackLimits(max_output_bytes=len(DISK)))[0] == DISK


def old_sparse(pieces: list[tuple[int, int]], real: int, content: bytes) -> bytes:
    """Make a tar with a sparse file of GNU's old format, true or not."""
    packed = bytearray(make_tar([("disk.raw", content)], format=tarfile.GNU_FORMAT))
    packed[156:157] = b"S"
    for number, (offset, length) in enumerate(pieces):
        at = 386 + 24 * number
        packed[at : at + 24] = b"%011o\0%011o\0" % (offset, length)
    packed[483:495] = b"%011o\0" % real
    packed[148:156] = b" " * 8
    packed[148:156] = b"%06o\0 " % sum(packed[:512])
    return bytes(packed)


def test_lying_sparse_maps() -> None:
    """Regions that overlap, lie behind the end or are not what is stored are refused; a bomb is stopped."""
    assert unpack(old_sparse([(0, 512), (4096, 512)], 8192, SMALL[:1024]))[0] == (
        SMALL[:512] + bytes(3584) + SMALL[512:1024] + bytes(3584)
    )
    assert rule(old_sparse([(0, 512), (256, 512)], 8192, SMALL[:1024])) == "sparse"
    assert rule(old_sparse([(0, 512), (8000, 512)], 8192, SMALL[:1024])) == "sparse"
    assert rule(old_sparse([(0, 512)], 8192, SMALL[:1024])) == "sparse"
    assert rule(old_sparse([(0, 1024), (4096, 512)], 8192, SMALL[:1024])) == "sparse"
    assert refusal(old_sparse([(0, 512)], 8 << 30, SMALL[:512])).code == "too-many-bytes"


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
        {"GNU.sparse.map": "0,1,2", "GNU.sparse.size": "9"},
        {"GNU.sparse.map": "0,one", "GNU.sparse.size": "9"},
        {"GNU.sparse.size": "9"},
        {"GNU.sparse.major": "2"},
        {"size": "-1"},
        {"size": "x"},
    ],
)
def test_malformed_records(records: dict[str, str]) -> None:
    """Extended headers that make no sense end the unpacking."""

    def change(info: tarfile.TarInfo) -> None:
        info.pax_headers = records

    packed = make_tar([("disk.raw", b"3\nx\n" + SMALL)], change, format=tarfile.PAX_FORMAT)
    assert rule(packed) in {"sparse", "header"}


@pytest.mark.parametrize(
    "records", [b"x", b"5 a=b", b"9 a=b\n", b"0 a=b\n", b"99999 a=b\n", b"6 ab\n\n", b"-6 a=b\n"]
)
def test_malformed_record_lengths(records: bytes) -> None:
    """A record that is not as long as it says is refused."""
    head = make_tar([("x", records)], lambda info: setattr(info, "type", b"x"), format=tarfile.USTAR_FORMAT)[
        :1024
    ]
    assert rule(head + make_tar([("disk.raw", SMALL)])) == "header"


def test_box_of_libvirt_and_virtualbox() -> None:
    """A box is a tar with metadata; what it says of itself is noted."""
    meta = b'{"provider": "libvirt", "format": "qcow2", "virtual_size": 20}'
    disk = b"QFI\xfb" + SMALL
    members = [("./metadata.json", meta), ("./Vagrantfile", b"Vagrant.configure"), ("./box.img", disk)]
    for order in (members, members[::-1]):
        out, unpacker = unpack(gzip.compress(make_tar(order)))
        assert (out, str(unpacker.plan)) == (disk, "gzip > box > box.img")
        assert unpacker.evidence.facts["box_format"] == "qcow2"
    strange = [("metadata.json", b"[" * 60_000), ("box.img", disk)]
    assert str(unpack(make_tar(strange))[1].plan) == "tar > box.img"


def test_a_packed_disk_in_a_packed_tar() -> None:
    """Formats nest once each: gzip > tar > xz."""
    inner = run("xz", "-c", "-1", stdin=SMALL)
    out, unpacker = unpack(gzip.compress(make_tar([("disk.raw.xz", inner)])))
    assert (out, str(unpacker.plan)) == (SMALL, "gzip > tar > disk.raw.xz > xz")
    assert rule(make_tar([("in.tar", make_tar([("disk.raw", SMALL)]))])) == "nested"
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as archive:
        info = tarfile.TarInfo("disk.raw")
        info.size = len(SMALL)
        archive.addfile(info, io.BytesIO(SMALL))
    assert unpack(target.getvalue())[0] == SMALL


def test_a_disk_that_begins_with_a_hole() -> None:
    """Zeros in front are a disk's as well."""
    packed = old_sparse([(4096, 512)], 8192, SMALL[:512])
    expected = bytes(4096) + SMALL[:512] + bytes(3584)
    assert unpack(packed)[0] == unpack(packed, tells_zeros=True)[0] == expected


def test_a_label_is_no_member(folder: Path) -> None:
    """`tar -V` puts the volume's name first."""
    packed = run("tar", "-V", "backup", "-cf", "-", "disk.raw", cwd=folder)
    assert unpack(packed)[0] == (folder / "disk.raw").read_bytes()


def header(kind: bytes, content: bytes) -> bytes:
    """Make one header of a kind with its content."""
    packed = bytearray(make_tar([("x", content)], format=tarfile.USTAR_FORMAT))
    packed[156:157] = kind
    packed[148:156] = b" " * 8
    packed[148:156] = b"%06o\0 " % sum(packed[:512])
    return bytes(packed[: 512 + -(-len(content) // 512) * 512])


RECORD = b"30000 comment=" + b"x" * 29_985 + b"\n"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (header(b"x", b" " * (3 << 20)), "header"),
        (header(b"x", RECORD) * 100, "header"),
        (header(b"g", RECORD) * 100, "header"),
        (header(b"L", b"n" * 5_000), "header"),
        (header(b"K", b"n" * 5_000), "header"),
        (header(b"L", b"../disk.raw\0"), "member-name"),
        (header(b"5", b"content"), "member-type"),
        (header(b"V", b"content"), "member-type"),
        (header(b"M", b"content"), "member-type"),
        (header(b"Z", b"content"), "member-type"),
    ],
)
def test_headers_that_are_refused(before: bytes, expected: str) -> None:
    """Extended headers have a cap, also together; folders have no content; what is unknown is no file."""
    assert rule(before + make_tar([("disk.raw", SMALL)])) == expected


def test_maps_in_front_of_the_content() -> None:
    """A map of pax 1.0 with too many or senseless numbers, or without an end."""

    def change(info: tarfile.TarInfo) -> None:
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "512"}

    for text in (b"9999999\n", b"x\n", b"12345678\n", b"2\n0\n"):
        packed = make_tar([("disk.raw", text.ljust(512, b"1"))], change, format=tarfile.PAX_FORMAT)
        assert rule(packed) == "sparse", text


def test_old_map_with_junk() -> None:
    """Numbers that are none, and a map that never ends."""
    packed = bytearray(old_sparse([(0, 512)], 8192, SMALL[:512]))
    for at in (390, 485):
        broken = bytearray(packed)
        broken[at] = ord("x")
        broken[148:156] = b" " * 8
        broken[148:156] = b"%06o\0 " % sum(broken[:512])
        assert rule(bytes(broken)) == "sparse"
    packed[482] = 1
    packed[148:156] = b" " * 8
    packed[148:156] = b"%06o\0 " % sum(packed[:512])
    block = b"".join(b"%011o\0%011o\0" % (number, 0) for number in range(21)) + b"\1" + bytes(7)
    assert rule(bytes(packed[:512]) + block * 7_000) == "sparse"


@pytest.mark.parametrize(
    "names", [("cirros-vmlinuz", "cirros-initrd", "cirros.img"), ("disk.raw", "vmlinuz-6.1")]
)
def test_kernels_beside_the_disk(names: tuple[str, ...]) -> None:
    """What boots a disk without its own boot loader lies beside it, however large, and is not it."""
    members = [(name, bytes(2 * MIB) if "init" in name or "vm" in name else DISK) for name in names]
    out, unpacker = unpack(make_tar(members))
    assert out == DISK
    assert len(unpacker.evidence.skipped) == len(names) - 1


def test_names_of_old_systems() -> None:
    """A name that is not UTF-8 is read as what old systems wrote; it is shown, and leads nowhere."""
    packed = make_tar([("d\udce4sk.raw", DISK)], format=tarfile.GNU_FORMAT)
    assert str(unpack(packed)[1].plan) == "tar > däsk.raw"


ENDLESS = make_tar([("readme.txt", b"1"), ("disk.raw", SMALL)])[: 1024 + 512 + 20_480]


def proven(packed: bytes, *, cut: int = 65_536) -> Unpacker:
    """Unpack what something else shows to be whole, and check what came out."""
    unpacker = Unpacker(limits=LIMITS, is_proven=lambda: True)
    out = b"".join(bytes(plain(piece)) for chunk in chunks(packed, cut) for piece in unpacker.feed(chunk))
    assert out + b"".join(bytes(plain(piece)) for piece in unpacker.finish()) == SMALL
    return unpacker


@pytest.mark.parametrize("cut", [512, 65_536])
def test_a_tar_without_its_end_is_taken_where_it_is_proven_whole(cut: int) -> None:
    """As all usual readers take one; it is told, and what is really cut stays refused."""
    assert proven(ENDLESS, cut=cut).evidence.facts["end_mark"] == "missing"
    assert "end_mark" not in proven(make_tar([("disk.raw", SMALL)]), cut=cut).evidence.facts
    assert rule(ENDLESS) == "cut-short"
    for length in (1024 + 512, len(ENDLESS) - 1, len(ENDLESS) - 512):
        with pytest.raises(UnpackFailed) as caught:
            proven(ENDLESS[:length], cut=cut)
        assert caught.value.rule == "cut-short"
    for more in (b"x", bytes(511), make_tar([("x" * 200, b"")], format=tarfile.PAX_FORMAT)[:1024]):
        with pytest.raises(UnpackFailed):
            proven(ENDLESS + more, cut=cut)
    with pytest.raises(DiskUnclear):
        proven(ENDLESS[:1024], cut=cut)


@pytest.mark.parametrize("packing", ["gzip", "xz", "zstd", "bzip2"])
def test_a_packing_proves_the_tar_in_it(packing: str) -> None:
    """One stream that has its own end; several may be the first of more."""
    out, unpacker = unpack(pack(packing, ENDLESS))
    assert (out, unpacker.evidence.facts["end_mark"]) == (SMALL, "missing")
    assert rule(pack(packing, ENDLESS[:9_000]) + pack(packing, ENDLESS[9_000:])) == "cut-short"
    assert rule(pack(packing, ENDLESS)[:-1]) == "cut-short"
    assert rule(pack("lz4", ENDLESS)) == "cut-short"


def test_a_zip_proves_the_tar_in_it() -> None:
    """Its directory says how long each member is."""
    assert unpack(make_zip([("disk.tar", ENDLESS)]))[0] == SMALL
