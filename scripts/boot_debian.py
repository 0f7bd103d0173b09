"""A Debian kernel that boots from what the service made: slower than the tests' boot sector, and not ours.

    python scripts/boot_debian.py [FOLDER]        (make boot-debian)

Fetches Debian's cloud kernel and syslinux into FOLDER with `apt-get download` and unpacks them there;
nothing is installed. A disk of one FAT partition is made of them with an initramfs of one program, which
prints a marker and turns the machine off. It is published as .qcow2.xz, as an OVA and as .vhdx.gz; each
is imported with the target raw, downloaded, and booted. Takes some minutes: TCG emulates every instruction.
"""

import argparse
import asyncio
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from fetcher.convert.boot import verify_boot
from fetcher.convert.sandbox import probe_walls
from tests.importer.stages.test_converting import TO_RAW, image_of
from tests.importer.stages.test_unpacking import bytes_of
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.unpack.appliances import appliance, manifest
from tests.unpack.making import make_tar, pack

MIB = 1 << 20
DISK_BYTES, PARTITION_AT = 48 * MIB, MIB
MARKER = "Debian's kernel runs the program of the disk."
SECONDS = 900
TOOLS = ("apt-get", "apt-cache", "dpkg-deb", "mformat", "mcopy", "qemu-img", "qemu-system-x86_64", "xz")
CONFIG = """SERIAL 0 115200
DEFAULT linux
LABEL linux
 KERNEL /vmlinuz
 INITRD /initrd
 APPEND console=ttyS0 quiet
"""


def packages(folder: Path) -> Path:
    """Fetch and unpack what the disk is made of; what is there already stays."""
    root = folder / "root"
    if root.exists():
        return root
    depends = subprocess.run(
        ["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True, text=True
    ).stdout
    kernel = re.search(r"Depends: (linux-image-\S+)", depends)
    assert kernel is not None, "apt-get update first"
    subprocess.run(["apt-get", "download", kernel[1], "syslinux", "syslinux-common"], cwd=folder, check=True)
    partial = folder / "partial"
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, partial], check=True)
    partial.rename(root)
    return root


def program() -> bytes:
    """Return an ELF program that prints the marker and turns the machine off.

    Source: System V ABI for AMD64; reboot(2).
    """
    text = f"\n{MARKER}\n".encode()
    code = bytes.fromhex("b801000000 bf01000000 488d3526000000 ba") + len(text).to_bytes(4, "little")
    code += bytes.fromhex("0f05 b8a9000000 bfaddee1fe be69191228 badcfe2143 0f05 ebfe")
    code = code.ljust(12 + 5 + 0x26, b"\x90")[: 10 + 7 + 0x26] + text
    start = 0x400000
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 120 + len(code)
    header += struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 4096)
    return header + code


def archive() -> bytes:
    """Return an initramfs with a console and the program as /init.

    Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst (cpio "newc").
    """
    out = b""
    entries = [
        ("dev", 0o40755, b"", (0, 0)),
        ("dev/console", 0o20600, b"", (5, 1)),
        ("init", 0o100755, program(), (0, 0)),
        ("TRAILER!!!", 0, b"", (0, 0)),
    ]
    for number, (name, mode, content, device) in enumerate(entries, start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return out


def make_disk(root: Path, folder: Path) -> bytes:
    """Make a disk with one FAT partition that boots the kernel."""
    disk, settings = folder / "disk.raw", folder / "mtoolsrc"
    boot = bytearray((root / "usr/lib/syslinux/mbr/mbr.bin").read_bytes().ljust(512, b"\0"))
    sectors = (DISK_BYTES - PARTITION_AT) // 512
    entry = bytes.fromhex("80 000200 0c feffff") + struct.pack("<II", PARTITION_AT // 512, sectors)
    boot[446:462], boot[510:512] = entry, b"\x55\xaa"
    with disk.open("wb") as file:
        file.write(boot)
        file.truncate(DISK_BYTES)
    settings.write_text(f'drive z: file="{disk}" offset={PARTITION_AT}\nmtools_skip_check=1\n')
    (folder / "initrd").write_bytes(archive())
    (folder / "syslinux.cfg").write_text(CONFIG)
    fill(root, folder, disk, dict(os.environ, MTOOLSRC=str(settings)))
    return disk.read_bytes()


def fill(root: Path, folder: Path, disk: Path, environment: dict[str, str]) -> None:
    """Make the file system, and put kernel and boot loader on it."""
    sectors = (DISK_BYTES - PARTITION_AT) // 512
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    hidden = str(PARTITION_AT // 512)
    subprocess.run(
        ["mformat", "-F", "-T", str(sectors), "-h", "64", "-s", "32", "-H", hidden, "z:"],
        env=environment,
        check=True,
    )
    copies = {
        kernel: "z:/vmlinuz",
        folder / "initrd": "z:/initrd",
        folder / "syslinux.cfg": "z:/syslinux.cfg",
    }
    for source, target in copies.items():
        subprocess.run(["mcopy", source, target], env=environment, check=True)
    install = [root / "usr/bin/syslinux", "--install", "--offset", str(PARTITION_AT), disk]
    subprocess.run(install, env=environment, check=True)


def published(disk: bytes, folder: Path) -> dict[str, bytes]:
    """Return the disk as it could be published."""
    vmdk = image_of(folder, disk, "vmdk", "subformat=streamOptimized")
    members = [(name, vmdk if name == "disk1.vmdk" else content) for name, content in appliance()]
    return {
        "qcow2.xz": pack("xz", image_of(folder, disk, "qcow2", "compression_type=zstd")),
        "ova": make_tar([*members, manifest(members, "SHA256")]),
        "vhdx.gz": pack("gzip", image_of(folder, disk, "vhdx")),
    }


async def boots(name: str, body: bytes, folder: Path) -> bool:
    """Import one of them, and boot what came of it."""
    began = time.monotonic()
    home = folder / name
    home.mkdir()
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(home, origin, **TO_RAW) as service:
        ended = await service.run(url=origin.url("/x"), disk_format=None)
        if ended["state"] != "succeeded":
            print(f"{name}: {ended['verdict']}")
            return False
        path = home / "image.raw"
        path.write_bytes(await bytes_of(service, ended))
        walls = await probe_walls()
        proof = await verify_boot(path, disk_format="raw", marker=MARKER, seconds=SECONDS, walls=walls)
    way = ended["stages"]["converted"]["way"]
    print(
        f"{name}: {len(body):,} bytes, {way}: {proof.verdict} after {time.monotonic() - began:.0f} s",
        flush=True,
    )
    if proof.verdict != "boots":
        print(f"{proof.reason}\n{proof.console[-2000:]}")
    return proof.verdict == "boots"


def main() -> int:
    """Make, import and boot; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python scripts/boot_debian.py", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data/boot-debian"))
    folder = parser.parse_args().folder.resolve()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"Not here: {', '.join(missing)}. Install mtools, qemu-utils, qemu-system-x86 and xz-utils.")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    root = packages(folder)
    with tempfile.TemporaryDirectory() as name:
        disk = make_disk(root, Path(name))
        all_boot = [
            asyncio.run(boots(kind, body, Path(name))) for kind, body in published(disk, Path(name)).items()
        ]
    return 0 if all(all_boot) else 1


if __name__ == "__main__":
    sys.exit(main())
