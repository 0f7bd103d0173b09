"""What is packed, judged by what is inside it; and what was sent, told in words that fit."""

import gzip
import lzma
import shutil
import subprocess
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import EmptySource, FormatMismatch, FormatUnknown
from fetcher.guards.stream.formats import FormatGuard
from fetcher.guards.stream.formats.advice import FOR_UPLOADS
from fetcher.guards.stream.formats.packed.lz4 import Lz4Start, unpack_block
from tests.guards.stream.formats import corpus
from tests.guards.stream.formats.build import kernel, mbr, qcow2, vhdx
from tests.guards.stream.formats.corpus import BUILT, cut, inspected
from tests.guards.stream.formats.hostile_ova import ova
from tests.guards.stream.formats.hostile_packed import NOISE, lz4_frame
from tests.guards.stream.formats.test_guard import feed, refusal, said


def sent(disk: str | None = None, container: str | None = None) -> FormatGuard:
    """Make a guard for bytes that were sent."""
    return FormatGuard(
        disk_formats=corpus.DISK_FORMATS,
        container_formats=corpus.CONTAINER_FORMATS,
        max_virtual_bytes=corpus.MAX_VIRTUAL_BYTES,
        claimed_disk_format=disk,
        claimed_container_format=container,
        name_content=lambda _: None,
        is_upload=True,
    )


@pytest.mark.parametrize("claim", [(None, None), ("raw", None), ("raw", "bare"), (None, "bare")])
def test_an_upload_of_nothing_is_a_raw_disk(claim: tuple[str | None, str | None]) -> None:
    """Nova sends no bytes for a snapshot that is in volumes; such an image is a raw disk of size zero."""
    guard = sent(*claim)
    guard.finish()
    assert guard.verdict is not None
    assert (guard.verdict.disk_format, guard.verdict.container_format) == ("raw", "bare")
    assert guard.verdict.virtual_bytes == 0


@pytest.mark.parametrize("claim", [("qcow2", None), ("raw", "compressed"), ("ari", None), ("vmdk", "ova")])
def test_an_upload_of_nothing_is_nothing_else(claim: tuple[str | None, str | None]) -> None:
    """No bytes are no QCOW2 image, and no archive."""
    sentence, hint = said(refusal(sent(*claim), b""))
    assert "no bytes at all" in sentence
    assert hint.startswith("Send the bytes")


def test_a_pull_of_nothing_is_refused() -> None:
    """A source without a byte is a mistake, whatever is said."""
    with pytest.raises(EmptySource):
        corpus.new_guard("raw/bare").finish()


@pytest.mark.parametrize("name", ["noise", "html", "json", "text", "pdf", "one-byte", "gz-html", "xml"])
@pytest.mark.parametrize("disk", [None, "qcow2", "vmdk"])
def test_uploads_are_not_told_of_a_url(name: str, disk: str | None) -> None:
    """Who sent the bytes has no URL to check."""
    assert "URL" not in " ".join(said(refusal(sent(disk), BUILT[name]())))


def test_every_advice_on_urls_has_a_counterpart() -> None:
    """What is told to uploads instead does not speak of URLs either."""
    assert all("URL" in told and "URL" not in instead for told, instead in FOR_UPLOADS.items())


ARCHIVES = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "lz4": lambda content: lz4_frame(*cut(content, 65_536)),
}


@pytest.mark.parametrize("packer", ARCHIVES)
def test_unknown_bytes_inside_have_to_be_claimed(packer: str) -> None:
    """Packing is no way to have unknown bytes taken for a raw disk without saying so."""
    stream = ARCHIVES[packer](NOISE)
    failure = refusal(corpus.new_guard(), stream)
    assert isinstance(failure, FormatUnknown)
    assert "say what is inside" in said(failure)[1]
    feed(corpus.new_guard("raw/compressed"), stream)


@pytest.mark.parametrize("packer", ARCHIVES)
def test_the_size_told_is_that_of_the_disk(packer: str) -> None:
    """Of a packed QCOW2 image the disk's size is told, of a VHDX none, for it is not in the beginning."""
    assert inspected(ARCHIVES[packer](qcow2())).report().virtual_bytes == 4 << 20
    assert inspected(ARCHIVES[packer](vhdx())).report().virtual_bytes is None
    raw = inspected(ARCHIVES[packer](mbr())).report().virtual_bytes
    assert raw == (1 << 20 if packer in ("xz", "zstd") else None)


