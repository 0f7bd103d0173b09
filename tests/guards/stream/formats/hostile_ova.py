"""Appliances: good ones, and those that reach outside themselves."""

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Callable

from tests.guards.stream.formats.build import iso, parallels, put, qcow2, vhdx, vmdk, vmdk_stream
from tests.guards.stream.formats.hostile_tar import tars

Make = Callable[[], bytes]
OVF = (
    '<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" '
    'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>{files}</References>'
    "<DiskSection><Info/>{disks}</DiskSection></Envelope>"
)
FILE = '<File ovf:id="f" ovf:href="{name}"/>'
DISK = (
    '<Disk ovf:capacity="{size}" ovf:capacityAllocationUnits="{unit}" ovf:diskId="d" ovf:fileRef="f"{more}/>'
)


def ovf(
    name: str = "disk.vmdk", *, size: str = "4", unit: str = "byte * 2^20", more: str = "", before: str = ""
) -> bytes:
    """Make a descriptor with one file and one disk."""
    text = OVF.format(files=FILE.format(name=name), disks=DISK.format(size=size, unit=unit, more=more))
    return text.replace("?>", "?>" + before, 1).encode()


def ova(
    *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, form: int = tarfile.USTAR_FORMAT
) -> bytes:
    """Make a tar archive; all members but the first are of `kind`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for number, (name, content) in enumerate(members):
            member = tarfile.TarInfo(name)
            member.type = kind if number else tarfile.REGTYPE
            member.size = len(content)
            member.linkname = "/etc/passwd" if member.islnk() or member.issym() else ""
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def good_ova(disk: bytes = b"", *, name: str = "disk.vmdk", descriptor: bytes = b"") -> bytes:
    """Make an appliance of one disk."""
    return ova(("a.ovf", descriptor or ovf(name)), (name, disk or vmdk_stream()))


def manifest(disk: bytes) -> bytes:
    """Make the manifest of an appliance of one disk."""
    digests = {"a.ovf": hashlib.sha256(ovf()).hexdigest(), "disk.vmdk": hashlib.sha256(disk).hexdigest()}
    return "".join(f"SHA256({name})= {digest}\n" for name, digest in digests.items()).encode()


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
OVAS: dict[str, Make] = {
    "ova-good": good_ova,
    "ova-good-dot": lambda: ova(("./a.ovf", ovf()), ("./disk.vmdk", vmdk_stream())),
    "ova-good-manifest": lambda: ova(
        ("a.ovf", ovf()), ("a.mf", manifest(disk=vmdk())), ("disk.vmdk", vmdk())
    ),
    "ova-good-late-manifest": lambda: ova(
        ("a.ovf", ovf()), ("disk.vmdk", vmdk()), ("a.mf", manifest(disk=vmdk()))
    ),
    "ova-other-manifest": lambda: ova(
        ("a.ovf", ovf()), ("disk.vmdk", vmdk()), ("a.mf", manifest(disk=vmdk_stream()))
    ),
    "ova-iso-member": lambda: good_ova(iso(), name="cd.iso"),
    "ova-text-vmdk": lambda: good_ova(b'# Disk DescriptorFile\nversion=1\ncreateType="vmfs"\n'),
    "ova-backing-qcow2": lambda: good_ova(put(qcow2(), 8, struct.pack(">QI", 512, 11))),
    "ova-stream-no-footer": lambda: good_ova(vmdk_stream()[:-1024]),
    "ova-packed-disk": lambda: good_ova(gzip.compress(vmdk_stream())),
    "ova-vhdx-disk": lambda: good_ova(vhdx()),
    "ova-parallels-disk": lambda: good_ova(parallels()),
    "ova-qed-disk": lambda: good_ova(b"QED\0".ljust(65_536, b"\0")),
    "ova-polyglot-disk": lambda: good_ova(put(iso(), 0, qcow2()[:4096])),
    "ova-path": lambda: ova(("a.ovf", ovf()), ("../disk.vmdk", vmdk_stream())),
    "ova-absolute": lambda: ova(("a.ovf", ovf()), ("/disk.vmdk", vmdk_stream())),
    "ova-prefix-path": lambda: ova(("a.ovf", ovf()), ("d" * 90 + "/" + "e" * 50, vmdk_stream())),
    "ova-symlink": lambda: ova(("a.ovf", ovf()), ("disk.vmdk", b""), kind=tarfile.SYMTYPE),
    "ova-hardlink": lambda: ova(("a.ovf", ovf()), ("disk.vmdk", b""), kind=tarfile.LNKTYPE),
    "ova-device": lambda: ova(("a.ovf", ovf()), ("disk.vmdk", b""), kind=tarfile.BLKTYPE),
    "ova-folder": lambda: ova(("a.ovf", ovf()), ("disk.vmdk", b""), kind=tarfile.DIRTYPE),
    "ova-sparse": lambda: ova(("a.ovf", ovf()), ("disk.vmdk", b""), kind=tarfile.GNUTYPE_SPARSE),
    "ova-long-name": lambda: ova(("a.ovf", ovf()), ("x" * 200, b"x"), form=tarfile.GNU_FORMAT),
    "ova-pax-path": lambda: ova(("a.ovf", ovf()), ("x" * 200, b"x"), form=tarfile.PAX_FORMAT),
    "ova-same-name": lambda: ova(("a.ovf", ovf()), ("disk.vmdk", vmdk()), ("disk.vmdk", vmdk())),
    "ova-two-descriptors": lambda: ova(("a.ovf", ovf()), ("b.ovf", ovf()), ("disk.vmdk", vmdk())),
    "ova-1025-members": lambda: ova(("a.ovf", ovf()), *((f"{number}", b"") for number in range(1024))),
    "ova-entities": lambda: good_ova(descriptor=ovf(before=ENTITIES)),
    "ova-no-xml": lambda: good_ova(descriptor=b"<Envelope>"),
    "ova-descriptor-empty": lambda: ova(("a.ovf", b""), ("disk.vmdk", vmdk())),
    "ova-descriptor-long": lambda: good_ova(descriptor=ovf() + b" " * (1 << 20)),
    "ova-href-url": lambda: good_ova(descriptor=ovf("http://192.0.2.1/disk.vmdk")),
    "ova-href-path": lambda: good_ova(descriptor=ovf("../disk.vmdk")),
    "ova-href-missing": lambda: good_ova(descriptor=ovf("other.vmdk")),
    "ova-parent-disk": lambda: good_ova(descriptor=ovf(more=' ovf:parentRef="d0"')),
    "ova-good-no-parent": lambda: good_ova(descriptor=ovf(more=' ovf:parentRef=""')),
    "ova-chunks": lambda: good_ova(descriptor=_with_file(b' ovf:chunkSize="9"')),
    "ova-compression": lambda: good_ova(descriptor=_with_file(b' ovf:compression="bzip2"')),
    "ova-capacity-text": lambda: good_ova(descriptor=ovf(size="many")),
    "ova-capacity-unit": lambda: good_ova(descriptor=ovf(unit="furlong")),
    "ova-capacity-overflow": lambda: good_ova(descriptor=ovf(size="9" * 19)),
    "ova-capacity-property": lambda: good_ova(descriptor=ovf(size="${size}")),
    "ova-virtual-2-tib": lambda: good_ova(descriptor=ovf(size="2", unit="byte * 2^40")),
    "ova-cut": lambda: good_ova()[:-20_000],
    "ova-no-end": lambda: good_ova().rstrip(b"\0"),
    "ova-damaged-header": lambda: put(good_ova(), 1024, b"x"),
    "ova-trailing": lambda: good_ova() + b"x",
    "ova-only-descriptor": lambda: ova(("a.ovf", ovf())),
    "ova-size-binary": lambda: put_size(b"\x80" + (1 << 60).to_bytes(11, "big")),
    "ova-size-nonsense": lambda: put_size(b"abc".ljust(12, b"\0")),
    **tars(ovf),
}


def _with_file(more: bytes) -> bytes:
    """Make a descriptor whose file has one attribute more."""
    return ovf().replace(b'ovf:id="f"', b'ovf:id="f"' + more)


def put_size(field: bytes) -> bytes:
    """Make an appliance whose second member says to be of this size."""
    image = ova(("a.ovf", ovf("b")), ("b", b""))
    at = 1024
    block = bytearray(image[at : at + 512])
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return put(image, at, bytes(block))
