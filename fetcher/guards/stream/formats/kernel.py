"""Linux kernels, for Image API's aki: bzImage, ARM64 Image, ELF vmlinux.

Specification: Linux, Documentation/arch/x86/boot.rst and Documentation/arch/arm64/booting.rst; ELF-64.
Reads: the first 1,024 bytes.
Structure: the boot sector's signature and protocol version; the ARM64 magic; for ELF an executable.
Safety: none; a kernel refers to nothing outside itself.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

KERNEL = Kind(
    key="kernel",
    words="a Linux kernel",
    role=Role.KERNEL,
    disk_format="aki",
    hint="To keep it as a kernel, say disk_format=aki and container_format=aki.",
)

ELF = Kind(key="elf", words="an ELF executable", role=Role.KERNEL, disk_format="aki", hint=KERNEL.hint)

EXECUTABLE, SHARED = 2, 3
BIG_ENDIAN = b"\2"


def recognise(head: bytes) -> Report | None:
    """Find a kernel by the magic of its boot protocol."""
    if head[510:512] == b"\x55\xaa" and head[514:518] == b"HdrS":
        return Report(kind=KERNEL, name="Linux kernel, x86 boot protocol")
    if head[56:60] == b"ARM\x64":
        return Report(kind=KERNEL, name="Linux kernel, ARM64")
    if head[:4] == b"\x7fELF":
        return _recognise_elf(head)
    return None


def _recognise_elf(head: bytes) -> Report | None:
    kind = int.from_bytes(head[16:18], "big" if head[5:6] == BIG_ENDIAN else "little")
    return Report(kind=ELF, name="ELF executable") if kind in (EXECUTABLE, SHARED) else None
