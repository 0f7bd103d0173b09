"""Codings made on the fly: undone in small steps, within bounds, with the whole checked."""

import gzip
import hashlib
import random
import zlib
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import BadResponse, Truncated
from fetcher.transport.coding import STEP_BYTES, Decoder
from tests.images import qcow2, raw
from tests.lab import Origin, lab_settings
from tests.lab.behaviours import chunked, cut, in_turn, serve
from tests.service import Running
from tests.transport.attack import attack

PLAIN = raw(700_000) + bytes(700_000)


def raw_deflate(data: bytes) -> bytes:
    """Deflate without zlib's frame, as some servers send it."""
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


CODED = {
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "gzip in members": ("gzip", gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:])),
    "gzip with padding": ("gzip", gzip.compress(PLAIN) + bytes(512)),
    "deflate": ("deflate", zlib.compress(PLAIN)),
    "raw deflate": ("deflate", raw_deflate(PLAIN)),
    "labelled only": ("gzip", PLAIN),
}


def undo(coding: str, chunks: list[bytes]) -> bytes:
    """Undo a coding as a source does."""
    decoder, out = Decoder(coding), b""
    for chunk in chunks:
        decoder.feed(chunk)
        while plain := decoder.take():
            assert len(plain) <= max(STEP_BYTES, len(chunk) + 2)
            out += plain
    return out + decoder.finish()


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("size", [1000, 65_536, 10_000_000])
def test_every_way_of_coding_is_undone(name: str, size: int) -> None:
    """Bit for bit, however the chunks are cut."""
    coding, coded = CODED[name]
    chunks = [coded[start : start + size] for start in range(0, len(coded), size)]
    assert undo(coding, chunks) == PLAIN


@given(
    body=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 300)),
    coding=st.sampled_from(["gzip", "deflate"]),
)
def test_cuts_do_not_matter(body: bytes, cuts: list[int], coding: str) -> None:
    """One byte at a time is as good as all at once."""
    coded = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    edges = [0, *sorted({min(cut, len(coded)) for cut in cuts}), len(coded)]
    assert undo(coding, [coded[a:b] for a, b in pairwise(edges)]) == body


@given(coded=st.binary(max_size=400), coding=st.sampled_from(["gzip", "deflate"]), is_led=st.booleans())
def test_nonsense_is_told_and_nothing_else(coded: bytes, coding: str, is_led: bool) -> None:
    """Whatever comes, it ends in bytes or in an error of the table."""
    try:
        found = undo(coding, [b"\x1f\x8b\x08" + coded if is_led else coded])
    except (BadResponse, Truncated) as failure:
        found = failure.code.encode()
    assert isinstance(found, bytes)


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate", "gzip in members"])
def test_cut_coding_is_told(name: str) -> None:
    """A body that ends before its coding does is no whole one."""
    coding, coded = CODED[name]
    with pytest.raises(Truncated):
        undo(coding, [coded[:-9]])


def test_changed_byte_is_told() -> None:
    """Gzip has a checksum of its own, which is looked at."""
    coding, coded = CODED["gzip"]
    with pytest.raises(BadResponse):
        undo(coding, [coded[:-6] + bytes([coded[-6] ^ 1]) + coded[-5:]])


def test_input_that_unfolds_to_nothing_is_cut_off() -> None:
    """Empty blocks without end would keep us busy for nothing."""
    made = zlib.compressobj(wbits=31)
    head = made.compress(b"") + made.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(BadResponse, match="next to nothing"):
        undo("gzip", [head] + [b"\x00\x00\x00\xff\xff" * 10_000] * 100)


def test_a_bomb_unfolds_step_by_step() -> None:
    """One read gives a quarter of a mebibyte, whatever is behind it."""
    decoder = Decoder("gzip")
    decoder.feed(gzip.compress(bytes(50_000_000)))
    assert len(decoder.take()) == STEP_BYTES


async def test_digest_of_the_coded_bytes_is_compared_with_them() -> None:
    """What the source says is of what it sends, and no digest of the file."""
    coded = CODED["gzip"][1]
    for good in (True, False):
        digest = b64encode(hashlib.sha256(coded if good else b"").digest()).decode()
        fields = {"Content-Encoding": "gzip", "Repr-Digest": f"sha-256=:{digest}:"}
        async with Origin({"/x": serve(coded, fields=fields)}) as origin:
            outcome = await attack(origin.url("/x"), lab_settings(origin))
        assert outcome.code == ("ok" if good else "bad-response")
        assert outcome.source is None or not outcome.source.digests


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_image_coded_on_the_fly_is_imported(coding: str, tmp_path: Path) -> None:
    """The stored bytes are the image, judged and digested as such; so is a checksum file."""
    image = qcow2(clusters=20)
    digest = hashlib.sha256(image).hexdigest()
    pack = gzip.compress if coding == "gzip" else zlib.compress
    fields = {"Content-Encoding": coding, "Vary": "Accept-Encoding"}
    routes = {
        "/x.qcow2": chunked([pack(image)], fields=fields),
        "/SHA256SUMS": serve(pack(f"{digest}  x.qcow2\n".encode()), fields=fields),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        sums = origin.url("/SHA256SUMS")
        ended = await service.run(url=origin.url("/x.qcow2"), disk_format="qcow2", checksum_url=sums)
        assert ended["digests"]["sha256"] == digest
        assert ended["verified_by"] == "sums"
        assert origin.requests[0].header("Accept-Encoding") == "identity"


async def test_limits_hold_for_what_unfolds(tmp_path: Path) -> None:
    """A bomb is cut off at the byte that an import may not have, and leaves nothing."""
    bomb = gzip.compress(bytes(30_000_000))
    routes = {"/x": serve(bomb, fields={"Content-Encoding": "gzip"})}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), max_bytes=1_000_000)
        assert ended["verdict"]["code"] == "too-many-bytes"
        assert service.traces() == []


async def test_a_broken_coded_body_begins_anew(tmp_path: Path) -> None:
    """No range of it is asked for; the next answer may even come without a coding."""
    image = qcow2(clusters=20, seed=random.Random(1).randrange(99))
    coded = gzip.compress(image)
    fields = {"Content-Encoding": "gzip", "ETag": '"v1"'}
    async with Origin() as origin, Running(tmp_path, origin) as service:
        origin.routes["/x"] = in_turn(cut(coded, len(coded) // 2, fields=fields), serve(image, etag='"v1"'))
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2")
        assert ended["digests"]["sha256"] == hashlib.sha256(image).hexdigest()
        assert origin.requests[1].header("Range") is None
