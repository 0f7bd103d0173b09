"""Documents: what can be no disk is told from what can."""

import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.guards.stream.formats.document import BEGINNINGS, recognise
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


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "<HTML>", "  \n<head>", "<p><html>", "<!-- x -->"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_pages_are_known(start: str, encoding: str) -> None:
    """A page is known in either encoding, whatever comes first."""
    assert inspected((start + "<title>t</title>").encode(encoding)).report().format == "html"


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
