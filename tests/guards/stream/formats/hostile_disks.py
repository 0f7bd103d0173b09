"""Disk images that lie or reach outside themselves: each a valid one with one thing spoilt."""

import struct
from collections.abc import Callable
from uuid import UUID

from tests.guards.stream.formats.build import (
    KIB,
    MIB,
    VHDX_BLOCKS,
    VHDX_ITEMS,
    VHDX_METADATA,
    gpt,
    iso,
    parallels,
    patch,
    put,
    qcow2,
    seal_vhd,
    vdi,
    vhd,
    vhd_fixed,
    vhd_footer,
    vhdx,
    vmdk,
    vmdk_descriptor,
    vmdk_stream,
)

Make = Callable[[], bytes]
EXTENSIONS_AT = 112
CLUSTER = 65_536


def _extension(kind: int, value: bytes) -> bytes:
    return struct.pack(">II", kind, len(value)) + value.ljust(-(-len(value) // 8) * 8, b"\0")


def _qcow2_backing(name: bytes) -> bytes:
    return put(patch(qcow2(), 8, ">QI", 512, len(name)), 512, name)


QCOW2: dict[str, Make] = {
    "qcow2-backing-passwd": lambda: _qcow2_backing(b"/etc/passwd"),
    "qcow2-backing-json": lambda: _qcow2_backing(b'json:{"driver":"nbd","host":"127.0.0.1"}'),
    "qcow2-backing-length-only": lambda: patch(qcow2(), 16, ">I", 11),
    "qcow2-backing-v2": lambda: put(patch(qcow2(version=2), 8, ">QI", 512, 11), 512, b"/etc/passwd"),
    "qcow2-data-file-bit": lambda: patch(qcow2(), 72, ">Q", 4),
    "qcow2-data-file-name": lambda: put(qcow2(), EXTENSIONS_AT, _extension(0x44415441, b"/etc/passwd")),
    "qcow2-data-file-both": lambda: put(
        patch(qcow2(), 72, ">Q", 4), EXTENSIONS_AT, _extension(0x44415441, b'json:{"driver":"file"}')
    ),
    "qcow2-corrupt-bit": lambda: patch(qcow2(), 72, ">Q", 2),
    "qcow2-feature-5": lambda: patch(qcow2(), 72, ">Q", 1 << 5),
    "qcow2-feature-63": lambda: patch(qcow2(), 72, ">Q", 1 << 63),
    "qcow2-crypt-aes": lambda: patch(qcow2(), 32, ">I", 1),
    "qcow2-crypt-luks": lambda: patch(qcow2(), 32, ">I", 2),
    "qcow2-crypt-extension": lambda: put(qcow2(), EXTENSIONS_AT, _extension(0x0537BE77, bytes(16))),
    "qcow2-version-0": lambda: patch(qcow2(), 4, ">I", 0),
    "qcow2-version-4": lambda: patch(qcow2(), 4, ">I", 4),
    "qcow2-header-100": lambda: patch(qcow2(), 100, ">I", 100),
    "qcow2-header-huge": lambda: patch(qcow2(), 100, ">I", 0xFFFF_FFFF),
    "qcow2-header-odd": lambda: patch(qcow2(), 100, ">I", 108),
    "qcow2-cluster-bits-8": lambda: patch(qcow2(), 20, ">I", 8),
    "qcow2-cluster-bits-22": lambda: patch(qcow2(), 20, ">I", 22),
    "qcow2-cluster-bits-huge": lambda: patch(qcow2(), 20, ">I", 0xFFFF_FFFF),
    "qcow2-small-subclusters": lambda: qcow2(bits=13, extended=True, size=65_536),
    "qcow2-subclusters-both": lambda: patch(qcow2(extended=True), 4 * CLUSTER + 8, ">Q", 1 << 32 | 1),
    "qcow2-subclusters-nowhere": lambda: patch(qcow2(extended=True), 4 * CLUSTER + 24, ">Q", 1),
    "qcow2-size-0": lambda: patch(qcow2(), 24, ">Q", 0),
    "qcow2-size-overflow": lambda: patch(qcow2(), 24, ">Q", (1 << 64) - 1),
    "qcow2-virtual-2-tib": lambda: patch(patch(qcow2(), 24, ">Q", 2 << 40), 36, ">I", 4096),
    "qcow2-l1-short": lambda: patch(qcow2(), 36, ">I", 0),
    "qcow2-l1-huge": lambda: patch(qcow2(), 36, ">I", 0xFFFF_FFFF),
    "qcow2-l1-beyond": lambda: patch(qcow2(), 40, ">Q", 1 << 40),
    "qcow2-l1-unaligned": lambda: patch(qcow2(), 40, ">Q", 3 * CLUSTER + 512),
    "qcow2-l1-over-header": lambda: patch(qcow2(), 40, ">Q", 0),
    "qcow2-l2-beyond": lambda: patch(qcow2(), 3 * CLUSTER, ">Q", 1 << 40),
    "qcow2-l2-unaligned": lambda: patch(qcow2(), 3 * CLUSTER, ">Q", 4 * CLUSTER + 512),
    "qcow2-data-beyond": lambda: patch(qcow2(), 4 * CLUSTER, ">Q", 1 << 40 | 1 << 63),
    "qcow2-data-unaligned": lambda: patch(qcow2(), 4 * CLUSTER, ">Q", 5 * CLUSTER + 512),
    "qcow2-compressed-beyond": lambda: patch(qcow2(), 4 * CLUSTER, ">Q", 1 << 62 | 1 << 40),
    "qcow2-reftable-0": lambda: patch(qcow2(), 56, ">I", 0),
    "qcow2-reftable-huge": lambda: patch(qcow2(), 56, ">I", 1 << 31),
    "qcow2-reftable-beyond": lambda: patch(qcow2(), 48, ">Q", 1 << 40),
    "qcow2-refcount-order-7": lambda: patch(qcow2(), 96, ">I", 7),
    "qcow2-snapshots-huge": lambda: patch(qcow2(), 60, ">IQ", 1 << 31, 5 * CLUSTER),
    "qcow2-snapshots-beyond": lambda: patch(qcow2(), 60, ">IQ", 10, 1 << 40),
    "qcow2-compression-2": lambda: put(patch(qcow2(), 72, ">Q", 8), 104, b"\2"),
    "qcow2-compression-without-bit": lambda: put(qcow2(), 104, b"\1"),
    "qcow2-extension-endless": lambda: put(
        qcow2(), EXTENSIONS_AT, struct.pack(">II", 0x6803F857, 0xFFFF_FFF0)
    ),
    "qcow2-data-is-l1": lambda: patch(qcow2(), 4 * CLUSTER, ">Q", 3 * CLUSTER | 1 << 63),
    "qcow2-data-twice": lambda: patch(qcow2(), 4 * CLUSTER + 8, ">Q", 5 * CLUSTER | 1 << 63),
    "qcow2-l2-reserved": lambda: patch(qcow2(), 4 * CLUSTER, ">Q", 5 * CLUSTER | 2),
    "qcow2-l1-reserved": lambda: patch(qcow2(), 3 * CLUSTER, ">Q", 4 * CLUSTER | 1),
    "qcow2-cut-header": lambda: qcow2()[:40],
    "qcow2-cut-header-v3": lambda: qcow2()[:90],
    "qcow2-cut-data": lambda: qcow2()[: 5 * CLUSTER],
    "qcow2-cut-l1": lambda: qcow2()[: 3 * CLUSTER],
}


def _descriptor(old: str, new: str) -> bytes:
    text = vmdk_descriptor().decode()
    assert old in text
    return vmdk(descriptor=text.replace(old, new).encode())


def _text(kind: str, extent: str, start: str = "# Disk DescriptorFile\n", newline: str = "\n") -> bytes:
    text = start + f'version=1\nCID=7d0a6f7e\nparentCID=ffffffff\ncreateType="{kind}"\n{extent}\n'
    return text.replace("\n", newline).encode()


FLAT = 'RW 8192 FLAT "/etc/passwd" 0'
VMDK: dict[str, Make] = {
    "vmdk-text-flat": lambda: _text("monolithicFlat", FLAT),
    "vmdk-text-nul-padded": lambda: _text("monolithicFlat", FLAT).ljust(MIB, b"\0"),
    "vmdk-text-crlf": lambda: _text("monolithicFlat", FLAT, newline="\r\n"),
    "vmdk-text-blank-start": lambda: _text("vmfs", FLAT, start="   \n# x\n"),
    "vmdk-text-binary-comment": lambda: _text("monolithicFlat", FLAT, start="#").replace(
        b"#", b"#\xff\0\1\n", 1
    ),
    "vmdk-text-version-only": lambda: b"version=3\n",
    "vmdk-text-no-probe": lambda: b'junk\ncreateType="fullDevice"\nRW 1 FLAT "/dev/sda" 0\n',
    "vmdk-text-device": lambda: _text("fullDevice", 'RW 8192 FLAT "/dev/sda" 0'),
    "vmdk-text-then-disk": lambda: _text("monolithicFlat", FLAT).ljust(512, b"#") + bytes(MIB),
    "vmdk-cowd": lambda: struct.pack("<4sIII", b"COWD", 1, 3, 8192).ljust(64 * KIB, b"\0"),
    "vmdk-embedded-flat": lambda: vmdk(descriptor=vmdk_descriptor("monolithicFlat")),
    "vmdk-embedded-unknown": lambda: vmdk(descriptor=vmdk_descriptor("someNewType")),
    "vmdk-embedded-none": lambda: vmdk(descriptor=b""),
    "vmdk-type-twice": lambda: _descriptor("# Extent", 'createType="vmfs"\n# Extent'),
    "vmdk-type-twice-case": lambda: _descriptor("# Extent", 'CREATETYPE="vmfs"\n# Extent'),
    "vmdk-type-after-nul": lambda: vmdk(descriptor=vmdk_descriptor() + b'\0createType="vmfs"\n'),
    "vmdk-two-extents": lambda: _descriptor("# The Disk", 'RW 8 SPARSE "b.vmdk"\n# The Disk'),
    "vmdk-extent-flat": lambda: _descriptor("SPARSE", "FLAT"),
    "vmdk-extent-lower-case": lambda: _descriptor("# The Disk", 'rw 8 flat "/etc/passwd" 0\n# The Disk'),
    "vmdk-extent-path": lambda: _descriptor('"disk.vmdk"', '"/etc/passwd"'),
    "vmdk-extent-parent-folder": lambda: _descriptor('"disk.vmdk"', '"../disk.vmdk"'),
    "vmdk-extent-backslash": lambda: _descriptor('"disk.vmdk"', '"a\\b.vmdk"'),
    "vmdk-extent-url": lambda: _descriptor('"disk.vmdk"', '"nbd:127.0.0.1:1"'),
    "vmdk-extent-larger": lambda: _descriptor("RW 8192", "RW 8193"),
    "vmdk-parent-hint": lambda: _descriptor("# Extent", 'parentFileNameHint="/etc/passwd"\n# Extent'),
    "vmdk-parent-hint-case": lambda: _descriptor("# Extent", 'PARENTFILENAMEHINT="/etc/passwd"\n# Extent'),
    "vmdk-parent-cid": lambda: _descriptor("parentCID=ffffffff", "parentCID=12345678"),
    "vmdk-capacity-0": lambda: patch(vmdk(), 12, "<Q", 0),
    "vmdk-capacity-overflow": lambda: patch(vmdk(), 12, "<Q", 1 << 63),
    "vmdk-version-4": lambda: patch(vmdk(), 4, "<I", 4),
    "vmdk-grain-3": lambda: patch(vmdk(), 20, "<Q", 3),
    "vmdk-grain-huge": lambda: patch(vmdk(), 20, "<Q", 1 << 40),
    "vmdk-gtes-513": lambda: patch(vmdk(), 44, "<I", 513),
    "vmdk-descriptor-elsewhere": lambda: patch(vmdk(), 28, "<Q", 2),
    "vmdk-descriptor-long": lambda: patch(vmdk(), 36, "<Q", 21),
    "vmdk-descriptor-0": lambda: patch(vmdk(), 36, "<Q", 0),
    "vmdk-ascii-transfer": lambda: put(vmdk(), 73, b"\r \r\n"),
    "vmdk-compression-2": lambda: patch(vmdk(), 77, "<H", 2),
    "vmdk-directory-beyond": lambda: patch(vmdk(), 56, "<Q", 1 << 40),
    "vmdk-directory-in-header": lambda: patch(vmdk(), 56, "<Q", 0),
    "vmdk-table-beyond": lambda: patch(vmdk(), 21 * 512, "<I", 1 << 30),
    "vmdk-grain-beyond": lambda: patch(vmdk(), 22 * 512, "<I", 1 << 30),
    "vmdk-cut-header": lambda: vmdk()[:600],
    "vmdk-cut-grain": lambda: vmdk()[: 128 * 512],
    "vmdk-grain-twice": lambda: patch(vmdk(), 22 * 512, "<II", 128, 128),
    "vmdk-grain-is-table": lambda: patch(vmdk(), 22 * 512, "<I", 22),
    "vmdk-stream-marker": lambda: patch(vmdk_stream(), 128 * 512, "<QI", 127, 100),
    "vmdk-stream-no-markers": lambda: patch(vmdk_stream(), 8, "<I", 0x10001),
    "vmdk-stream-other-tables": lambda: patch(vmdk_stream(), len(vmdk_stream()) - 2048, "<I", 129),
    "vmdk-stream-grain-twice": lambda: patch(vmdk_stream(), len(vmdk_stream()) - 4608, "<II", 128, 128),
    "vmdk-stream-no-footer": lambda: vmdk_stream()[:-1024],
    "vmdk-stream-other-footer": lambda: patch(vmdk_stream(), len(vmdk_stream()) - 1024 + 12, "<Q", 0),
    "vmdk-stream-directory-beyond": lambda: patch(
        vmdk_stream(), len(vmdk_stream()) - 1024 + 56, "<Q", 1 << 40
    ),
    "vmdk-stream-trailing": lambda: vmdk_stream() + b"x" * 512,
    "vmdk-stream-parent": lambda: vmdk_stream(
        descriptor=vmdk_descriptor("streamOptimized") + b'parentFileNameHint="x"\n'
    ),
}

VDI: dict[str, Make] = {
    "vdi-undo": lambda: vdi(kind=3),
    "vdi-differencing": lambda: vdi(kind=4),
    "vdi-version-1-0": lambda: patch(vdi(), 0x44, "<I", 0x10000),
    "vdi-parent": lambda: put(vdi(), 0x1B8, b"p" * 16),
    "vdi-link": lambda: put(vdi(), 0x1A8, b"l" * 16),
    "vdi-block-2-mib": lambda: patch(vdi(), 0x178, "<I", 2 * MIB),
    "vdi-beside-blocks": lambda: patch(vdi(), 0x17C, "<I", 512),
    "vdi-sector-4096": lambda: patch(vdi(), 0x168, "<I", 4096),
    "vdi-size-0": lambda: patch(vdi(), 0x170, "<Q", 0),
    "vdi-size-uncovered": lambda: patch(vdi(), 0x170, "<Q", 4 * MIB + 1),
    "vdi-blocks-huge": lambda: patch(vdi(), 0x180, "<I", 0xFFFF_FFFF),
    "vdi-used-over": lambda: patch(vdi(), 0x184, "<I", 5),
    "vdi-map-unaligned": lambda: patch(vdi(), 0x154, "<I", 513),
    "vdi-map-in-header": lambda: patch(vdi(), 0x154, "<I", 0),
    "vdi-map-beyond": lambda: patch(vdi(), 0x154, "<II", 1 << 30, 1 << 31),
    "vdi-block-twice": lambda: patch(vdi(), 512, "<II", 0, 0),
    "vdi-map-entry-beyond": lambda: patch(vdi(), 512, "<I", 1),
    "vdi-cut-header": lambda: vdi()[:400],
    "vdi-cut-data": lambda: vdi()[:MIB],
    "vdi-signature-alone": lambda: patch(bytes(MIB), 0x40, "<I", 0xBEDA107F),
}


def _vhd_header(at: int, layout: str, value: int, *, image: bytes | None = None) -> bytes:
    """Spoil a field of the dynamic header and make its checksum right again."""
    image = image or vhd()
    return put(image, 512, seal_vhd(patch(image[512:1536], at, layout, value), 36))


def _vhd_footers(at: int, layout: str, value: object) -> bytes:
    """Spoil a field of both footers and make their checksums right again."""
    image = vhd()
    footer = seal_vhd(patch(image[:512], at, layout, value), 64)
    return put(put(image, 0, footer), len(image) - 512, footer)


VHD: dict[str, Make] = {
    "vhd-differencing": lambda: _vhd_footers(60, ">I", 4),
    "vhd-fixed-at-start": lambda: _vhd_footers(60, ">I", 2),
    "vhd-type-9": lambda: _vhd_footers(60, ">I", 9),
    "vhd-size-over": lambda: _vhd_footers(48, ">Q", 3 << 40),
    "vhd-size-0": lambda: _vhd_footers(48, ">Q", 0),
    "vhd-geometry": lambda: _vhd_footers(28, ">4s", b"vpc "),
    "vhd-header-far": lambda: _vhd_footers(16, ">Q", 1 << 50),
    "vhd-header-beyond": lambda: _vhd_footers(16, ">Q", 1 << 30),
    "vhd-footer-checksum": lambda: patch(vhd(), 64, ">I", 1),
    "vhd-header-checksum": lambda: patch(vhd(), 512 + 36, ">I", 1),
    "vhd-header-cookie": lambda: put(vhd(), 512, b"cxsparsE"),
    "vhd-header-version": lambda: _vhd_header(24, ">I", 0x20000),
    "vhd-parent-id": lambda: _vhd_header(40, ">Q", 7),
    "vhd-block-odd": lambda: _vhd_header(32, ">I", 3 * MIB),
    "vhd-block-huge": lambda: _vhd_header(32, ">I", 1 << 31),
    "vhd-table-short": lambda: _vhd_header(28, ">I", 1),
    "vhd-table-huge": lambda: _vhd_header(28, ">I", 0xFFFF_FFFF),
    "vhd-table-beyond": lambda: _vhd_header(16, ">Q", 1 << 40),
    "vhd-table-in-header": lambda: _vhd_header(16, ">Q", 512),
    "vhd-block-in-table": lambda: patch(vhd(), 1536, ">I", 3),
    "vhd-blocks-overlap": lambda: patch(vhd(), 1536, ">II", 4, 5),
    "vhd-block-beyond": lambda: patch(vhd(), 1536, ">I", 1 << 24),
    "vhd-footers-differ": lambda: put(vhd(), len(vhd()) - 512, vhd_footer(size=MIB, kind=3, header_at=512)),
    "vhd-cut-header": lambda: vhd()[:300],
    "vhd-cut-data": lambda: vhd()[: 2 * MIB],
    "vhd-fixed-differencing": lambda: bytes(MIB) + vhd_footer(size=MIB, kind=4, header_at=(1 << 64) - 1),
    "vhd-fixed-checksum": lambda: patch(vhd_fixed(bytes(MIB)), MIB + 64, ">I", 1),
    "vhd-fixed-too-small": lambda: bytes(MIB) + vhd_footer(size=2 * MIB, kind=2, header_at=(1 << 64) - 1),
}


def _item(name: str, value: bytes, flags: int = 6, identifier: str = "") -> bytes:
    known = identifier or VHDX_ITEMS[name][0]
    return vhdx(items=VHDX_ITEMS | {name: (known, value, flags)})


UNKNOWN_ID = str(UUID(int=99))
REGIONS = [(VHDX_BLOCKS, 3 * MIB, MIB, 1), (VHDX_METADATA, 2 * MIB, MIB, 1)]
VHDX: dict[str, Make] = {
    "vhdx-log": lambda: vhdx(log=UUID(int=1)),
    "vhdx-has-parent": lambda: _item("parameters", struct.pack("<II", MIB, 2), 4),
    "vhdx-parent-locator": lambda: _item(
        "locator", bytes(20), 4, identifier="a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
    ),
    "vhdx-partly-present": lambda: vhdx(blocks=(4 << 20 | 7,)),
    "vhdx-block-in-table": lambda: vhdx(blocks=(3 << 20 | 6,)),
    "vhdx-block-in-log": lambda: vhdx(blocks=(1 << 20 | 6,)),
    "vhdx-item-unknown-required": lambda: _item("x", bytes(8), 4, identifier=UNKNOWN_ID),
    "vhdx-item-missing": lambda: vhdx(items={k: v for k, v in VHDX_ITEMS.items() if k != "size"}),
    "vhdx-item-twice": lambda: _item("size-again", bytes(8), 6, identifier=VHDX_ITEMS["size"][0]),
    "vhdx-item-long": lambda: _item("size", bytes(16)),
    "vhdx-region-unknown-required": lambda: vhdx(regions=[*REGIONS, (UNKNOWN_ID, 4 * MIB, MIB, 1)]),
    "vhdx-region-missing": lambda: vhdx(regions=REGIONS[:1]),
    "vhdx-region-twice": lambda: vhdx(regions=[*REGIONS, REGIONS[0]]),
    "vhdx-region-unaligned": lambda: vhdx(regions=[(VHDX_BLOCKS, 3 * MIB + 1, MIB, 1), REGIONS[1]]),
    "vhdx-region-low": lambda: vhdx(regions=[(VHDX_BLOCKS, 0, MIB, 1), REGIONS[1]]),
    "vhdx-region-beyond": lambda: vhdx(regions=[(VHDX_BLOCKS, 3 << 40, MIB, 1), REGIONS[1]]),
    "vhdx-regions-overlap": lambda: vhdx(regions=[(VHDX_BLOCKS, 2 * MIB, MIB, 1), REGIONS[1]]),
    "vhdx-metadata-beyond": lambda: vhdx(regions=[REGIONS[0], (VHDX_METADATA, 64 * MIB, MIB, 1)]),
    "vhdx-region-in-log": lambda: vhdx(regions=[REGIONS[0], (VHDX_METADATA, MIB, MIB, 1)]),
    "vhdx-metadata-signature": lambda: put(vhdx(), 2 * MIB, b"METADATA"),
    "vhdx-metadata-count": lambda: patch(vhdx(), 2 * MIB + 10, "<H", 2048),
    "vhdx-regions-differ": lambda: patch(vhdx(), 256 * KIB + 4, "<I", 0),
    "vhdx-regions-checksum": lambda: patch(patch(vhdx(), 192 * KIB + 4, "<I", 0), 256 * KIB + 4, "<I", 0),
    "vhdx-headers-damaged": lambda: put(put(vhdx(), 64 * KIB, b"HEAD"), 128 * KIB, b"HEAD"),
    "vhdx-sector-520": lambda: _item("logical", struct.pack("<I", 520)),
    "vhdx-block-odd": lambda: _item("parameters", struct.pack("<II", 3 * MIB, 0), 4),
    "vhdx-size-0": lambda: _item("size", struct.pack("<Q", 0)),
    "vhdx-size-over": lambda: _item("size", struct.pack("<Q", 65 << 40)),
    "vhdx-size-odd": lambda: _item("size", struct.pack("<Q", 4 * MIB + 1)),
    "vhdx-table-short": lambda: _item("size", struct.pack("<Q", 1 << 39)),
    "vhdx-virtual-2-tib": lambda: vhdx(
        items=VHDX_ITEMS
        | {
            "size": (VHDX_ITEMS["size"][0], struct.pack("<Q", 2 << 40), 6),
            "parameters": (VHDX_ITEMS["parameters"][0], struct.pack("<II", 256 * MIB, 0), 4),
        }
    ),
    "vhdx-block-in-headers": lambda: vhdx(blocks=(6,)),
    "vhdx-block-twice": lambda: vhdx(blocks=(4 << 20 | 6,) * 4),
    "vhdx-block-beyond": lambda: vhdx(blocks=(1 << 40 | 6,)),
    "vhdx-cut-headers": lambda: vhdx()[: 100 * KIB],
    "vhdx-cut-metadata": lambda: vhdx()[: 2 * MIB + 100],
    "vhdx-cut-data": lambda: vhdx()[: 4 * MIB],
}


def _few_clusters_for_many() -> bytes:
    """Make a small image with two windows of a table, whose clusters are named again in the second."""
    entries = 2 * 16_384
    image = bytearray(parallels(sectors=entries, cluster=1))
    end = -(-(64 + 4 * entries) // 512)
    places = range(end, end + 16_384)
    struct.pack_into(f"<{entries}I", image, 64, *places, *places)
    return bytes(image) + bytes(512 * (end + 16_384) - len(image))


def _qed(*, features: int = 0, backing: bytes = b"") -> bytes:
    """Make a QED image of 4 MiB with one cluster of data: header, L1 table, L2 table, data."""
    cluster = 65_536
    header = struct.pack("<4sIIIQQQQQ", b"QED\0", cluster, 1, 1, features, 0, 0, cluster, 4 * MIB)
    header += struct.pack("<II", 512 if backing else 0, len(backing))
    image = bytearray(4 * cluster)
    image[: len(header)] = header
    image[512 : 512 + len(backing)] = backing
    struct.pack_into("<Q", image, cluster, 2 * cluster)
    struct.pack_into("<Q", image, 2 * cluster, 3 * cluster)
    return bytes(image)


PARALLELS: dict[str, Make] = {
    "parallels-in-use": lambda: patch(parallels(), 44, "<I", 0x746F6E59),
    "parallels-extension": lambda: patch(parallels(), 56, "<Q", 1),
    "parallels-version-3": lambda: patch(parallels(), 16, "<I", 3),
    "parallels-cluster-0": lambda: patch(parallels(), 28, "<I", 0),
    "parallels-size-0": lambda: patch(parallels(), 36, "<Q", 0),
    "parallels-uncovered": lambda: patch(parallels(), 36, "<Q", 1 << 20),
    "parallels-cluster-beyond": lambda: patch(parallels(), 64, "<I", 1 << 20),
    "parallels-cut-header": lambda: parallels()[:40],
    "parallels-cluster-twice": lambda: patch(parallels(), 64, "<IIII", 1, 1, 1, 1),
    "parallels-cluster-in-table": lambda: patch(parallels(cluster=1, sectors=256), 64, "<I", 1),
    "parallels-clusters-overlap": lambda: patch(parallels(magic=b"WithoutFreeSpace"), 64, "<II", 2048, 2049),
    "parallels-small-and-huge": _few_clusters_for_many,
    "parallels-entries-huge": lambda: patch(parallels(), 32, "<I", 0xFFFF_FFFF),
    "parallels-data-beyond": lambda: patch(parallels(), 48, "<I", 1 << 30),
}

DISCS: dict[str, Make] = {
    "iso-numbers-differ": lambda: patch(iso(), 32768 + 80, "<I", 33),
    "iso-block-4096": lambda: put(iso(), 32768 + 128, struct.pack("<H", 4096) + struct.pack(">H", 4096)),
    "iso-root-outside": lambda: iso(root=32),
    "iso-no-end": lambda: put(iso(), 32768 + 2048, bytes(7)),
    "iso-no-primary": lambda: put(iso(), 32768, b"\2"),
    "iso-cut": lambda: iso(blocks=64)[:65_536],
    "iso-cut-descriptor": lambda: iso()[: 32768 + 100],
    "gpt-cut": lambda: gpt(said=2 * MIB),
}

QED: dict[str, Make] = {
    "qed-plain": _qed,
    "qed-backing": lambda: _qed(features=1, backing=b"/etc/passwd"),
    "qed-backing-raw": lambda: _qed(features=5, backing=b"/etc/passwd"),
    "qed-tables-of-themselves": lambda: put(_qed(), 65_536, struct.pack("<QQ", 65_536, 0)),
    "qed-cluster-0": lambda: patch(_qed(), 4, "<I", 0),
    "qed-features-unknown": lambda: _qed(features=1 << 40),
}
HOSTILE_DISKS: dict[str, Make] = QCOW2 | VMDK | VDI | VHD | VHDX | PARALLELS | QED | DISCS
