"""Images made by the tools that people make them with, and images out of Debian packages."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SECTORS_OF_16_MIB = 32_768


@dataclass(frozen=True, kw_only=True)
class ToolSample:
    """One image made by a tool.

    Args:
        origin: The tool, or the Debian package.
        command: What makes it in a folder that has `disk.raw`, a partitioned disk, and `tree`, a folder.
        file: What the command makes, or where the package keeps it.
    """

    origin: str
    command: str = ""
    file: str

    @property
    def is_available(self) -> bool:
        """Answer whether the tool, or the package's file, is on this machine."""
        if not self.command:
            return Path(self.file).exists()
        return all(_which(word) for word in (self.origin, "sfdisk", "mkfs.ext4", "qemu-img"))

    def make(self, folder: Path) -> Path:
        """Make the image, once for each folder."""
        if not self.command:
            return Path(self.file)
        made = folder / self.file
        if not made.exists():
            run(_prepare, folder) if not (folder / "disk.raw").exists() else None
            run(self.command, folder)
        return made


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def run(command: str, folder: Path) -> None:
    """Run a command in a folder; says what it said if it fails."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"


_prepare = (
    "mkdir tree; echo hello >tree/a; head -c 300000 /dev/urandom >tree/b; echo '<Envelope/>' >tree/a.ovf;"
    "truncate -s 12M part.raw; mkfs.ext4 -q -F -d tree part.raw;"
    "truncate -s 16M disk.raw; echo ',,L,*' | sfdisk -q disk.raw;"
    "dd if=part.raw of=disk.raw bs=1M seek=1 conv=notrunc status=none; echo -n secret >key"
)


def _convert(name: str, target: str, options: str = "") -> tuple[str, ToolSample]:
    command = f"qemu-img convert -f raw -O {target} {options} disk.raw {name}"
    return f"tool-{name}", ToolSample(origin="qemu-img", command=command, file=name)


def _tool(name: str, origin: str, command: str) -> tuple[str, ToolSample]:
    return f"tool-{name}", ToolSample(origin=origin, command=command, file=name)


def _package(name: str, origin: str, file: str) -> tuple[str, ToolSample]:
    return f"package-{name}", ToolSample(origin=origin, file=file)


def _ova(name: str, origin: str, command: str) -> tuple[str, ToolSample]:
    """Pack an appliance, with names that need an extended header where the format has any."""
    stem = "d" if "v7" in name else "a-long-name-$(printf %0100d 0)"
    return _tool(
        name,
        origin,
        f"n={stem}; qemu-img convert -O vmdk -o subformat=streamOptimized disk.raw x.vmdk;"
        "cp --sparse=never x.vmdk $n.vmdk; rm x.vmdk;"  # Else libarchive writes a map of its holes.
        f"cp tree/a.ovf $n.ovf; {command} {name} $n.ovf $n.vmdk; rm $n.*",
    )


OVA_FORMS = ("v7", "oldgnu", "gnu", "posix")
RAW = "qemu-img convert -f raw -O"
MKISOFS = "xorriso -as mkisofs -quiet"
LUKS = (
    "truncate -s 20M {0}; cryptsetup luksFormat -q --type {0} --pbkdf pbkdf2 "
    "--pbkdf-force-iterations 1000 {0} key"
)
TOOL_SAMPLES: dict[str, ToolSample] = dict(
    (
        _tool("mbr.raw", "sfdisk", "cp disk.raw mbr.raw"),
        _tool("gpt.raw", "sgdisk", "truncate -s 16M gpt.raw; sgdisk -n 1:2048 gpt.raw"),
        _tool("gpt.cut", "sgdisk", "truncate -s 16M x; sgdisk -n 1:2048 x; head -c 10M x >gpt.cut; rm x"),
        _tool("ext4.raw", "mkfs.ext4", "cp part.raw ext4.raw"),
        _tool("squashfs.raw", "mksquashfs", "mksquashfs tree squashfs.raw -quiet"),
        _convert("plain.qcow2", "qcow2"),
        _convert("v2.qcow2", "qcow2", "-o compat=0.10"),
        _convert("packed.qcow2", "qcow2", "-c"),
        _convert("zstd.qcow2", "qcow2", "-c -o compression_type=zstd"),
        _convert("subclusters.qcow2", "qcow2", "-o extended_l2=on"),
        _convert("small-clusters.qcow2", "qcow2", "-o cluster_size=512"),
        _convert("large-clusters.qcow2", "qcow2", "-o cluster_size=2M"),
        _convert("preallocated.qcow2", "qcow2", "-o preallocation=metadata"),
        _convert("lazy.qcow2", "qcow2", "-o lazy_refcounts=on"),
        _convert("refcount-1.qcow2", "qcow2", "-o refcount_bits=1"),
        _tool(
            "snapshot.qcow2",
            "qemu-img",
            f"{RAW} qcow2 disk.raw x; qemu-img snapshot -c s x; mv x snapshot.qcow2",
        ),
        _tool("empty.qcow2", "qemu-img", "qemu-img create -q -f qcow2 empty.qcow2 10G"),
        _tool(
            "resized.qcow2",
            "qemu-img",
            "qemu-img create -q -f qcow2 x 1M; qemu-img resize -q x 900G; mv x resized.qcow2",
        ),
        _tool("overlay.qcow2", "qemu-img", "qemu-img create -q -f qcow2 -b disk.raw -F raw overlay.qcow2"),
        _tool(
            "data-file.qcow2",
            "qemu-img",
            "qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=on data-file.qcow2 16M",
        ),
        _tool(
            "encrypted.qcow2",
            "qemu-img",
            "qemu-img create -q -f qcow2 --object secret,id=s,data=x "
            "-o encrypt.format=aes,encrypt.key-secret=s encrypted.qcow2 1M",
        ),
        _convert("plain.vmdk", "vmdk"),
        _convert("stream.vmdk", "vmdk", "-o subformat=streamOptimized"),
        _convert("flat.vmdk", "vmdk", "-o subformat=monolithicFlat"),
        _convert("split.vmdk", "vmdk", "-o subformat=twoGbMaxExtentSparse"),
        _convert("split-flat.vmdk", "vmdk", "-o subformat=twoGbMaxExtentFlat"),
        _tool(
            "overlay.vmdk",
            "qemu-img",
            f"{RAW} vmdk disk.raw base.vmdk; qemu-img create -q -f vmdk -b base.vmdk -F vmdk overlay.vmdk",
        ),
        _convert("dynamic.vdi", "vdi"),
        _convert("fixed.vdi", "vdi", "-o static=on"),
        _convert("dynamic.vhd", "vpc"),
        _convert("exact.vhd", "vpc", "-o force_size=on"),
        _convert("fixed.vhd", "vpc", "-o subformat=fixed"),
        _convert("dynamic.vhdx", "vhdx"),
        _convert("fixed.vhdx", "vhdx", "-o subformat=fixed"),
        _convert("plain.parallels", "parallels"),
        _convert("plain.qcow", "qcow"),
        _convert("plain.qed", "qed"),
        _tool("luks1", "cryptsetup", LUKS.format("luks1").replace("--pbkdf pbkdf2", "")),
        _tool("luks2", "cryptsetup", LUKS.format("luks2")),
        _tool("plain.iso", "genisoimage", "genisoimage -quiet -J -R -o plain.iso tree"),
        _tool("bridge.iso", "genisoimage", "genisoimage -quiet -udf -o bridge.iso tree"),
        _tool("xorriso.iso", "xorriso", f"{MKISOFS} -R -o xorriso.iso tree"),
        _tool(
            "hybrid.iso",
            "xorriso",
            f"{MKISOFS} -append_partition 2 0x83 part.raw -o hybrid.iso tree",
        ),
        _tool("plain.gz", "gzip", "gzip -c disk.raw >plain.gz"),
        _tool("plain.xz", "xz", "xz -c disk.raw >plain.xz"),
        _tool("threads.xz", "xz", "xz -T2 --block-size=1MiB -c disk.raw >threads.xz"),
        _tool("long.xz", "xz", "xz -9e -c disk.raw >long.xz"),
        _tool("plain.zst", "zstd", "zstd -q -c disk.raw >plain.zst"),
        _tool("long.zst", "zstd", "zstd -q -19 --long=27 -c disk.raw >long.zst"),
        _tool("too-long.zst", "zstd", "zstd -q --long=28 -c <disk.raw >too-long.zst"),
        _tool("plain.bz2", "bzip2", "bzip2 -c disk.raw >plain.bz2"),
        _tool("plain.lz4", "lz4", "lz4 -q -c disk.raw >plain.lz4"),
        _tool("checked.lz4", "lz4", "lz4 -q -BX --content-size -c disk.raw >checked.lz4"),
        _tool("legacy.lz4", "lz4", "lz4 -q -l -c disk.raw >legacy.lz4"),
        _tool("plain.zip", "zip", "zip -q plain.zip disk.raw"),
        _tool("plain.7z", "7z", "7z a -bso0 plain.7z disk.raw"),
        _tool("plain.tar", "tar", "tar cf plain.tar disk.raw"),
        _tool("qcow2.gz", "gzip", "qemu-img convert -O qcow2 disk.raw x; gzip -c x >qcow2.gz; rm x"),
        _tool(
            "overlay.xz", "xz", "qemu-img create -q -f qcow2 -b disk.raw -F raw x; xz -c x >overlay.xz; rm x"
        ),
        _tool("folder.tgz", "tar", "tar czf folder.tgz tree"),
        _tool(
            "plain.ova",
            "tar",
            "qemu-img convert -O vmdk -o subformat=streamOptimized disk.raw d.vmdk; cp tree/a.ovf d.ovf;"
            "tar --format=ustar -cf plain.ova d.ovf d.vmdk",
        ),
        *(_ova(f"{form}.ova", "tar", f"tar --format={form} --record-size=1M -cf") for form in OVA_FORMS),
        _ova("bsd-pax.ova", "bsdtar", "bsdtar --format=pax -cf"),
        _ova("holes.ova", "tar", "truncate -s 8M $n.vmdk; tar --format=posix -S -cf"),
        _package("grub-cdrom.iso", "grub-rescue-pc", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"),
        _package("grub-usb.img", "grub-rescue-pc", "/usr/lib/grub-rescue/grub-rescue-usb.img"),
        _package("grub-floppy.img", "grub-rescue-pc", "/usr/lib/grub-rescue/grub-rescue-floppy.img"),
        _package("ipxe.iso", "ipxe", "/usr/lib/ipxe/ipxe.iso"),
        _package("ipxe.lkrn", "ipxe", "/usr/lib/ipxe/ipxe.lkrn"),
        _package("ipxe.efi", "ipxe", "/usr/lib/ipxe/ipxe.efi"),
        _package("memtest.bin", "memtest86+", "/boot/memtest86+x64.bin"),
        _package("memtest.efi", "memtest86+", "/boot/memtest86+x64.efi"),
        _package("memtest.iso", "memtest86+", "/usr/lib/memtest86+/memtest86+x64.iso"),
    )
)


def available(name: str) -> Callable[[Path], Path] | None:
    """Return what makes a sample, if its tool is here."""
    sample = TOOL_SAMPLES[name]
    return sample.make if sample.is_available else None
