"""Programs that tests need, and what brings them: without one, a test is skipped by its package's name."""

import os
import shutil

import pytest

BEYOND_PATH = "/usr/sbin:/sbin"  # Those that format disks lie where not every user looks.
PACKAGES = {
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "7z": "p7zip-full",
    "advzip": "advancecomp",
    "ar": "binutils",
    "bsdtar": "libarchive-tools",
    "cryptsetup": "cryptsetup-bin",
    "dtc": "device-tree-compiler",
    "mformat": "mtools",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.erofs": "erofs-utils",
    "mkfs.exfat": "exfatprogs",
    "mkfs.ext2": "e2fsprogs",
    "mkfs.f2fs": "f2fs-tools",
    "mkfs.fat": "dosfstools",
    "mkfs.jfs": "jfsutils",
    "mkfs.nilfs2": "nilfs-tools",
    "mkfs.ntfs": "ntfs-3g",
    "mkfs.reiserfs": "reiserfsprogs",
    "mkimage": "u-boot-tools",
    "mksquashfs": "squashfs-tools",
    "mkudffs": "udftools",
    "uncompress.real": "ncompress",
    "wimcapture": "wimtools",
    "xz": "xz-utils",
    **dict.fromkeys(("mkfs.bfs", "mkfs.cramfs", "mkfs.minix", "mkswap"), "util-linux"),
}
"""Debian's packages, of the programs that are not named like theirs."""


def skip_without(item: pytest.Item) -> None:
    """Skip a test that is marked to need a program which is not installed."""
    where = f"{os.environ.get('PATH', '')}:{BEYOND_PATH}"
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if shutil.which(program, path=where) is None:
                pytest.skip(f"{program} is not installed (package {PACKAGES.get(program, program)})")
