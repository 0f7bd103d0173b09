"""Every dialect of checksum files that distributions publish, and what is told of files that are none."""

import gzip
import hashlib
import time

import pytest

from fetcher.errors import ChecksumFileUnusable
from fetcher.parsers.checksum_files import choose, decode, find_digest, read_listing

NAME = "disk.qcow2"
A = hashlib.sha256(b"a").hexdigest()
B = hashlib.sha256(b"b").hexdigest()
A512, B512 = hashlib.sha512(b"a").hexdigest(), hashlib.sha512(b"b").hexdigest()
BLAKE = hashlib.blake2b(b"a").hexdigest()
MD5 = "0" * 32

DIALECTS = {
    "gnu text": f"{A}  {NAME}\n",
    "gnu binary": f"{A} *{NAME}\n",
    "one blank": f"{A} {NAME}\n",
    "many blanks": f"{A}      {NAME}\n",
    "tab": f"{A}\t{NAME}\n",
    "tab and star": f"{A}\t*{NAME}\n",
    "leading blanks": f"  {A}  {NAME}\n",
    "trailing blanks": f"{A}  {NAME}  \t\r\n",
    "prefixed": f"sha256:{A}  {NAME}\n",
    "bsd": f"SHA256 ({NAME}) = {A}\n",
    "bsd in lower case": f"sha256 ({NAME}) = {A}\n",
    "openssl": f"SHA2-256({NAME})= {A}\n",
    "colon": f"{NAME}: {A}\n",
    "colon without a blank": f"{NAME}:{A}\n",
    "equals": f"{NAME} = {A}\n",
    "colon and prefix": f"{NAME}: sha256:{A}\n",
    "quoted": f'"{NAME}": {A}\n',
    "bare": f"{A}\n",
    "bare with prefix": f"sha256:{A}\n",
    "bare with equals": f"SHA256={A}\n",
    "bare with a word": f"SHA256: {A}\nMD5: {MD5}\n",
    "folder": f"{A}  images/amd64/{NAME}\n{B}  images/other\n",
    "folder above": f"{A}  ../{NAME}\n",
    "absolute": f"{A}  /srv/build/{NAME}\n{B}  /srv/build/x{NAME}\n",
    "windows path": f"{A}  C:\\build\\{NAME}\n",
    "powershell": f"Algorithm  Hash  Path\n---------  ----  ----\nSHA256   {A}   C:\\x\\{NAME}\n",
    "certutil": f"SHA256 hash of {NAME}:\n{A}\nCertUtil: -hashfile command completed successfully.\n",
    "gentoo manifest": f"DIST other 9 SHA256 {B}\nDIST {NAME} 12 BLAKE2B {BLAKE} SHA256 {A}\n",
    "headings": f"md5:\n{MD5}  {NAME}\n\nsha256:\n{A}  {NAME}\n",
    "headings in brackets": f"[MD5]\n{MD5}  {NAME}\n[SHA-256]\n{A}  {NAME}\n",
    "name first": f"{NAME}   {A}\n",
    "name first and a tab": f"{NAME}\t{A}\n",
    "quoted name": f"{A}  '{NAME}'\n",
    "quoted digest": f'"{A}"\n',
    "from a pipe": f"{A}  -\n",
    "sum in the name of the algorithm": f"sha256sum: {A}\n",
    "bsd with a sum": f"SHA256SUM ({NAME}) = {A}\n",
    "hash of": f"SHA-256 hash of {NAME}: {A}\n",
    "debian release": f"Checksums-Sha256:\n {B} 9 main/other\n {A} 12 {NAME}\n",
    "certutil in german": f"SHA256-Hash von {NAME}:\n{A}\nCertUtil: -hashfile-Befehl\n",
    "certutil in groups": f"SHA256 hash of file {NAME}:\n{' '.join(A[i : i + 2] for i in range(0, 64, 2))}\n",
    "powershell list": f"\r\nAlgorithm : SHA256\r\nHash : {A.upper()}\r\nPath : C:\\x\\{NAME}\r\n\r\n",
    "blocks": f"File: {NAME}\nSize: 12\nSHA256: {A}\n\nFile: other\nSHA256: {B}\n",
    "alpine releases": f"---\n-\n  file: other\n  sha256: {B}\n-\n  file: {NAME}\n  sha256: {A}\n",
    "csv": f"file,sha256\nother,{B}\n{NAME},{A}\n",
    "semicolon": f"{A};{NAME}\n",
    "hashdeep": f"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## x\n12,{MD5},{A},/x/{NAME}\n",
    "markdown table": f"| File | SHA256 |\n|---|---|\n| {NAME} | `{A}` |\n| other | `{B}` |\n",
    "markdown list": f"+ {NAME}: `{A}`\n+ other: `{B}`\n",
    "unseen letters": f"\ufeff\u200b{A}\u00a0\u00a0{NAME}\n",
    "escaped name": f"{A}  disk%2Eqcow2\n{B}  other\n",
    "name in other case": f"{A}  DISK.QCOW2\n{B}  other\n",
    "fedora": f"# {NAME}: 12 bytes\nSHA256 ({NAME}) = {A}\n",
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS.keys())
def test_dialects(text: str) -> None:
    """Each is read alone, and inside a clear-signed message."""
    assert str(find_digest(text, NAME)) == f"sha256:{A}"
    signed = (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}-----BEGIN PGP SIGNATURE-----\n\nxx\n"
        "-----END PGP SIGNATURE-----\n"
    )
    assert str(find_digest(signed, NAME)) == f"sha256:{A}"