def test_a_claim_on_what_is_not_looked_into_is_marked() -> None:
    """What 7z holds is taken on its word, and the verdict says so."""
    guard = corpus.new_guard("raw/compressed")
    feed(guard, BUILT["7z-good"]())
    assert guard.verdict is not None
    assert guard.verdict.facts["inside_judged"] is False
    guard = corpus.new_guard("raw/compressed")
    feed(guard, BUILT["gz-raw"]())
    assert guard.verdict is not None
    assert "inside_judged" not in guard.verdict.facts


FOLLOWED = {
    "tar.gz": (gzip.compress(ova(("disk.raw", mbr()))), "Unpack it and submit the disk image inside"),
    "a packed kernel": (
        gzip.compress(kernel()),
        "To keep it as a kernel, say disk_format=aki and container_format=aki.",
    ),
    "a packed ramdisk": (
        gzip.compress(BUILT["cpio"]()),
        "To keep it as a ramdisk, say disk_format=ari and container_format=ari.",
    ),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_advice_does_not_lead_in_circles(name: str) -> None:
    """What a claim of raw is told to do next is not refused for another reason then."""
    stream, advice = FOLLOWED[name]
    for claim in ("raw", "raw/compressed"):
        failure = refusal(corpus.new_guard(claim), stream)
        assert isinstance(failure, FormatMismatch)
        assert said(failure)[1].startswith(advice)
    if "kernel" in advice:
        feed(corpus.new_guard("aki/aki"), stream)
    if "ramdisk" in advice:
        feed(corpus.new_guard("ari/ari"), stream)


@pytest.mark.parametrize("size", [1, 2, 511])
def test_less_than_a_sector_is_no_disk(size: int) -> None:
    """A raw disk has one sector at least."""
    assert corpus.verdict_of(corpus.new_guard("raw"), [bytes(size)]) == ("format-unsafe", "raw-size")
    assert corpus.verdict_of(corpus.new_guard("raw"), [bytes(512)]) == ("raw/bare", "-")


@pytest.mark.skipif(shutil.which("lz4") is None, reason="the Debian package lz4 is not installed")
@pytest.mark.parametrize("options", [["-1"], ["-9", "-B4"], ["-BD", "-B4"], ["-l"], ["-1", "--content-size"]])
@pytest.mark.parametrize("piece", [1_000, 65_536, 1 << 22])
def test_lz4_is_unpacked_as_its_tool_does(options: list[str], piece: int) -> None:
    """The small decoder finds the same beginning as the tool packed, however its input is cut."""
    content = (b"abc" * 9_000 + NOISE[:3_000] + bytes(40_000)) * 40
    tool = ["lz4", *options, "-c"]
    stream = subprocess.run(tool, input=content, capture_output=True, check=True).stdout
    decoder, found = Lz4Start(), b""
    for chunk in cut(stream, piece):
        found += decoder.decompress(chunk, 65_536 - len(found))
    assert found == content[:65_536]


@given(packed=st.binary(max_size=300), room=st.integers(1, 2_000))
def test_lz4_of_noise_stays_in_bounds(packed: bytes, room: int) -> None:
    """Whatever a block says, no more comes out than there is room for."""
    content = bytearray()
    with suppress(ValueError):
        unpack_block(packed, content, room)
    assert len(content) <= room


@pytest.mark.parametrize(
    ("claim", "advice"),
    [
        ("aki/aki", "Say disk_format=raw and container_format=bare, or leave both out."),
        ("qcow2/compressed", "Say disk_format=raw, or leave it out so that it is found out from the bytes."),
    ],
)
def test_advice_on_what_is_inside_can_be_followed(claim: str, advice: str) -> None:
    """No tool converts what is packed as it is, and a kernel's container format goes with its disk format."""
    assert said(refusal(corpus.new_guard(claim), gzip.compress(mbr())))[1] == advice


def test_advice_on_an_unsafe_image_inside_begins_with_unpacking() -> None:
    """qemu-img would take the archive for a raw disk."""
    hostile = gzip.compress(BUILT["qcow2-backing-passwd"]())
    assert said(refusal(corpus.new_guard("-/compressed"), hostile))[1].startswith(
        "Unpack it first. Make a copy"
    )
