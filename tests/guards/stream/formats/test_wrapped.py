"""Packings, backups and recordings that nothing here reads: each has its name, and none is a raw disk."""

import zlib

import pytest

from fetcher.guards.stream.formats.refused.wrapped import BEGINNINGS, PLACED
from tests.guards.stream.formats.build import MIB, mbr, vhd_fixed
from tests.guards.stream.formats.corpus import cut, inspected, new_guard, verdict_of
from tests.guards.stream.formats.hostile_packed import NOISE, pack_zip
from tests.guards.stream.formats.others import dmg

CPIO = (
    b"\xc7\x71\0\xfe\1\0\xa4\x81" + bytes(8) + b"\x0e\x6b\xe5\x3f\x09\0\0\1\0\0disk.raw\0\0" + NOISE,
    b"\x71\xc7\xfe\0\0\1\x81\xa4" + bytes(8) + b"\x6b\x0e\x3f\xe5\0\x09\1\0\0\0disk.raw\0\0" + NOISE,
)
ARJ = b"\x60\xea\x2a\0\x1e\x0b\1\0\0\0\2" + NOISE
ZLIB = zlib.compress(mbr())
SCRIPT = b"#!/bin/sh\ntail -n +3 $0 | gzip -d\n" + NOISE
SHORT = {"old-cpio": CPIO, "arj": (ARJ,), "zlib": (ZLIB,), "self-extracting": (SCRIPT,)}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_beginnings_have_names(beginning: bytes) -> None:
    """Each is told by its magic number, and advice goes with it."""
    found = inspected(beginning + NOISE).report()
    assert (found.words, found.role) == (BEGINNINGS[beginning].words, "document")
    assert found.hint


@pytest.mark.parametrize(("at", "magic", "kind"), PLACED)
def test_words_behind_the_beginning_have_names(at: int, magic: bytes, kind: object) -> None:
    """So is what has its magic number elsewhere."""
    assert inspected(NOISE[:at] + magic + NOISE).report().format == kind.key  # type: ignore[attr-defined] # a Kind


@pytest.mark.parametrize("name", SHORT)
def test_short_words_need_more(name: str) -> None:
    """Two bytes alone say nothing; with what has to follow them they do."""
    for content in SHORT[name]:
        assert inspected(content).report().format == name
        assert inspected(content[:2] + NOISE[5:]).report().format == "unknown"


def test_lha_is_known() -> None:
    """LHA has its word behind two bytes of length and sum."""
    assert inspected(b"\x19\x5b-lh5-" + NOISE).report().format == "lha"


@pytest.mark.parametrize("content", [b"7kSt\xa01\x83\xd3" + NOISE, *CPIO, ARJ, ZLIB, SCRIPT])
@pytest.mark.parametrize("claim", ["-", "raw", "raw/compressed"])
def test_none_is_taken_for_a_disk(content: bytes, claim: str) -> None:
    """Nothing of this kind comes in, whatever was claimed."""
    assert "/" not in verdict_of(new_guard(claim), cut(content))[0]


@pytest.mark.parametrize("start", [b"7kSt\xa01\x83\xd3", b"\0\0\0\x7b", b"#!/bin/sh\n", b"CISO"])
def test_disks_stay_disks(start: bytes) -> None:
    """Bytes that show themselves to be a disk are one, whatever its boot code begins with."""
    content = start + mbr()[len(start) :]
    assert verdict_of(new_guard(), cut(content)) == ("raw/bare", "-")


def test_the_end_of_a_zip_archive_gives_advice_that_ends() -> None:
    """The last part of an archive in parts is told as that, and not advised to be claimed as packed."""
    content = NOISE + pack_zip(mbr())
    assert verdict_of(new_guard("raw"), cut(content)) == ("format-mismatch", "the end of a ZIP archive")
    assert "zip -s 0" in inspected(content).report().hint


def test_an_apple_disk_image_that_begins_with_zlib_is_named_by_its_end() -> None:
    """Its first piece is packed by zlib, and its trailer says it all; a VHD's footer behind zlib is none."""
    packed = zlib.compress(NOISE)
    assert inspected(dmg(packed)).report().format == "dmg"
    assert inspected(vhd_fixed(packed.ljust(MIB, b"\0"))).report().format != "vhd"
    assert inspected(packed).report().format == "zlib"
