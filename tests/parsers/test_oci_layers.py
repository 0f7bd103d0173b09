"""Which layer of a containerDisk holds the disk."""

import gzip
import io
import tarfile

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parsers.oci_layers import MAX_PLAIN_BYTES, PEEK_BYTES, files_of, visible_disks


def layer(*names: str, size: int = 5_000) -> bytes:
    """A tar with files of these names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(range(250)) * (size // 250)))
    return out.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_files_are_listed_as_far_as_the_beginning_goes(pack: object) -> None:
    """Also where the disk that they begin with is cut off, which it mostly is."""
    assert callable(pack)
    assert files_of(pack(layer("./disk/a.img", "/disk/b.img", "etc/x"))) == [
        "disk/a.img",
        "disk/b.img",
        "etc/x",
    ]
    assert files_of(pack(layer("disk/a.img", size=500_000))[:1_500]) == ["disk/a.img"]
    assert files_of(pack(b"no archive at all")) == []


@pytest.mark.parametrize(("kind", "text"), [(tarfile.GNUTYPE_LONGNAME, b"a"), (b"x", b"11 path=aa\n")])
def test_headers_of_headers_end_nothing(kind: bytes, text: bytes) -> None:
    """A layer of thousands of headers that only speak of the next one is no archive that anybody can read."""
    member = tarfile.TarInfo("name")
    member.type, member.size = kind, len(text)
    header = member.tobuf(tarfile.GNU_FORMAT) + text.ljust(512, b"\0")
    nested = gzip.compress(header * 3_000 + layer("disk/a.img"))
    assert len(nested) < PEEK_BYTES
    assert files_of(nested) == []


def test_what_a_layer_unpacks_to_is_bounded() -> None:
    """A layer of nothing but zeros is looked at for four mebibytes."""
    bomb = gzip.compress(layer("disk/a.img") + bytes(MAX_PLAIN_BYTES * 4))
    assert len(bomb) < PEEK_BYTES
    assert files_of(bomb) == ["disk/a.img"]


@pytest.mark.parametrize(
    ("layers", "disks"),
    [
        ([["etc/os"], ["disk/a.img"]], {"disk/a.img": 1}),
        ([["etc/os"], ["disk/a.img"], ["etc/passwd"]], {"disk/a.img": 1}),
        ([["disk/a.img"], ["disk/a.img"]], {"disk/a.img": 1}),
        ([["disk/a.img"], ["disk/b.img"]], {"disk/a.img": 0, "disk/b.img": 1}),
        ([["disk/a.img"], ["disk/.wh.a.img", "disk/b.img"]], {"disk/b.img": 1}),
        ([["disk/a.img"], ["disk/.wh..wh..opq", "disk/b.img"]], {"disk/b.img": 1}),
        ([["disk/a.img"], [".wh.disk"], ["disk/b.img"]], {"disk/b.img": 2}),
        ([["disk/.wh.a.img"], ["disk/a.img"]], {"disk/a.img": 1}),
        ([["disks/a.img", "mnt/disk/a.img"]], {}),
        ([], {}),
    ],
)
def test_layers_lie_on_each_other(layers: list[list[str]], disks: dict[str, int]) -> None:
    """What an upper one replaces or whites out is not seen any more."""
    assert visible_disks(layers) == disks


@given(st.binary(max_size=2_000), st.integers(0, 10_000), st.sampled_from([bytes, gzip.compress]))
def test_nonsense_lists_what_it_can(noise: bytes, at: int, pack: object) -> None:
    """Whatever a registry sends for a layer, it is a list of names."""
    assert callable(pack)
    spoiled = bytearray(layer("disk/a.img", "disk/b.img"))
    spoiled[at : at + len(noise)] = noise
    assert all(isinstance(name, str) for name in files_of(pack(bytes(spoiled))))
