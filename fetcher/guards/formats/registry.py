"""Every recogniser there is. Adding a format is adding a file and a line here."""

from collections.abc import Callable

from fetcher.guards.formats import (
    bochs,
    bzip2,
    cloop,
    dmg,
    document,
    filesystem,
    gzip,
    iso9660,
    kernel,
    luks,
    lz4,
    ova,
    parallels,
    partitions,
    pkzip,
    qcow1,
    qcow2,
    qed,
    ramdisk,
    sevenzip,
    tar,
    udf,
    vdi,
    vhd,
    vhdx,
    vmdk,
    vmdk_descriptor,
    xz,
    zstandard,
)
from fetcher.guards.formats.report import End, Report

RECOGNISERS: tuple[Callable[[bytes], Report | None], ...] = (
    qcow2.recognise,
    qcow1.recognise,
    qed.recognise,
    vmdk.recognise,
    vmdk_descriptor.recognise,
    vdi.recognise,
    vhd.recognise,
    vhdx.recognise,
    parallels.recognise,
    bochs.recognise,
    cloop.recognise,
    luks.recognise,
    iso9660.recognise,
    udf.recognise,
    ova.recognise,
    tar.recognise,
    gzip.recognise,
    xz.recognise,
    zstandard.recognise,
    bzip2.recognise,
    pkzip.recognise,
    sevenzip.recognise,
    lz4.recognise,
    kernel.recognise,
    ramdisk.recognise,
    partitions.recognise_mbr,
    partitions.recognise_gpt,
    partitions.recognise_apple,
    filesystem.recognise,
    filesystem.recognise_volume,
    filesystem.recognise_hfs,
    document.recognise,
)
"""What looks at the head of every stream."""

END_RECOGNISERS: tuple[Callable[[End], Report | None], ...] = (
    vhd.recognise_end,
    dmg.recognise_end,
    pkzip.recognise_end,
)
"""What looks at the end of raw disks and of discs."""
