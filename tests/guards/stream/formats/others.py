"""Raw disks, kernels, pages, and files of several formats at once."""

import gzip
import struct
import tarfile
import zlib
from collections.abc import Callable

from tests.guards.stream.formats.build import (
    MIB,
    btrfs,
    cpio,
    ext,
    fat,
    gpt,
    iso,
    kernel,
    mbr,
    put,
    qcow2,
    udf,
    vdi,
    vhd_fixed,
    vhdx,
    vmdk,
    vmdk_stream,
)
from tests.guards.stream.formats.hostile_ova import ova
from tests.guards.stream.formats.hostile_packed import NOISE, pack_zip

Make = Callable[[], bytes]


def dmg(content: bytes) -> bytes:
    """Put the trailer of an Apple disk image behind some content."""
    return content + struct.pack(">4sII", b"koly", 4, 512).ljust(512, b"\0")


def uimage(kind: int) -> bytes:
    """Make a uImage for U-Boot whose content is of a type: 2 is a kernel, 3 a ramdisk, 6 a script."""
    header = b"\x27\x05\x19\x56" + bytes(26) + bytes([kind, 0]) + b"a name".ljust(32, b"\0")
    return put(header, 4, struct.pack(">I", zlib.crc32(header))) + NOISE


SEVERAL: dict[str, Make] = {
    "iso-hybrid-mbr": lambda: put(iso(), 0, mbr()[:512]),
    "iso-sun": lambda: put(iso(), 508, b"\xda\xbe"),
    "iso-sgi": lambda: put(iso(), 0, b"\x0b\xe5\xa9\x41"),
    "iso-bsd": lambda: put(iso(), 512, b"\x57\x45\x56\x82"),
    "iso-fat": lambda: put(iso(), 0, fat()[:512]),
    "iso-hybrid-gpt": lambda: put(iso(blocks=512), 0, gpt()[:1024]),
    "iso-udf-bridge": lambda: put(iso(), 32768 + 4096, udf()[32768:]),
    "iso-hfs": lambda: put(iso(), 1024, b"H+\0\4"),
    "iso-qcow2": lambda: put(iso(), 0, qcow2()[:4096]),
    "iso-vmdk-text": lambda: put(iso(), 0, b"# x\nversion=1\n"),
    "iso-ext": lambda: put(iso(), 1024, ext()[1024:1100]),
    "iso-gzip": lambda: put(iso(), 0, gzip.compress(b"x" * 100)),
    "iso-luks": lambda: put(iso(), 0, b"LUKS\xba\xbe\0\1"),
    "iso-then-zip": lambda: iso() + pack_zip(b"x"),
    "iso-then-vhd": lambda: vhd_fixed(iso()),
    "iso-then-dmg": lambda: dmg(iso()),
    "raw-then-zip": lambda: mbr() + pack_zip(b"x"),
    "raw-then-dmg": lambda: dmg(mbr()),
    "noise-then-zip": lambda: NOISE + pack_zip(b"x"),
    "raw-then-vhd": lambda: vhd_fixed(mbr()),
    "zeros-then-vhd": lambda: vhd_fixed(bytes(MIB)),
    "qcow2-then-zip": lambda: qcow2() + pack_zip(b"x"),
    "vmdk-then-zip": lambda: vmdk() + pack_zip(b"x"),
    "vmdk-stream-then-zip": lambda: vmdk_stream() + pack_zip(b"x"),
    "vdi-then-zip": lambda: vdi() + pack_zip(b"x"),
    "vhdx-then-zip": lambda: vhdx() + pack_zip(b"x"),
    "vhdx-then-vhd": lambda: vhdx() + vhd_fixed(bytes(MIB))[-512:],
    "qcow2-then-dmg": lambda: dmg(qcow2()),
    "gz-then-zip": lambda: gzip.compress(mbr()) + pack_zip(b"x"),
    "qcow2-gpt": lambda: put(qcow2(), 512, gpt()[512:1024]),
    "qcow2-tar": lambda: put(qcow2(), 0, tar_over(qcow2()[:104])),
    "vdi-qcow2": lambda: put(vdi(), 0, b"QFI\xfb\0\0\0\3"),
}


def tar_over(start: bytes) -> bytes:
    """Make a tar header whose name begins with other bytes."""
    block = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    block[: len(start)] = start
    block[124:136] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


