"""Every recogniser there is. Adding a format is adding a file and a line here."""

from collections.abc import Callable

from fetcher.guards.stream.formats.archives import ova, pkzip, sevenzip, tar
from fetcher.guards.stream.formats.disks import parallels, qcow2, vdi, vhd, vhdx, vmdk, vmdk_descriptor
from fetcher.guards.stream.formats.packed import bzip2, gzip, lz4, xz, zstandard
from fetcher.guards.stream.formats.raw import filesystem, iso9660, kernel, partitions, ramdisk, udf
from fetcher.guards.stream.formats.refused import bochs, cloop, cow, dmg, document, luks, qcow1, qed
from fetcher.guards.stream.formats.report import End, Report
from fetcher.parsers.archives import skippable

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
    cow.recognise,
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
    partitions.recognise_label,
    filesystem.recognise,
    filesystem.recognise_volume,
    filesystem.recognise_hfs,
    document.recognise,
)
"""Recognisers that look at the head of every stream, where `BEGINNINGS` leaves something to find."""

BEGINNINGS: dict[Callable[[bytes], Report | None], tuple[tuple[bytes, ...], int]] = {
    qcow2.recognise: ((qcow2.MAGIC,), 0),
    qcow1.recognise: ((qcow2.MAGIC,), 0),
    qed.recognise: ((b"QED\0",), 0),
    vmdk.recognise: ((vmdk.SPARSE, vmdk.ESX), 0),
    vdi.recognise: ((vdi.SIGNATURE,), vdi.SIGNATURE_AT),
    vhd.recognise: ((vhd.COOKIE,), 0),
    vhdx.recognise: ((vhdx.MAGIC,), 0),
    parallels.recognise: ((parallels.OLD, parallels.EXTENDED), 0),
    bochs.recognise: ((bochs.MAGIC,), 0),
    cloop.recognise: ((cloop.MAGIC,), 0),
    cow.recognise: ((cow.MAGIC,), 0),
    luks.recognise: ((luks.MAGIC,), 0),
    gzip.recognise: ((gzip.MAGIC,), 0),
    xz.recognise: ((xz.MAGIC,), 0),
    bzip2.recognise: ((bzip2.MAGIC,), 0),
    pkzip.recognise: (pkzip.STARTS, 0),
    sevenzip.recognise: ((sevenzip.MAGIC,), 0),
    lz4.recognise: ((lz4.FRAME, lz4.LEGACY, *skippable.MAGICS), 0),
    partitions.recognise_mbr: ((b"\x55\xaa",), 510),
    partitions.recognise_apple: ((b"ER",), 0),
    filesystem.recognise_hfs: ((b"H+", b"HX", b"BD"), 1024),
}
"""The bytes, and their place, without which a recogniser finds nothing: it is not asked about other heads."""

END_RECOGNISERS: tuple[Callable[[End], Report | None], ...] = (
    vhd.recognise_end,
    dmg.recognise_end,
    pkzip.recognise_end,
)
"""Recognisers that look at the end of raw disks, of disk images, of discs and of gzip archives."""
