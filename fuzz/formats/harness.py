"""Whatever the stream: no fault, one verdict for all chunkings, bounded memory, linear cost."""

import struct
from collections.abc import Callable
from functools import cache

from fetcher.errors import Failure
from fetcher.guards.stream.formats import FormatGuard, Inspection, Inspector
from fetcher.guards.stream.formats.stream import TAIL_BYTES
from fetcher.guards.stream.formats.work import MAX_SHORT_STEPS, SHORT_BYTES, UNPACKED_BYTES
from tests.guards.stream.formats import build, corpus, hostile_ova, hostile_packed, others, zips

MAX_RETAINED = 65_536 + TAIL_BYTES + 262_144 + 65_536
PATCH = struct.Struct("<IB")

BASES: tuple[Callable[[], bytes], ...] = (
    lambda: build.qcow2(bits=9, size=65_536),
    lambda: build.qcow2(bits=9, size=65_536, version=2),
    build.vmdk,
    build.vmdk_stream,
    lambda: build.vdi()[: (1 << 20) + 1024],
    lambda: build.vhd(block=4096, size=8192),
    lambda: build.vhd_fixed(build.mbr(size=4096)),
    build.vhdx,
    lambda: build.parallels(cluster=8, sectors=64),
    build.iso,
    lambda: build.gpt(size=65_536),
    hostile_ova.good_ova,
    hostile_ova.OVAS["ova-good-python-pax"],
    hostile_ova.OVAS["ova-good-names-twice"],
    lambda: hostile_packed.zstd_frame((0, b"hello"), (1, b"x"), (0, b"world")),
    lambda: hostile_packed.lz4_frame(b"hello", b"world"),
    hostile_packed.sevenzip,
    hostile_packed.PACKED["gz-qcow2"],
    hostile_packed.PACKED["xz-raw"],
    hostile_packed.PACKED["bz2-raw"],
    hostile_packed.PACKED["zip-small"],
    lambda: zips.archive(zips.Member(method=0)),
    lambda: zips.archive(zips.Member(streamed=True, content=zips.HIDDEN)),
    lambda: zips.with_zip64_end(zips.archive(zips.Member(zip64=True))),
    hostile_packed.PACKED["zst-qcow2"],
    hostile_packed.PACKED["lz4-backing"],
    hostile_packed.PACKED["lz4-legacy"],
    lambda: others.uimage(2),
    lambda: build.put(build.iso(), 508, b"\xda\xbe"),
)


@cache
def _base(number: int) -> bytes:
    return BASES[number]()


def stream_of(seed: bytes) -> bytes:
    """Make a stream of a fuzzer's bytes: themselves, or a valid image with pieces of them written over it.

    The first byte chooses the image; then follow pieces: offset (4 bytes), length (1 byte), bytes. An
    odd offset counts from the end, so that footers are met as often as headers.
    """
    if not seed or seed[0] >= len(BASES):
        return seed[1:]
    image = bytearray(_base(seed[0]))
    at = 1
    while at + PATCH.size <= len(seed):
        place, length = PATCH.unpack_from(seed, at)
        piece = seed[at + PATCH.size : at + PATCH.size + length]
        offset = place // 2 % len(image)
        offset = len(image) - 1 - offset if place & 1 else offset
        image[offset : offset + len(piece)] = piece
        at += PATCH.size + length
    return seal(bytes(image))


def seal(image: bytes) -> bytes:
    """Make the checksums right again, so that a spoilt field is seen and not the checksum before it."""
    if image[:8] == b"conectix" and len(image) > 2048:
        footer = build.seal_vhd(image[:512], 64)
        image = footer + build.seal_vhd(image[512:1536], 36) + image[1536:-512] + footer
    elif image[-512:-504] == b"conectix":
        image = image[:-512] + build.seal_vhd(image[-512:], 64)
    elif image[:8] == b"vhdxfile" and len(image) > 327_680:
        for at, length in ((65_536, 4_096), (131_072, 4_096), (196_608, 65_536)):
            image = build.put(image, at, build.seal_vhdx(image[at : at + length]))
        image = build.put(image, 262_144, image[196_608:262_144])
    return image


def check_stream(stream: bytes, size: int = 4_096) -> Inspection:
    """Check the invariant on one stream.

    Raises:
        AssertionError: It does not hold.
    """
    whole = inspect([stream] if stream else [])
    pieces = inspect(list(corpus.cut(stream, size)))
    assert whole == pieces, (whole, pieces)
    assert whole == inspect_in_slices(list(corpus.cut(stream, 7 * size)))
    judged = verdict(list(corpus.cut(stream, size)))
    assert judged == verdict([stream])
    if "/" in judged:
        assert whole.is_safe
        assert (whole.virtual_bytes or 0) <= corpus.MAX_VIRTUAL_BYTES
    return whole


def inspect(chunks: list[bytes]) -> Inspection:
    """Inspect a stream, and hold the inspector to what it states."""
    inspector = Inspector()
    for chunk in chunks:
        inspector.feed(chunk)
        assert inspector.retained_bytes <= MAX_RETAINED
    inspector.finish()
    if inspector.fault is not None:
        raise AssertionError("the inspector failed") from inspector.fault
    total = sum(map(len, chunks))
    assert inspector.steps <= 64 + total // SHORT_BYTES + inspector.short_steps
    report = inspector.report()
    assert inspector.short_steps <= 1 + MAX_SHORT_STEPS + total * (1 << 15) // UNPACKED_BYTES
    return report


def inspect_in_slices(chunks: list[bytes], units: int = 1_100) -> Inspection:
    """Inspect a stream a slice at a time, as the offload thread does."""
    inspector = Inspector()
    for chunk in chunks:
        is_done = inspector.skim(chunk, units)
        while not is_done:
            is_done = inspector.go_on(units)
    inspector.finish()
    return inspector.report()


def verdict(chunks: list[bytes]) -> str:
    """Return what the guard makes of a stream without a claim."""
    guard: FormatGuard = corpus.new_guard(max_bytes=1 << 40)
    try:
        for chunk in chunks:
            guard.feed(chunk)
        guard.finish()
    except Failure as refusal:
        return refusal.code if str(refusal) else "a refusal that says nothing"
    assert guard.verdict is not None
    return f"{guard.verdict.disk_format}/{guard.verdict.container_format}"
