"""Real images made on the spot, and two that are not what they claim."""

import gzip
import hashlib
import lzma
import random
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

BOOT_ISO = Path("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
MIB = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One file that the demo submits.

    Args:
        words: What it is, for people.
        ends: `ok`, or the code that it should be refused with.
        options: Further options of `fetcher submit`.
        kept: The digest of the image, where that is not the file itself.
        marker: What its image prints when it boots; empty where that is not tried.
    """

    file: Path
    words: str
    ends: str = "ok"
    options: tuple[str, ...] = ()
    kept: str = ""
    marker: str = ""


def make_exhibits(folder: Path) -> list[Exhibit]:
    """Make all that this machine has the tools for."""
    exhibits: list[Exhibit] = []
    raw = _raw_disk(folder / "disk.raw")
    if BOOT_ISO.exists():
        exhibits.append(_boot_iso(folder))
    if shutil.which("qemu-img"):
        exhibits.append(_qcow2(raw, folder / "server.qcow2"))
    exhibits.append(_compressed(raw, folder / "appliance.raw.gz"))
    if shutil.which("qemu-img"):
        exhibits += [_packed_qcow2(folder), _appliance(folder)]
        exhibits.append(_thief(folder / "thief.qcow2"))
    exhibits.append(_login_page(folder / "cloud.qcow2"))
    raw.unlink()
    return exhibits


def sha256_of(path: Path) -> str:
    """The digest of a file, in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _raw_disk(path: Path) -> Path:
    """Make a disk of 64 MiB with a partition table and 20 MiB that do not compress."""
    first, count = (2048).to_bytes(4, "little"), (128_000).to_bytes(4, "little")
    sector = bytearray(512)
    sector[446:462] = bytes([0x80, 0x20, 0x21, 0, 0x83, 0x28, 0x20, 8]) + first + count
    sector[510:512] = b"\x55\xaa"
    with path.open("wb") as file:
        file.write(sector)
        file.seek(MIB)
        file.write(random.Random(2015).randbytes(20 * MIB))
        file.truncate(64 * MIB)
    return path


def _boot_iso(folder: Path) -> Exhibit:
    file = folder / "grub-rescue.iso"
    shutil.copyfile(BOOT_ISO, file)
    promised = ("--name", "GRUB rescue CD", "--checksum", f"sha256:{sha256_of(file)}")
    return Exhibit(file=file, words="A boot ISO, with the publisher's checksum", options=promised)


def _qcow2(raw: Path, file: Path) -> Exhibit:
    _qemu_img("convert", "-f", "raw", "-O", "qcow2", str(raw), str(file))
    return Exhibit(file=file, words="A qcow2 disk; its format is found out from its bytes")


def _compressed(raw: Path, file: Path) -> Exhibit:
    with raw.open("rb") as plain, gzip.GzipFile(file, "wb", compresslevel=1, mtime=0) as packed:
        shutil.copyfileobj(plain, packed, MIB)
    options = ("--container-format", "compressed")
    return Exhibit(file=file, words="A compressed raw disk, kept as it is sent", options=options)


# Prints the text behind it through the firmware, and stops.
BOOT_CODE = bytes.fromhex("31c0 8ed8 fc be167c ac 84c0 7406 b40e cd10 ebf5 f4 ebfd")
BOOTED = "Hello from a packed image."


def _boot_disk(path: Path, text: str = BOOTED) -> Path:
    """Make a disk of 16 MiB that boots and says so."""
    sector = bytearray(512)
    code = BOOT_CODE + text.encode() + b"\r\n\0"
    sector[: len(code)] = code
    sector[446:462] = bytes.fromhex("80000200 83feffff 01000000 ff7f0000")
    sector[510:] = b"\x55\xaa"
    path.write_bytes(bytes(sector) + random.Random(text).randbytes(MIB))
    with path.open("r+b") as file:
        file.truncate(16 * MIB)
    return path


def _packed_qcow2(folder: Path) -> Exhibit:
    raw = _boot_disk(folder / "boot.raw", "Hello from inside xz.")
    image, file = folder / "boot.qcow2", folder / "server.qcow2.xz"
    _qemu_img("convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    file.write_bytes(lzma.compress(image.read_bytes(), preset=1))
    kept = sha256_of(image)
    promised = ("--checksum", f"sha256:{sha256_of(file)}")
    raw.unlink()
    image.unlink()
    words = "A .qcow2.xz as it is published: unpacked on its way; the checksum is the publisher's"
    return Exhibit(file=file, words=words, options=promised, kept=kept)


def _appliance(folder: Path) -> Exhibit:
    raw, disk, file = _boot_disk(folder / "boot.raw"), folder / "disk1.vmdk", folder / "appliance.ova"
    _qemu_img(*("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"), str(raw), str(disk))
    descriptor = folder / "appliance.ovf"
    descriptor.write_text(OVF)
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(descriptor, descriptor.name)
        archive.add(disk, disk.name)
    kept = sha256_of(raw)
    for path in (raw, disk, descriptor):
        path.unlink()
    words = "An .ova: its disk is taken out, made raw, and booted"
    options = ("--convert-to", "raw")
    return Exhibit(file=file, words=words, options=options, kept=kept, marker=BOOTED)


OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
<References><File ovf:href="disk1.vmdk" ovf:id="file1"/></References>
<DiskSection><Info>Disks</Info><Disk ovf:capacity="16" ovf:capacityAllocationUnits="byte * 2^20"
 ovf:diskId="d1" ovf:fileRef="file1"
 ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<VirtualSystem ovf:id="vm"><Info>A machine</Info><VirtualHardwareSection><Info>Hardware</Info>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>1</rasd:InstanceID>
<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>
"""


def _thief(file: Path) -> Exhibit:
    _qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(file), "64M")
    words = "A hostile qcow2: its backing file is our own /etc/passwd"
    return Exhibit(file=file, words=words, ends="format-unsafe")


def _login_page(file: Path) -> Exhibit:
    page = "<!DOCTYPE html>\n<html><head><title>Please sign in</title></head><body>...</body></html>\n"
    file.write_text(page)
    return Exhibit(
        file=file,
        words="A login page that calls itself a qcow2",
        ends="format-mismatch",
        options=("--disk-format", "qcow2"),
    )


def _qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, stdout=subprocess.DEVNULL)