def test_digests_of_several_algorithms_under_headings() -> None:
    """Flatcar and Gentoo: BLAKE2b and Whirlpool have the length of SHA-512, and are not counted as it."""
    flatcar = f"# MD5 HASH\n{MD5}  {NAME}\n# SHA1 HASH\n{'0' * 40}  {NAME}\n# SHA512 HASH\n{A512}  {NAME}\n"
    assert str(find_digest(flatcar, NAME)) == f"sha512:{A512}"
    gentoo = (
        f"# BLAKE2B HASH\n{BLAKE}  {NAME}\n# SHA512 HASH\n{A512}  {NAME}\n# WHIRLPOOL HASH\n{B512}  {NAME}\n"
    )
    assert str(find_digest(gentoo, NAME)) == f"sha512:{A512}"


@pytest.mark.parametrize("file_name", ["b2sums.txt", "B2SUMS", f"{NAME}.b2", f"{NAME}.blake2b", "BLAKE2SUMS"])
def test_blake2b_is_not_taken_for_sha512(file_name: str) -> None:
    """What is computed is not what the file says, and that is told."""
    with pytest.raises(ChecksumFileUnusable, match=r"only blake2b, and sha256 or .* is needed"):
        find_digest(f"{BLAKE}  {NAME}\n", NAME, file_name=file_name)


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_codings(coding: str) -> None:
    """Windows tools write UTF-16, and marks before UTF-8."""
    assert find_digest(decode(f"{A}  {NAME}\r\n".encode(coding)), NAME).value == A


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("<!DOCTYPE html><p>404", "it is a web page"),
        (f"<html><body>{A}  {NAME}\n</body>", "it is a web page"),
        ("<?xml version='1.0'?><metalink/>", "it is an XML document"),
        ('{"sha256": "x"}', "it is a JSON document"),
        ("-----BEGIN PGP SIGNATURE-----\nx", "it is a signature"),
        ("hello\n", "no line of it lists a digest"),
        (f"{MD5}  {NAME}\n", "only md5"),
        (f"MD5 ({NAME}) = {MD5}\nSHA1 ({NAME}) = {'0' * 40}\n", "only md5 and sha1"),
        (f"{MD5}  {NAME}\n{A}  other\n", f"only md5 for {NAME}"),
        (f"{A}  a.img\n{B}  b.img\n", f"does not list {NAME}; it lists a.img, b.img"),
        (f"{A}  {NAME}\n{B}  {NAME}\n", f"two different digests for {NAME}"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(text: str, reason: str) -> None:
    """A page, JSON, an empty file and a weak digest are different mistakes; what was looked for is named."""
    with pytest.raises(ChecksumFileUnusable) as caught:
        find_digest(decode(text.encode()), NAME)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "block",
    [
        f"File: {NAME}\nSHA256: {A}\nSHA256: {B}\n",
        f"File: other\nSHA256: {A}\nFile: {NAME}\nMD5: {MD5}\nSHA256: {B}\n",
        f"File: {NAME}\nSHA256: {A}\nFile: {NAME}\nSHA256: {B}\n",
    ],
)
def test_a_block_about_several_files_vouches_for_none(block: str) -> None:
    """With a field twice nobody knows which digest is whose: the last one is no better than the first."""
    with pytest.raises(ChecksumFileUnusable):
        find_digest(block, NAME)


