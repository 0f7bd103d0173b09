"""Every recogniser there is. Adding a format is adding a file and a line here."""

from collections import defaultdict
from collections.abc import Callable

from fetcher.guards.stream.formats.archives import ova, pkzip, sevenzip, tar, zip_records
from fetcher.guards.stream.formats.disks import parallels, qcow2, vdi, vhd, vhdx, vmdk, vmdk_descriptor
from fetcher.guards.stream.formats.packed import bzip2, gzip, lz4, xz, zstandard
from fetcher.guards.stream.formats.raw import filesystem, iso9660, kernel, partitions, ramdisk, udf
from fetcher.guards.stream.formats.refused import bochs, cloop, cow, dmg, document, luks, qcow1, qed
from fetcher.guards.stream.formats.report import End, Report
from fetcher.guards.stream.formats.stream import TAIL_BYTES
from fetcher.parsers.archives import skippable
from fetcher.parsers.archives.tar_headers import CHECKSUM, NUMBER_STARTS

Recogniser = Callable[[bytes], Report | None]

RECOGNISERS: tuple[Recogniser, ...] = (
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
"""Recognisers that look at the head of every stream, where `SIGNS` leave something to find."""

SIGNS: dict[Recogniser, tuple[tuple[int, tuple[bytes, ...]], ...]] = {
    qcow2.recognise: ((0, (qcow2.MAGIC,)),),
    qcow1.recognise: ((0, (qcow2.MAGIC,)),),
    qed.recognise: ((0, (b"QED\0",)),),
    vmdk.recognise: ((0, (vmdk.SPARSE, vmdk.ESX)),),
    vmdk_descriptor.recognise: ((0, vmdk_descriptor.STARTS),),
    vdi.recognise: ((vdi.SIGNATURE_AT, (vdi.SIGNATURE,)),),
    vhd.recognise: ((0, (vhd.COOKIE,)),),
    vhdx.recognise: ((0, (vhdx.MAGIC,)),),
    parallels.recognise: ((0, (parallels.OLD, parallels.EXTENDED)),),
    bochs.recognise: ((0, (bochs.MAGIC,)),),
    cloop.recognise: ((0, (cloop.MAGIC,)),),
    cow.recognise: ((0, (cow.MAGIC,)),),
    luks.recognise: ((0, (luks.MAGIC,)),),
    iso9660.recognise: iso9660.SIGNS,
    udf.recognise: udf.SIGNS,
    ova.recognise: ((CHECKSUM.start, NUMBER_STARTS),),
    tar.recognise: ((CHECKSUM.start, NUMBER_STARTS),),
    gzip.recognise: ((0, (gzip.MAGIC,)),),
    xz.recognise: ((0, (xz.MAGIC,)),),
    zstandard.recognise: ((0, (zstandard.MAGIC, *skippable.MAGICS)),),
    bzip2.recognise: ((0, (bzip2.MAGIC,)),),
    pkzip.recognise: ((0, pkzip.STARTS),),
    sevenzip.recognise: ((0, (sevenzip.MAGIC,)),),
    lz4.recognise: ((0, (lz4.FRAME, lz4.LEGACY, *skippable.MAGICS)),),
    kernel.recognise: kernel.SIGNS,
    ramdisk.recognise: ((0, (kernel.UIMAGE, *ramdisk.MAGICS)),),
    partitions.recognise_mbr: ((510, (b"\x55\xaa",)),),
    partitions.recognise_gpt: tuple((sector, (b"EFI PART",)) for sector in partitions.GPT_SECTORS),
    partitions.recognise_apple: ((0, (b"ER",)),),
    partitions.recognise_label: tuple((at, (magic,)) for at, magic, _name in partitions.LABELS),
    filesystem.recognise: filesystem.SIGNS,
    filesystem.recognise_volume: tuple((at, (magic,)) for at, magic, _name in filesystem.VOLUMES),
    filesystem.recognise_hfs: ((1_024, (b"H+", b"HX", b"BD")),),
    document.recognise: document.SIGNS,
}
"""Places, and bytes of which one has to be there: without any of them a recogniser finds nothing, and is not
asked. One that has no line here is asked about every head."""

IN_TEXT = frozenset({vmdk_descriptor.recognise, document.recognise})
"""Recognisers that are asked about what may be text, too, whatever it begins with."""

BEHIND_RECOGNISERS: tuple[Callable[[bytes, int], Report | None], ...] = (
    filesystem.recognise_behind,
    kernel.recognise_behind,
)
"""Recognisers that look just behind the head where nothing was found in it."""

BEHIND_SIGNS: dict[Callable[[bytes, int], Report | None], tuple[tuple[int, bytes], ...]] = {
    filesystem.recognise_behind: tuple((at, magic) for at, magic, _name in filesystem.BEHIND),
    kernel.recognise_behind: ((kernel.S390_AT, kernel.S390_MAGIC),),
}
"""Places, and the bytes that have to be there: as `SIGNS` for the head."""

END_RECOGNISERS: tuple[Callable[[End], Report | None], ...] = (
    vhd.recognise_end,
    dmg.recognise_end,
    pkzip.recognise_end,
)
"""Recognisers that look at the end of raw disks, of disk images, of discs and of gzip archives."""

END_SIGNS: dict[Callable[[End], Report | None], tuple[bytes, int]] = {
    vhd.recognise_end: (vhd.COOKIE, vhd.FOOTER_BYTES),
    dmg.recognise_end: (dmg.MAGIC, dmg.SEARCHED_BYTES),
    pkzip.recognise_end: (zip_records.END_MAGIC, TAIL_BYTES),
}
"""The bytes, and the last so many among which they have to be: as `SIGNS` for the head."""

Place = tuple[int, tuple[bytes, ...], tuple[tuple[tuple[bytes, ...], Recogniser], ...]]


def _by_place() -> tuple[Place, ...]:
    """Return the signs in the order of their places, so that each place is looked at once."""
    found: defaultdict[int, list[tuple[tuple[bytes, ...], Recogniser]]] = defaultdict(list)
    for recognise, signs in SIGNS.items():
        for at, magics in signs:
            found[at].append((magics, recognise))
    return tuple(
        (at, tuple({magic for magics, _recognise in here for magic in magics}), tuple(here))
        for at, here in sorted(found.items())
    )


BY_PLACE = _by_place()
"""All signs by their places, and the recognisers that need them."""
