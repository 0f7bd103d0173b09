"""Packed images: good ones, damaged ones, and those that hide something."""

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

import zstandard

from tests.guards.stream.formats.build import MIB, cpio, iso, kernel, mbr, put, qcow2
from tests.guards.stream.formats.hostile_ova import good_ova, ova
from tests.guards.stream.formats.zips import HIDDEN, Member, archive, with_zip64_end

Make = Callable[[], bytes]
NOISE = random.Random(7).randbytes(MIB)


def pack_zip(content: bytes, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.comment = comment
        archive.writestr("disk.img", content)
    return packed.getvalue()


def zstd_frame(*blocks: tuple[int, bytes], descriptor: int = 0x60, rest: bytes = b"\0\3") -> bytes:
    """Make a Zstandard frame of (kind, content); a single segment of 1,024 bytes unless said otherwise."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + rest
    for number, (kind, content) in enumerate(blocks):
        size = len(content) if kind != 1 else 512
        frame += ((number == len(blocks) - 1) | kind << 1 | size << 3).to_bytes(3, "little") + content
    return frame


def lz4_frame(*blocks: bytes, flags: int = 0x60, block: int = 0x40, checksum: bytes = b"") -> bytes:
    """Make an LZ4 frame of blocks that are kept as they are."""
    frame = b"\x04\x22\x4d\x18" + bytes([flags, block]) + b"\0"
    for content in blocks:
        frame += struct.pack("<I", len(content) | 1 << 31) + content + checksum
    return frame + bytes(4)


def sevenzip(content: bytes = b"content") -> bytes:
    """Make the signature header of a 7z archive, and what it frames."""
    start = struct.pack("<QQI", len(content) - 3, 3, 0)
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + content


DISK = mbr(size=1024)
HELLO = (0, DISK)
LITERALS = b"\xf0\xff\xff\xff\xf4"  # The beginning of an LZ4 block of 1,024 literals.
ZSTD_CHECKSUM = zstandard.ZstdCompressor(write_checksum=True).compress(DISK)[-4:]
SKIPPED = struct.pack("<II", 0x184D2A53, 3) + b"xyz"
PACKED: dict[str, Make] = {
    "gz-raw": lambda: gzip.compress(mbr()),
    "gz-qcow2": lambda: gzip.compress(qcow2()),
    "gz-noise": lambda: gzip.compress(NOISE),
    "gz-members": lambda: gzip.compress(b"") * 3 + gzip.compress(mbr()),
    "gz-empty-members": lambda: gzip.compress(b"") * 100 + gzip.compress(mbr()),
    "gz-backing": lambda: gzip.compress(put(qcow2(), 8, struct.pack(">QI", 512, 11))),
    "gz-vmdk-text": lambda: gzip.compress(b'# Disk DescriptorFile\nversion=1\ncreateType="vmfs"\n'),
    "gz-gz": lambda: gzip.compress(gzip.compress(mbr())),
    "gz-html": lambda: gzip.compress(b"<html><title>login</title></html>"),
    "gz-tar": lambda: gzip.compress(ova(("a.txt", b"x"))),
    "gz-ova": lambda: gzip.compress(good_ova()),
    "gz-polyglot": lambda: gzip.compress(put(iso(), 0, qcow2()[:4096])),
    "gz-cpio": lambda: gzip.compress(cpio()),
    "gz-kernel": lambda: gzip.compress(kernel()),
    "gz-method-9": lambda: put(gzip.compress(mbr()), 2, b"\x09"),
    "gz-two-bytes": lambda: b"\x1f\x8b",
    "gz-flags": lambda: b"\x1f\x8b\x08\xe0" + bytes(100),
    "gz-short": lambda: b"\x1f\x8b\x08\0",
    "gz-damaged": lambda: gzip.compress(mbr())[:20] + NOISE,
    "gz-cut": lambda: gzip.compress(mbr())[:-20],
    "gz-nothing": lambda: gzip.compress(b""),
    "xz-raw": lambda: lzma.compress(mbr()),
    "xz-qcow2": lambda: lzma.compress(qcow2()),
    "xz-streams": lambda: lzma.compress(mbr()) + lzma.compress(b"more"),
    "xz-padded": lambda: lzma.compress(mbr()) + bytes(8),
    "xz-backing": lambda: lzma.compress(put(qcow2(), 8, struct.pack(">QI", 512, 11))),
    "xz-odd-padding": lambda: lzma.compress(mbr()) + bytes(3),
    "xz-trailing": lambda: lzma.compress(mbr()) + b"xxxx",
    "xz-cut": lambda: lzma.compress(NOISE)[:-16],
    "xz-header": lambda: put(lzma.compress(mbr()), 7, b"\0"),
    "xz-index": lambda: put(lzma.compress(mbr()), len(lzma.compress(mbr())) - 16, b"\xff"),
    "xz-memory": lambda: xz_with_dictionary(37),
    "xz-short": lambda: b"\xfd7zXZ\0",
    "xz-virtual-2-tib": lambda: xz_index_of(2 << 40),
    "bz2-raw": lambda: bz2.compress(mbr()),
    "bz2-noise": lambda: bz2.compress(NOISE),
    "bz2-no-block": lambda: b"BZh9" + NOISE,
    "bz2-cut": lambda: bz2.compress(NOISE)[:-4],
    "bz2-trailing": lambda: bz2.compress(NOISE) + b"x" * 20,
    "bz2-nothing": lambda: bz2.compress(b""),
    "zst-good": lambda: zstd_frame(HELLO),
    "zst-frames": lambda: zstd_frame(HELLO) + SKIPPED + zstd_frame((0, DISK[512:]), (1, b"x")),
    "zst-window": lambda: zstd_frame(HELLO, descriptor=0, rest=b"\x50"),
    "zst-no-size": lambda: zstd_frame(HELLO, descriptor=0, rest=b"\x48"),
    "zst-checksum": lambda: zstd_frame(HELLO, descriptor=0x64) + ZSTD_CHECKSUM,
    "zst-size-2-bytes": lambda: zstd_frame((0, DISK[:256]), descriptor=0x60, rest=b"\0\0"),
    "zst-window-over": lambda: zstd_frame(HELLO, descriptor=0, rest=b"\x90"),
    "zst-single-over": lambda: zstd_frame(HELLO, descriptor=0xE0, rest=struct.pack("<Q", 1 << 28)),
    "zst-virtual-2-tib": lambda: zstd_frame(
        HELLO, descriptor=0xC0, rest=b"\x50" + struct.pack("<Q", 2 << 40)
    ),
    "zst-dictionary": lambda: zstd_frame(HELLO, descriptor=0x61, rest=b"\7\0\3"),
    "zst-no-dictionary": lambda: zstd_frame(HELLO, descriptor=0x61, rest=b"\0\0\3"),
    "zst-reserved-bit": lambda: zstd_frame(HELLO, descriptor=0x68),
    "zst-reserved-block": lambda: zstd_frame((3, b"hello")),
    "zst-block-over": lambda: zstd_frame((0, bytes((1 << 17) + 1))),
    "zst-trailing": lambda: zstd_frame(HELLO) + b"xxxxxxxx",
    "zst-trailing-short": lambda: zstd_frame(HELLO) + b"x",
    "zst-cut": lambda: zstd_frame((0, DISK[:512]), (0, DISK[512:]))[:-2],
    "zst-cut-block": lambda: zstd_frame((0, DISK[:512]), (0, DISK[512:]))[:-514],
    "zst-cut-header": lambda: b"\x28\xb5\x2f\xfd",
    "zst-cut-size": lambda: b"\x28\xb5\x2f\xfd\xc0\x50",
    "zst-cut-skipped": lambda: zstd_frame(HELLO) + SKIPPED[:-1],
    "zst-qcow2": lambda: zstandard.compress(qcow2()),
    "zst-zst": lambda: zstandard.compress(zstandard.compress(mbr())),
    "zst-backing": lambda: zstandard.compress(HIDDEN),
    "zst-nothing": lambda: zstandard.compress(b""),
    "zst-skipped-only": lambda: SKIPPED * 3,
    "lz4-backing": lambda: lz4_frame(HIDDEN),
    "zst-dear": lambda: zstd_frame(*((1, b"\0"), (0, b"")) * 9_000),
    "lz4-good": lambda: lz4_frame(DISK[:512], DISK[512:]),
    "lz4-sizes": lambda: (
        put(lz4_frame(DISK, flags=0x68), 6, b"\0\4\0\0\0\0\0\0\0")[:15] + lz4_frame(DISK)[7:]
    ),
    "lz4-checksums": lambda: lz4_frame(DISK, flags=0x74, checksum=b"abcd") + b"abcd",
    "lz4-frames": lambda: lz4_frame(DISK) + SKIPPED + lz4_frame(DISK),
    "lz4-legacy": lambda: b"\x02\x21\x4c\x18" + struct.pack("<I", 1029) + LITERALS + DISK,
    "lz4-legacy-frames": lambda: 2 * (b"\x02\x21\x4c\x18" + struct.pack("<I", 1029) + LITERALS + DISK),
    "lz4-legacy-and-others": lambda: (
        b"\x02\x21\x4c\x18" + struct.pack("<I", 1029) + LITERALS + DISK + SKIPPED + lz4_frame(DISK)
    ),
    "lz4-dictionary": lambda: lz4_frame(DISK, flags=0x61),
    "lz4-version": lambda: lz4_frame(DISK, flags=0xA0),
    "lz4-block-over": lambda: lz4_frame(bytes(65_537)),
    "lz4-trailing": lambda: lz4_frame(DISK) + b"xxxx",
    "lz4-cut": lambda: lz4_frame(DISK)[:-6],
    "lz4-cut-word": lambda: lz4_frame(DISK)[:-2],
    "lz4-legacy-cut": lambda: b"\x02\x21\x4c\x18" + struct.pack("<I", 5) + b"hell",
    "lz4-legacy-zero": lambda: b"\x02\x21\x4c\x18" + bytes(8),
    "zip-raw": lambda: pack_zip(mbr()),
    "zip-stored": lambda: pack_zip(mbr(), zipfile.ZIP_STORED),
    "zip-small": lambda: pack_zip(mbr(size=1024)),
    "zip-lzma": lambda: pack_zip(mbr(), zipfile.ZIP_LZMA),
    "zip-comment": lambda: pack_zip(mbr(), comment=b"c" * 65_535),
    "zip-empty": lambda: b"PK\5\6" + bytes(18),
    "zip-vmdk-text": lambda: pack_zip(b"#\nversion=1\n"),
    "zip-cut": lambda: pack_zip(NOISE)[:-10],
    "zip-directory-beyond": lambda: put(pack_zip(mbr()), len(pack_zip(mbr())) - 6, b"\xff\xff\xff\x7f"),
    "zip-decoy-first": lambda: archive(Member(is_listed=False), Member(content=HIDDEN)),
    "zip-reversed": lambda: archive(Member(name=b"a"), Member(name=b"b", content=HIDDEN), listed=(1, 0)),
    "zip-folder": lambda: archive(Member(name=b"a/", content=b"", method=0), Member()),
    "zip-link": lambda: archive(
        Member(content=put(mbr(size=1024), 0, b"/etc/passwd\0"), central={"attributes": 0o120777 << 16})
    ),
    "zip-link-by-dos": lambda: archive(Member(central={"attributes": 0o120777 << 16, "made": 0x14})),
    "zip-device": lambda: archive(Member(central={"attributes": 0o060660 << 16})),
    "zip-mode": lambda: archive(Member(central={"attributes": 0o100644 << 16})),
    "zip-encrypted": lambda: archive(Member(local={"flags": 1}, central={"flags": 1})),
    "zip-header-damaged": lambda: archive(Member(local={"packed": 0xFFFF_FFFF})),
    "zip-flag-in-one": lambda: archive(Member(local={"flags": 2})),
    "zip-between": lambda: archive(Member(streamed=True, descriptor=b"")),
    "zip-streamed": lambda: archive(Member(streamed=True)),
    "zip-64": lambda: with_zip64_end(archive(Member(zip64=True))),
    "7z-good": sevenzip,
    "7z-cut": lambda: sevenzip()[:-1],
    "7z-trailing": lambda: sevenzip() + b"x",
    "7z-damaged": lambda: put(sevenzip(), 8, b"xxxx"),
}


def xz_with_dictionary(code: int) -> bytes:
    """Make an xz stream that says to need a dictionary of this code: 37 is 512 MiB."""
    image = lzma.compress(mbr())
    length = (image[12] + 1) * 4
    block = bytearray(image[12 : 12 + length])
    block[block.index(b"\x21\x01") + 2] = code
    block[-4:] = struct.pack("<I", zlib.crc32(block[:-4]))
    return put(image, 12, bytes(block))


def xz_index_of(unpacked: int) -> bytes:
    """Make an xz stream whose index says that it unpacks to so many bytes."""

    def number(value: int) -> bytes:
        digits = []
        while value > 0x7F:
            digits.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*digits, value])

    image = lzma.compress(b"", check=lzma.CHECK_NONE)[:12]
    block = lzma.compress(mbr(), check=lzma.CHECK_NONE)
    block = block[12 : 12 + _first_block_bytes(block)]
    index = b"\0\1" + number(len(block)) + number(unpacked)
    index = index.ljust(-(-len(index) // 4) * 4, b"\0")
    index += struct.pack("<I", zlib.crc32(index))
    footer = struct.pack("<I", len(index) // 4 - 1) + image[6:8]
    return image + block + index + struct.pack("<I", zlib.crc32(footer)) + footer + b"YZ"


def _first_block_bytes(stream: bytes) -> int:
    backward = (struct.unpack_from("<I", stream, len(stream) - 8)[0] + 1) * 4
    return len(stream) - 12 - 12 - backward