OTHERS: dict[str, Make] = {
    "raw-mbr": mbr,
    "raw-gpt": gpt,
    "raw-gpt-4096": lambda: gpt(sector=4096),
    "raw-ext": ext,
    "raw-fat": fat,
    "raw-btrfs": btrfs,
    "raw-btrfs-cut": lambda: btrfs()[:65_604],
    "raw-xfs": lambda: b"XFSB\0\0\x10\0".ljust(MIB, b"\0"),
    "raw-squashfs": lambda: put(bytes(MIB), 0, b"hsqs")[:28] + b"\4\0\0\0" + bytes(MIB),
    "raw-erofs": lambda: put(bytes(MIB), 1024, b"\xe2\xe1\xf5\xe0"),
    "raw-bsd": lambda: put(bytes(MIB), 512, b"\x57\x45\x56\x82"),
    "raw-lvm": lambda: put(put(bytes(MIB), 512, b"LABELONE"), 536, b"LVM2 001"),
    "raw-swap": lambda: put(bytes(MIB), 4086, b"SWAPSPACE2"),
    "raw-ntfs": lambda: put(fat(), 3, b"NTFS    "),
    "raw-hfs": lambda: put(bytes(MIB), 1024, b"BD".ljust(36, b"\0") + b"\4"),
    "raw-apple": lambda: put(put(bytes(MIB), 0, b"ER"), 512, b"PM\0\0"),
    "raw-boot-sector": lambda: put(bytes(MIB), 510, b"\x55\xaa"),
    "raw-cramfs": lambda: put(bytes(MIB), 0, b"\x45\x3d\xcd\x28"),
    "raw-ufs": lambda: put(bytes(MIB), 9_564, b"\x19\1\x54\x19"),
    "raw-reiserfs": lambda: put(bytes(MIB), 65_588, b"ReIsEr2Fs"),
    "raw-lvm-first": lambda: put(put(bytes(MIB), 0, b"LABELONE"), 24, b"LVM2 001"),
    "raw-mdraid-first": lambda: put(bytes(MIB), 0, b"\xfc\x4e\x2b\xa9\1\0\0\0"),
    "udf": udf,
    "udf-mbr": lambda: put(udf(), 0, mbr()[:512]),
    "kernel-x86": kernel,
    "kernel-arm64": lambda: put(bytes(MIB), 56, b"ARM\x64"),
    "kernel-riscv": lambda: put(bytes(MIB), 48, b"RISCV\0\0\0RSC\x05"),
    "kernel-loongarch": lambda: put(bytes(MIB), 56, b"\xcd\x23\x82\x81"),
    "kernel-s390": lambda: put(bytes(MIB), 65_544, b"S390EP"),
    "kernel-fit": lambda: b"\xd0\x0d\xfe\xed".ljust(56, b"\0") + b"\0\0\0\1images\0\0" + NOISE,
    "kernel-arm": lambda: put(bytes(MIB), 36, b"\x18\x28\x6f\x01"),
    "kernel-arm-big": lambda: put(bytes(MIB), 36, b"\x01\x6f\x28\x18"),
    "kernel-zboot": lambda: b"MZ\0\0zimg".ljust(MIB, b"\0"),
    "kernel-uimage": lambda: uimage(2),
    "ramdisk-uimage": lambda: uimage(3),
    "uimage-script": lambda: uimage(6),
    "uimage-damaged": lambda: put(uimage(2), 4, b"abcd"),
    "kernel-elf": lambda: b"\x7fELF\2\1".ljust(16, b"\0") + b"\2\0" + bytes(4096),
    "kernel-elf-big": lambda: b"\x7fELF\2\2".ljust(16, b"\0") + b"\0\2" + bytes(4096),
    "elf-object": lambda: b"\x7fELF\2\1".ljust(16, b"\0") + b"\1\0" + bytes(4096),
    "cpio": cpio,
    "tar": lambda: ova(("a.txt", b"x")),
    "qcow1": lambda: b"QFI\xfb\0\0\0\1".ljust(MIB, b"\0"),
    "cow": lambda: b"OOOM\0\0\0\2/etc/passwd".ljust(MIB, b"\0"),
    "qed": lambda: b"QED\0".ljust(MIB, b"\0"),
    "bochs": lambda: b"Bochs Virtual HD Image".ljust(MIB, b"\0"),
    "cloop": lambda: b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount".ljust(MIB, b"\0"),
    "dmg": lambda: dmg(NOISE),
    "luks1": lambda: b"LUKS\xba\xbe\0\1".ljust(MIB, b"\0"),
    "luks2": lambda: b"LUKS\xba\xbe\0\2".ljust(MIB, b"\0"),
    "html": lambda: b"<!DOCTYPE html><title>Sign in</title>" + b" " * 70_000,
    "html-bom": lambda: b"\xef\xbb\xbf \n<html>",
    "html-utf16": lambda: b"\xff\xfe" + "<html><body>x".encode("utf-16-le"),
    "xml": lambda: b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
    "json": lambda: b'{"error": "unauthorized"}',
    "text": lambda: b"404 page not found\n",
    "text-utf8": "größer".encode,
    "text-utf8-cut": ("x" + "ü" * 40_000).encode,
    "text-latin1": lambda: "größer als alles andere".encode("latin-1"),
    "pdf": lambda: b"%PDF-1.7\n" + NOISE[:1000],
    "png": lambda: b"\x89PNG\r\n\x1a\n" + NOISE[:1000],
    "program": lambda: b"MZ".ljust(60, b"\0") + struct.pack("<I", 128).ljust(68, b"\0") + b"PE\0\0" + NOISE,
    "media": lambda: b"\0\0\1\xba\x44\0\4\0" + NOISE[:1000],
    "film": lambda: b"\0\0\0\x18ftypmp42" + NOISE[:1000],
    "sound": lambda: b"RIFF\0\1\0\0WAVE" + NOISE[:1000],
    "empty": lambda: b"",
    "one-byte": lambda: b"\0",
    "zeros": lambda: bytes(MIB),
    "ones": lambda: b"\xff" * MIB,
    "wide-ones": lambda: b"\xff\xfe" + b"\xff" * MIB,
    "noise": lambda: NOISE,
}
