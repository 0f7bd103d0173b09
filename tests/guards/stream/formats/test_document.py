"""Documents: what can be no disk is told from what can."""

import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.guards.stream.formats.refused.document import BEGINNINGS, recognise
from tests.guards.stream.formats.corpus import inspected

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\t\n\r"), min_size=1)


@settings(max_examples=60, deadline=None)
@given(text=TEXT, encoding=st.sampled_from(["utf-8", "utf-8-sig"]))
def test_text_is_text(text: str, encoding: str) -> None:
    """Any text in UTF-8 is told to be one, with its mark or without."""
    found = inspected(text.encode(encoding)).report()
    assert found.role == "document" or found.format == "ramdisk"


@settings(max_examples=60, deadline=None)
@given(before=st.binary(max_size=200), after=st.binary(max_size=200))
def test_binary_is_no_text(before: bytes, after: bytes) -> None:
    """Zero bytes are in no text but that of UTF-16, which begins with its mark."""
    report = recognise(b"x" + before + b"\0" + after)
    assert report is None or report.kind.key not in ("text", "html", "xml", "json")


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_beginnings_are_known(beginning: bytes) -> None:
    """A document is known by how it begins."""
    assert inspected(beginning + bytes(1_000)).report().words == BEGINNINGS[beginning].words


@pytest.mark.parametrize(
    "start",
    ["<!DOCTYPE html>", "<HTML>", "  \n<head>", "<p><html>", "<!-- x -->", "<h1>", "<table border=0>"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_pages_are_known(start: str, encoding: str) -> None:
    """A page is known in either encoding, whatever comes first."""
    assert inspected((start + "<title>t</title>").encode(encoding)).report().format == "html"


SHA256 = "a1" * 32
BESIDE = {
    "torrent": (b"d8:announce9:udp://a/x4:infod6:pieces20:" + bytes(range(20)), b"d4:infod6:lengthi1eee"),
    "zsync": (b"zsync: 0.6.2\nFilename: disk.iso\n\n" + bytes(range(99)),),
    "metalink": (
        b'<?xml version="1.0"?>\n<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        b'<metalink version="3.0">',
    ),
    "sums": (
        f"{SHA256}  disk.img\n".encode(),
        f"# one\n\n{SHA256} *disk.img\r\n".encode(),
        f"SHA256 (disk.img) = {SHA256}\n".encode(),
        f"{SHA256}\n".encode(),
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n",
    ),
    "signature": (b"-----BEGIN PGP SIGNATURE-----\n\niQ", b"untrusted comment: signature\nRW"),
    "pointer": (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize 9\n".encode(),
        b"/annex/objects/SHA256E-s9--a.qcow2\n",
    ),
    "store-error": (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>',),
    "store-list": (
        b'<?xml version="1.0"?>\n<ListBucketResult><Name>x</Name>',
        b"<D:multistatus xmlns:D='DAV:'>",
    ),
    "ovf": (b'<?xml version="1.0"?>\n<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1">',),
    "jigdo": (b"# JigsawDownload\n[Jigdo]\n", b"[Jigdo]\nVersion=1.1\n"),
    "manifest": (b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}',),
    "release": (
        b'{"url":"https://api.github.com/repos/x/y/releases/1"}',
        b'[{"browser_download_url":"https://x"}]',
    ),
    "script": (b"#!/bin/sh\n", b"#cloud-config\npackages: []\n"),
    "text": (b"sha256sums are below\n", b"deadbeef\n", b"version 1\n", b"<Config>x</Config>", b"data\n"),
    "json": (b'{"name":"debian"}', b"[1]"),
    "xml": (b'<?xml version="1.0"?>\n<Envelope>',),
}


@pytest.mark.parametrize(("key", "texts"), BESIDE.items(), ids=BESIDE)
def test_what_lies_beside_an_image_is_named(key: str, texts: tuple[bytes, ...]) -> None:
    """A checksum file, a torrent or a pointer pasted by mistake is told as such, with where it belongs."""
    for text in texts:
        found = recognise(text)
        assert found is not None
        assert found.kind.key == key, text


def test_wide_marks_alone_are_no_text() -> None:
    """A disk that begins with the mark of UTF-16 and goes on with anything is no text."""
    assert recognise(b"\xff\xfe" + b"\xff" * 100) is None
    assert recognise(b"\xff\xfe" + bytes(range(256)) * 4) is None


def test_flash_is_no_text() -> None:
    """An erased flash memory, which is all ones, may be a raw disk."""
    assert recognise(b"\xff" * 4096) is None


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=2_000), bits=st.integers(12, 26))
def test_old_lzma_is_known(content: bytes, bits: int) -> None:
    """What `xz --format=lzma` writes is told from a disk, so that nobody boots from packed bytes."""
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << bits}]
    packed = lzma.compress(content, format=lzma.FORMAT_ALONE, filters=filters)
    assert inspected(packed.ljust(1_000, b"\0")).report().format == "lzma"


@pytest.mark.parametrize(("subsystem", "key"), [(2, "program"), (10, "efi-program"), (13, "efi-program")])
def test_what_firmware_runs_is_told_from_other_programs(subsystem: int, key: str) -> None:
    """A kernel in one file with all that it needs boots from a disk, so its advice says how."""
    head = bytearray(b"MZ".ljust(1_024, b"\0"))
    head[60:64] = (128).to_bytes(4, "little")
    head[128:132] = b"PE\0\0"
    head[128 + 92 : 128 + 94] = subsystem.to_bytes(2, "little")
    found = recognise(bytes(head))
    assert found is not None
    assert found.kind.key == key
    assert ("EFI/BOOT" in found.kind.hint) == (key == "efi-program")