def test_a_version_beside_a_link() -> None:
    """A link without one leads to the one file that has one."""
    assert find_digest(f"{A}  virtio-win-0.1.262.iso\n{B}  guest-0.1.262.exe\n", "virtio-win.iso").value == A


def test_packed_files_are_unpacked_within_bounds() -> None:
    """Mirrors pack theirs, and servers label them so or not."""
    text = f"{A}  {NAME}\n"
    packed = gzip.compress(text.encode())
    assert find_digest(decode(packed, max_bytes=len(text)), NAME).value == A
    for wrong, most in (
        (packed, len(text) - 1),
        (packed[:-9], 999),
        (packed[:12], 999),
        (b"\x1f\x8b\x08x", 9),
    ):
        with pytest.raises(ChecksumFileUnusable):
            decode(wrong, max_bytes=most)


def test_old_ends_of_lines() -> None:
    """A bare CR, where there is nothing else."""
    assert find_digest(f"{B}  other\r{A}  {NAME}\r", NAME).value == A


@pytest.mark.parametrize("file_name", [f"{NAME}.gost", f"{NAME}.b3", f"{NAME}.sm3"])
def test_other_digests_of_that_length_are_not_taken_for_sha256(file_name: str) -> None:
    """The file's own name tells which they are."""
    with pytest.raises(ChecksumFileUnusable, match="it gives only"):
        find_digest(f"{A}  {NAME}\n", NAME, file_name=file_name)


HOSTILE = {
    "blanks": " " * 1_000_000 + "x",
    "dashes and blanks": "- " * 500_000,
    "tabs before no digest": f"x{chr(9) * 8_000}x\n" * 120,
    "pairs of blanks": f"x{'  x' * 2_600}\n" * 120,
    "algorithms without end": "SHA1 " * 200_000,
    "algorithms in lines": f"{'SHA1 ' * 70}x\n" * 2_800,
    "colons": ":" * 1_000_000,
    "cells": "|" * 1_000_000,
    "dates": f"{A}  disk-20240101{'T1' * 2_000}!.qcow2\n" * 200,
    "hexadecimal dates": f"{A}  disk-20240101{'-0000000' * 25}!.qcow2\n" * 3_000,
    "numbers": f"{A}  disk-{'1-' * 120}!.qcow2\n" * 3_000,
}


