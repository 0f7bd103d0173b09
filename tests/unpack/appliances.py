"""Makes appliances, honest and hostile."""

import hashlib
import io
import tarfile
from collections.abc import Iterable

from tests.unpack.making import make_disk

DISK = b"KDMV" + make_disk(60_000)[4:]
SECOND = b"KDMV" + make_disk(30_000, seed=9)[4:]

ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vbox="http://www.virtualbox.org/ovf/machine">
<References>{files}</References>
<DiskSection><Info>Disks</Info>{disks}</DiskSection>
<VirtualSystem ovf:id="vm"><Info>A machine</Info>
<OperatingSystemSection ovf:id="94" {os}>
<Info>OS</Info>
<Description>{words}</Description></OperatingSystemSection>
<VirtualHardwareSection><Info>Hardware</Info>
{items}{config}
</VirtualHardwareSection></VirtualSystem></Envelope>
"""
FILE = '<File ovf:href="disk1.vmdk" ovf:id="file1"/>'
VMDK = 'ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"'
DISK_LINE = (
    '<Disk ovf:capacity="20" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="d1"'
    f' ovf:fileRef="file1" {VMDK}/>'
)
MEMORY = (
    "<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>"
    "<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>"
)
CPU = (
    "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"
    "<rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>"
)


def item(kind: int, instance: str, sub: str = "", more: str = "") -> str:
    """Make a hardware item."""
    subtype = f"<rasd:ResourceSubType>{sub}</rasd:ResourceSubType>" if sub else ""
    return (
        f"<Item><rasd:InstanceID>{instance}</rasd:InstanceID>{subtype}"
        f"<rasd:ResourceType>{kind}</rasd:ResourceType>{more}</Item>"
    )


def drive(disk: str, parent: str) -> str:
    """Make the item of a disk."""
    more = f"<rasd:HostResource>ovf:/disk/{disk}</rasd:HostResource><rasd:Parent>{parent}</rasd:Parent>"
    return item(17, f"drive-{disk}", more=more)


ITEMS = CPU + MEMORY + item(6, "3", "lsilogic") + item(10, "7", "VmxNet3") + drive("d1", "3")


def descriptor(
    *,
    files: str = FILE,
    disks: str = DISK_LINE,
    items: str = ITEMS,
    config: str = "",
    os: str = 'vmw:osType="ubuntu64Guest"',
    words: str = "",
) -> bytes:
    """Make a descriptor."""
    return ENVELOPE.format(files=files, disks=disks, items=items, config=config, os=os, words=words).encode()


def two_disks() -> bytes:
    """Make a descriptor of two disks, the second attached first."""
    return descriptor(
        files=FILE + '<File ovf:href="disk2.vmdk" ovf:id="file2"/>',
        disks=DISK_LINE + DISK_LINE.replace("d1", "d2").replace("file1", "file2").replace('"20"', '"5"'),
        items=ITEMS.replace(drive("d1", "3"), drive("d2", "3") + drive("d1", "3")),
    )


Members = list[tuple[str, bytes]]


def appliance(ovf: bytes | None = None, *more: tuple[str, bytes]) -> Members:
    """List the members of an appliance."""
    return [("vm.ovf", descriptor() if ovf is None else ovf), ("disk1.vmdk", DISK), *more]


def manifest(members: Iterable[tuple[str, bytes]], algorithm: str = "SHA256") -> tuple[str, bytes]:
    """Make the manifest of members."""
    lines = (f"{algorithm}({name})= {hashlib.new(algorithm, text).hexdigest()}\n" for name, text in members)
    return ("vm.mf", "".join(lines).encode())


def strange(kind: bytes, name: str = "x", link: str = "") -> bytes:
    """Make one member of a kind that is no file."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return target.getvalue()[:512]
