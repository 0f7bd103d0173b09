"""What each sample really is, said by hand and not by any program: honest, unsafe, or no image at all."""

from tests.guards.stream.formats.hostile_disks import HOSTILE_DISKS
from tests.guards.stream.formats.hostile_ova import OVAS
from tests.guards.stream.formats.hostile_packed import PACKED
from tests.guards.stream.formats.others import OTHERS, SEVERAL

HONEST, UNSAFE, NO_IMAGE = "honest", "unsafe", "no image"

HONEST_OVAS = frozenset({"ova-iso-member", "ova-capacity-property"})
HONEST_PACKED = frozenset(
    (
        *("gz-raw", "gz-qcow2", "gz-noise", "gz-members", "gz-cpio"),
        *("xz-raw", "xz-qcow2", "xz-streams", "xz-padded", "bz2-raw", "bz2-noise"),
        *("zst-good", "zst-frames", "zst-window", "zst-no-size", "zst-checksum", "zst-size-2-bytes"),
        *("zst-no-dictionary", "lz4-good", "lz4-sizes", "lz4-checksums", "lz4-frames", "lz4-legacy"),
        *("lz4-legacy-frames", "lz4-legacy-and-others"),
        *(
            "zip-raw",
            "zip-stored",
            "zip-small",
            "zip-mode",
            "zip-comment",
            "zip-streamed",
            "zip-64",
            "gz-kernel",
            "zst-qcow2",
            "7z-good",
        ),
    )
)
NO_IMAGE_PACKED = frozenset({"zst-zst", "gz-gz", "gz-html", "gz-tar", "gz-ova"})
HONEST_SEVERAL = frozenset(
    {
        "iso-sun",
        "iso-sgi",
        "iso-bsd",
        "iso-fat",
        "iso-hybrid-mbr",
        "iso-hybrid-gpt",
        "iso-udf-bridge",
        "iso-hfs",
        "raw-then-vhd",
        "zeros-then-vhd",
    }
)
NO_IMAGE_SEVERAL = frozenset({"raw-then-dmg", "noise-then-zip"})
HONEST_OTHERS = frozenset(
    (
        *("udf", "udf-mbr", "kernel-x86", "kernel-arm64", "kernel-elf", "kernel-elf-big", "cpio"),
        *(
            "kernel-riscv",
            "kernel-arm",
            "kernel-arm-big",
            "kernel-zboot",
            "kernel-uimage",
            "kernel-loongarch",
            "kernel-s390",
            "kernel-fit",
            "ramdisk-uimage",
        ),
    )
)
HONEST_RAW = frozenset(name for name in OTHERS if name.startswith("raw-")) - {"raw-btrfs-cut"}
MAYBE_RAW = frozenset({"zeros", "ones", "wide-ones", "noise"})  # Honest if said to be raw.
UNSAFE_TOOLS = frozenset(
    (
        *("tool-gpt.cut", "tool-overlay.qcow2", "tool-data-file.qcow2", "tool-encrypted.qcow2"),
        *("tool-flat.vmdk", "tool-split.vmdk", "tool-split-flat.vmdk", "tool-overlay.vmdk"),
        *("tool-too-long.zst", "tool-overlay.xz", "tool-holes.ova"),
    )
)
NO_IMAGE_TOOLS = frozenset(
    (
        *("tool-plain.qcow", "tool-plain.qed", "tool-luks1", "tool-luks2", "tool-plain.tar"),
        *("tool-folder.tgz", "package-ipxe.efi"),
    )
)

KNOWN = {
    "gz-cut": "gzip marks no end: one that is cut short behind its first 64 KiB shows only when unpacked.",
    "media": "What is said to be a raw disk, and is no known text, document or program, is taken for one.",
    "raw-btrfs-cut": "A raw disk has no length: one that is cut short shows by its GPT, or not at all.",
}
"""What the guard accepts though it is not honest, and why; the only such samples."""


_GROUPS = (
    (HOSTILE_DISKS, frozenset(), frozenset()),
    (OVAS, HONEST_OVAS | {name for name in OVAS if name.startswith("ova-good")}, frozenset()),
    (PACKED, HONEST_PACKED, NO_IMAGE_PACKED),
    (SEVERAL, HONEST_SEVERAL, NO_IMAGE_SEVERAL),
    (OTHERS, HONEST_OTHERS | MAYBE_RAW | HONEST_RAW, frozenset(OTHERS) - {"raw-btrfs-cut"}),
)


def truth_of(name: str) -> str:
    """Return what a sample is."""
    for group, honest, no_image in _GROUPS:
        if name in group:
            return HONEST if name in honest else NO_IMAGE if name in no_image else UNSAFE
    if name in UNSAFE_TOOLS:
        return UNSAFE
    return NO_IMAGE if name in NO_IMAGE_TOOLS else HONEST