@pytest.mark.parametrize("name", ["disk.qcow2", "disk-latest.qcow2", "latest-" * 30 + ".qcow2"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_read_in_the_time_that_their_size_takes(text: str, name: str) -> None:
    """A mebibyte of whatever repeats costs no more than a mebibyte of digests, give or take."""
    began = time.process_time()
    with pytest.raises(ChecksumFileUnusable):
        find_digest(text[: 1 << 20], name)
    assert time.process_time() - began < 10


def test_binary_is_told() -> None:
    """An image submitted as its own checksum file."""
    with pytest.raises(ChecksumFileUnusable, match="not text"):
        decode(b"QFI\xfb\0\0\0\3" + bytes(100))


@pytest.mark.parametrize(
    ("link", "listed"),
    [
        ("Stream-GenericCloud-9-latest.x86_64.qcow2", "Stream-GenericCloud-9-20240101.0.x86_64.qcow2"),
        ("debian-12-generic-amd64.qcow2", "debian-12-generic-amd64-20240102-1614.qcow2"),
        ("Arch-Linux-x86_64-cloudimg.qcow2", "Arch-Linux-x86_64-cloudimg-20240115.207158.qcow2"),
        ("Rocky-9-Base.latest.x86_64.qcow2", "Rocky-9-Base-9.5-20241118.0.x86_64.qcow2"),
        ("FreeBSD-14.1-STABLE-amd64.raw.xz", "FreeBSD-14.1-STABLE-amd64-20240905-a1b2c3d4e.raw.xz"),
        ("nixos-current-x86_64.img.xz", "nixos-23.11.3019.d9e3f-x86_64.img.xz"),
    ],
)
def test_dated_names_beside_a_link(link: str, listed: str) -> None:
    """A link's file is listed under the name that it leads to; two dates are one too many."""
    assert find_digest(f"{B}  x.iso\n{A}  {listed}\n", link).value == A
    other = listed.replace("2024", "2025").replace("23.11", "24.05")
    with pytest.raises(ChecksumFileUnusable) as caught:
        find_digest(f"{B}  {other}\n{A}  {listed}\n", link)
    assert other in caught.value.reason
    assert listed in caught.value.reason
    with pytest.raises(ChecksumFileUnusable):
        find_digest(f"{A}  {listed.replace('64', '32')}\n{B}  x\n", link)


def test_folders_tell_files_of_one_name_apart() -> None:
    """The entry that shares most folders with the URL; without any, the candidates are named."""
    text = f"{A}  amd64/disk.img\n{B}  arm64/disk.img\n"
    assert find_digest(text, "/release/amd64/disk.img").value == A
    with pytest.raises(ChecksumFileUnusable, match=r"amd64/disk\.img, arm64/disk\.img"):
        find_digest(text, "/disk.img")


@pytest.mark.parametrize(
    ("file_name", "path"),
    [
        ("Leap-Cloud.qcow2.sha256", "/Leap-Cloud.qcow2"),
        ("image.qcow2.sha256sum.txt", "/image.qcow2"),
        ("image.SHA256", "/image.qcow2"),
        ("build-77.img.sha256", "/download"),
        ("image.qcow2-CHECKSUM", "/image.qcow2"),
    ],
)
def test_a_file_plainly_for_one_image(file_name: str, path: str) -> None:
    """It is named after the image, so its single entry is the image's, whatever that is called there."""
    listing = read_listing(f"{A}  build-77.img\n", file_names=(file_name,))
    assert choose(listing, [path], ["sha256"]).value == A
    for name in ("SHA256SUMS", "other.qcow2.sha256"):
        with pytest.raises(ChecksumFileUnusable):
            choose(read_listing(f"{A}  build-77.img\n", file_names=(name,)), ["/x.qcow2"], ["sha256"])


def test_names_of_the_way_count_after_the_submitted_one() -> None:
    """What a source calls its file cannot override the entry under the submitted name."""
    listing = read_listing(f"{A}  x.img\n{B}  y.img\n")
    assert choose(listing, ["/x.img", "/y.img"], ["sha256"]).value == A
    assert choose(listing, ["/latest", "/y.img"], ["sha256"]).value == B


def test_hostile_lines_take_no_time() -> None:
    """Long lines of what grammars repeat are refused within a moment."""
    for piece in (" ", ":", ": ", "(", ") = ", "=", "\\", "a/", "sha256:", "-", "latest"):
        with pytest.raises(ChecksumFileUnusable):
            find_digest("\n".join([piece * (8_000 // len(piece))] * 120), "latest" * 20)
