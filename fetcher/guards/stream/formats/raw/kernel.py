"""Linux kernels, for Image API's aki.

Kinds: bzImage, ARM64, RISC-V, LoongArch, ARM zImage, s390, EFI zboot, ELF, uImage, FIT.
Specification: Linux, Documentation/arch/x86/boot.rst, arm64/booting.rst, riscv/boot-image-header.rst,
    loongarch/booting.rst, arch/s390/boot/head.S,
    arch/arm/boot/compressed/head.S, drivers/firmware/efi/libstub/zboot-header.S; U-Boot,
    include/image.h, doc/usage/fit/source_file_format.rst; ELF-64.
Reads: the first 64 KiB; for s390 what lies behind, where nothing else was found.
Structure: the boot sector's signature and protocol version; the magic of the others; the checksum of a
    uImage's header, and that it holds a kernel; for ELF an executable.
Safety: none; a kernel refers to nothing outside itself.
"""

from zlib import crc32

from fetcher.guards.stream.formats.report import Kind, Report, Role

KERNEL = Kind(
    key="kernel",
    words="a Linux kernel",
    role=Role.KERNEL,
    disk_format="aki",
    hint="To keep it as a kernel, say disk_format=aki and container_format=aki.",
)

ELF = Kind(
    key="elf",
    words="an ELF executable",
    role=Role.KERNEL,
    disk_format="aki",
    hint="A program is no disk image; to keep a kernel, say disk_format=aki and container_format=aki.",
)
UIMAGE_OTHER = Kind(
    key="uimage",
    words="a uImage without a kernel",
    role=Role.DOCUMENT,
    hint="Take out what it holds, without its header of 64 bytes (`dumpimage`), and submit that.",
)

MAGICS = (
    (56, b"ARM\x64", "ARM64"),
    (56, b"RSC\x05", "RISC-V"),
    (56, b"\xcd\x23\x82\x81", "LoongArch"),
    (36, b"\x18\x28\x6f\x01", "ARM zImage"),
    (36, b"\x01\x6f\x28\x18", "ARM zImage, big endian"),
    (0, b"MZ\0\0zimg", "EFI zboot"),
)
UIMAGE = b"\x27\x05\x19\x56"
KERNEL_TYPES = (2, 4, 14)  # A kernel; several parts, a kernel first; a kernel that runs wherever it lies.
RAMDISK_TYPE = 3
FDT = b"\xd0\x0d\xfe\xed"  # A flattened device tree, which FIT images are.
FIT_NODE = b"\0\0\0\1images\0"  # A node of it: FDT_BEGIN_NODE and its name.
S390_AT, S390_MAGIC = 65_544, b"S390EP"
EXECUTABLE, SHARED = 2, 3
BIG_ENDIAN = b"\2"
BOOT_AT, BOOT_MAGIC = 514, b"HdrS"
ELF_MAGIC = b"\x7fELF"
SIGNS = (
    (BOOT_AT, (BOOT_MAGIC,)),
    (0, (UIMAGE, FDT, ELF_MAGIC)),
    *((at, (magic,)) for at, magic, _name in MAGICS),
)
"""Bytes of which some have to be there."""


def recognise(head: bytes) -> Report | None:
    """Find a kernel by the magic of its boot protocol."""
    if head[510:512] == b"\x55\xaa" and head.startswith(BOOT_MAGIC, BOOT_AT):
        return Report(kind=KERNEL, name="Linux kernel, x86 boot protocol")
    for at, magic, name in MAGICS:
        if head.startswith(magic, at):
            return Report(kind=KERNEL, name=f"Linux kernel, {name}")
    if head[:4] == UIMAGE:
        return _recognise_uimage(head)
    if head[:4] == FDT and FIT_NODE in head:  # The configurations may lie behind all data.
        return Report(kind=KERNEL, name="Linux kernel, FIT")
    if head[:4] == ELF_MAGIC:
        return _recognise_elf(head)
    return None


def recognise_behind(window: bytes, at: int) -> Report | None:
    """Find a kernel for s390, whose magic lies just behind the first 64 KiB, in a window from byte `at`."""
    is_kernel = window.startswith(S390_MAGIC, S390_AT - at)
    return Report(kind=KERNEL, name="Linux kernel, s390") if is_kernel else None


def uimage_type(head: bytes) -> int:
    """Return the type that a uImage's header gives to its content; -1 where its checksum is wrong."""
    header = head[:4] + bytes(4) + head[8:64]
    is_sound = len(head) > 64 and crc32(header) == int.from_bytes(head[4:8], "big")
    return head[30] if is_sound else -1


def _recognise_uimage(head: bytes) -> Report | None:
    kind = uimage_type(head)
    if kind in KERNEL_TYPES:
        return Report(kind=KERNEL, name="Linux kernel, uImage")
    is_other = kind > 0 and kind != RAMDISK_TYPE
    return Report(kind=UIMAGE_OTHER, name=UIMAGE_OTHER.words) if is_other else None


def _recognise_elf(head: bytes) -> Report | None:
    kind = int.from_bytes(head[16:18], "big" if head[5:6] == BIG_ENDIAN else "little")
    return Report(kind=ELF, name="ELF executable") if kind in (EXECUTABLE, SHARED) else None
