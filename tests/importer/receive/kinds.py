"""Files of unusual kinds, each made by the tool that people make it with, and the verdict on each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One file made by a tool, in a folder that has `disk.raw` (partitioned), `tree` and `kernel`.

    Args:
        name: Of the file.
        tools: Programs that it needs; without them it is not tried.
        command: What makes it.
        verdicts: By what is claimed (`-`: nothing; `raw/compressed`: both): the formats it is kept as, or the
            code of the refusal with its rule or what it was found to be.
    """

    name: str
    tools: tuple[str, ...]
    command: str
    verdicts: dict[str, str]


RAW = {"-": "raw/bare"}
AMI = {"-": "raw/bare", "ami": "ami/ami"}
ISO = {"-": "iso/bare"}


def _refused(words: str) -> dict[str, str]:
    """Return the verdicts on what is nothing that is accepted, whatever is claimed."""
    return {"-": f"format-unknown {words}", "raw": f"format-mismatch {words}"}


def _only(words: str, claim: str) -> dict[str, str]:
    """Return the verdicts on what is accepted for one purpose."""
    return {**_refused(words), claim: f"{claim}/{claim}"}


def _made(name: str, tools: str, command: str, verdicts: dict[str, str]) -> Sample:
    return Sample(name, tuple(tools.split()), command, verdicts)


def _formatted(name: str, size: str, tool: str, options: str = "", verdicts: dict[str, str] = AMI) -> Sample:
    """Return an empty disk of a size with a file system that a tool makes."""
    return _made(name, tool, f"truncate -s {size} {name}; {tool} {options} {name}", verdicts)


def _labelled(label: str) -> Sample:
    command = f"truncate -s 16M {label}.disk; parted -s {label}.disk mklabel {label}"
    return _made(f"{label}.disk", "parted", command, RAW)


MKISOFS = "xorriso -as mkisofs -quiet"
KERNEL, RAMDISK = "a Linux kernel", "a cpio archive"
UIMAGE = "mkimage -A arm64 -O linux -C none -T {} -d kernel {}"
FIT = "mkimage {} -f fit.its {}"
NEWC = "find tree | cpio -o -H newc >{0}.cpio; {1} <{0}.cpio >{0}"
ZIP_METHOD, ZIP_END = "unpack-failed method", "the end of a ZIP archive"

LUKS = "luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 -d tree/a"
FILE_SYSTEMS = (
    _formatted("fat12", "1440K", "mkfs.fat"),
    _formatted("fat32", "64M", "mkfs.fat", "-F32"),
    _formatted("floppy", "1440K", "mformat", "-f 1440 -i"),
    _formatted("exfat", "16M", "mkfs.exfat"),
    _formatted("ntfs", "16M", "mkfs.ntfs", "-F -Q"),
    _formatted("ext2", "16M", "mkfs.ext2", "-q -F -b 1024"),
    _formatted("btrfs", "120M", "mkfs.btrfs", "-q -f"),
    _formatted("f2fs", "100M", "mkfs.f2fs", "-q"),
    _formatted("jfs", "20M", "mkfs.jfs", "-q"),
    _formatted("nilfs2", "140M", "mkfs.nilfs2", "-q"),
    _formatted("reiserfs", "40M", "mkfs.reiserfs", "-q -f -f"),
    _formatted("minix", "4M", "mkfs.minix"),
    _formatted("minix2", "4M", "mkfs.minix", "-2"),
    _formatted("minix3", "4M", "mkfs.minix", "-3"),
    _formatted("bfs", "1M", "mkfs.bfs"),
    _formatted("swap", "4M", "mkswap", verdicts=RAW),
    _formatted("swap64k", "4M", "mkswap", "-p 65536", RAW),
    _formatted("udf", "16M", "mkudffs", verdicts={"-": "iso/bare", "raw": "raw/bare"}),
    _formatted("luks", "20M", "cryptsetup", LUKS, _refused("an encrypted volume (LUKS)")),
    _made("cramfs", "mkfs.cramfs", "mkfs.cramfs -N little tree cramfs", AMI),
    _made("cramfs-big", "mkfs.cramfs", "mkfs.cramfs -N big tree cramfs-big", AMI),
    _made("squashfs", "mksquashfs", "mksquashfs tree squashfs -quiet -comp zstd", AMI | {"ari": "ari/ari"}),
    _made("erofs", "mkfs.erofs", "mkfs.erofs -zlz4 erofs tree", AMI),
    *(_labelled(label) for label in ("amiga", "bsd", "dvh", "gpt", "mac", "pc98", "sun")),
)
DISCS = (
    _made("joliet.iso", "genisoimage", "genisoimage -quiet -J -R -o joliet.iso tree", ISO),
    _made("hfs.iso", "genisoimage", "genisoimage -quiet -hfs -o hfs.iso tree", ISO),
    _made("udf.iso", "genisoimage", "genisoimage -quiet -udf -no-pad -o udf.iso tree", ISO),
    _made("hfsplus.iso", "xorriso", f"{MKISOFS} -hfsplus -apm-block-size 2048 -o hfsplus.iso tree", ISO),
    _made("sparc.iso", "xorriso", f"{MKISOFS} -sparc-label x -o sparc.iso tree", ISO),
    _made("mips.iso", "xorriso", f"{MKISOFS} -mips-boot a -o mips.iso tree", ISO),
    _made("alpha.iso", "xorriso", f"{MKISOFS} -alpha-boot a -o alpha.iso tree", ISO),
    _made("chrp.iso", "xorriso", f"{MKISOFS} -chrp-boot-part -o chrp.iso tree", ISO),
    _made("offset.iso", "xorriso", f"{MKISOFS} -partition_offset 16 -o offset.iso tree", ISO),
    _made("padded.iso", "xorriso", f"{MKISOFS} -o x tree; cat x >padded.iso; truncate -s 8M padded.iso", ISO),
    _made("libarchive.iso", "bsdtar", "bsdtar --format iso9660 -cf libarchive.iso tree", ISO),
)
KERNELS = (
    _made(
        "kernel.gz", "gzip", "gzip -c kernel >kernel.gz", {"-": f"format-unknown {KERNEL}", "aki": "aki/aki"}
    ),
    *(
        _made(f"uimage-{kind}", "mkimage", UIMAGE.format(kind, f"uimage-{kind}"), _only(KERNEL, "aki"))
        for kind in ("kernel", "kernel_noload")
    ),
    _made(
        "uimage-multi",
        "mkimage",
        UIMAGE.format("multi", "uimage-multi").replace("kernel", "kernel:disk.raw"),
        _only(KERNEL, "aki"),
    ),
    _made("uimage-ramdisk", "mkimage", UIMAGE.format("ramdisk", "uimage-ramdisk"), _only(RAMDISK, "ari")),
    *(
        _made(
            f"uimage-{kind}",
            "mkimage",
            UIMAGE.format(kind, f"uimage-{kind}"),
            _refused("a uImage without a kernel"),
        )
        for kind in ("script", "firmware", "filesystem")
    ),
    _made("fit", "mkimage dtc", FIT.format("", "fit"), _only(KERNEL, "aki")),
    _made("fit-external", "mkimage dtc", FIT.format("-E", "fit-external"), _only(KERNEL, "aki")),
    *(
        _made(
            f"ramdisk.{tool}",
            f"cpio {tool}",
            NEWC.format(f"ramdisk.{tool}", f"{tool} -c"),
            {"-": f"format-unknown {RAMDISK}", "ari": "ari/ari"},
        )
        for tool in ("gzip", "xz", "zstd", "lz4", "bzip2")
    ),
    _made(
        "ramdisk.lzop",
        "cpio lzop",
        NEWC.format("ramdisk.lzop", "lzop -c"),
        _only("a file packed by lzop", "ari"),
    ),
)
PACKINGS = (
    *(
        _made(
            f"cpio.{form}",
            "cpio",
            f"echo disk.raw | cpio -o -H {form} >cpio.{form}",
            _refused("a cpio archive of the old form"),
        )
        for form in ("bin", "odc")
    ),
    _made("disk.zpaq", "zpaq", "zpaq a disk.zpaq disk.raw", _refused("a zpaq archive")),
    _made("disk.1.dar", "dar", "dar -c disk -g disk.raw -Q", _refused("a backup by dar")),
    _made("disk.lz", "lzip", "lzip -c disk.raw >disk.lz", _refused("a file packed by lzip")),
    _made("disk.lrz", "lrzip", "lrzip -q -o disk.lrz disk.raw", _refused("a file packed by lrzip")),
    _made("disk.Z", "uncompress.real", "compress -c disk.raw >disk.Z", _refused("a file packed by compress")),
    _made("disk.lzma", "xz", "xz --format=lzma -c disk.raw >disk.lzma", _refused("a file packed by lzma")),
    _made("disk.zz", "pigz", "pigz -z -c disk.raw >disk.zz", _refused("a file packed by zlib")),
    _made(
        "disk.gpg",
        "gpg",
        "gpg --homedir . --batch --passphrase x --s2k-count 1024 -c -o disk.gpg disk.raw",
        _refused("a file encrypted by OpenPGP"),
    ),
    _made(
        "disk.enc",
        "openssl",
        "openssl enc -aes-256-cbc -pbkdf2 -k x -in disk.raw -out disk.enc",
        _refused("an encrypted file"),
    ),
    _made("disk.warc", "bsdtar", "bsdtar --format warc -cf disk.warc disk.raw", _refused("a web archive")),
    _made(
        "disk.shar",
        "bsdtar",
        "bsdtar --format shardump -cf disk.shar tree",
        _refused("a script or a configuration"),
    ),
    _made("disk.xar", "bsdtar", "bsdtar --format xar -cf disk.xar disk.raw", _refused("a xar archive")),
    _made("disk.ar", "ar", "ar r disk.ar disk.raw", _refused("a Debian package or a library")),
    _made("disk.wim", "wimcapture", "wimcapture tree disk.wim", _refused("a Windows image file")),
    _made(
        "disk.7z",
        "7z",
        "7z a -bso0 disk.7z disk.raw",
        {**_refused("a 7z archive"), "raw/compressed": "raw/compressed"},
    ),
    _made(
        "split.zip",
        "zip",
        "zip -q -s 64k split.zip tree/b disk.raw",
        {"-": "format-unknown unknown data", "raw": f"format-mismatch {ZIP_END}"},
    ),
    *(
        _made(
            f"{method}.zip", "7z", f"7z a -tzip -mm={method} -bso0 {method}.zip disk.raw", {"-": ZIP_METHOD}
        )
        for method in ("Deflate64", "BZip2", "LZMA", "PPMd", "xz")
    ),
    _made("adv.zip", "advzip", "advzip -q -a -1 adv.zip disk.raw", RAW),
    _made("info.zip", "zip", "zip -q -fz info.zip disk.raw", RAW),
    _made("piped.zip", "zip", "cat disk.raw | zip -q piped.zip -", RAW),
    _made("libarchive.zip", "bsdtar", "bsdtar --format zip -c disk.raw >libarchive.zip", RAW),
    _made("deleted.zip", "zip", "zip -q deleted.zip disk.raw tree/a; zip -qd deleted.zip tree/a", RAW),
    _made("lbzip2.bz2", "lbzip2", "lbzip2 -c disk.raw >lbzip2.bz2", RAW),
    _made("pigz.gz", "pigz", "pigz -b 128 -i -c disk.raw >pigz.gz", RAW),
    _made("small.zst", "zstd", "zstd -q --target-compressed-block-size=1024 -c disk.raw >small.zst", RAW),
    _made("arm64.xz", "xz", "xz --arm64 --lzma2 -c disk.raw >arm64.xz", RAW),
    _made("linked.lz4", "lz4", "lz4 -q -B4D --no-frame-crc -c disk.raw >linked.lz4", RAW),
    *(
        _made(f"sparse-{form}.tar", "tar", f"tar --format={form} -Scf sparse-{form}.tar disk.raw", RAW)
        for form in ("oldgnu", "gnu", "posix")
    ),
    _made(
        "git.tar",
        "git",
        "git init -q g; cp disk.raw g; cd g; git add .;"
        "git -c user.name=a -c user.email=a@b commit -qm x; git archive HEAD >../git.tar",
        RAW,
    ),
    _made("libarchive.tar.zst", "bsdtar", "bsdtar --zstd --read-sparse -cf libarchive.tar.zst disk.raw", RAW),
)
FIXED_VHDX = "qemu-img create -q -f vhdx -o subformat=fixed,block_state_zero=off,block_size={1}M {0} {2}M"
IMAGES = (
    *(
        _made(
            f"fixed-{block}-{size}.vhdx",
            "qemu-img",
            FIXED_VHDX.format(f"fixed-{block}-{size}.vhdx", block, size),
            {"-": "vhdx/bare"},
        )
        for block, size in ((1, 3), (8, 21), (256, 16))
    ),
    _made(
        "bitmap.qcow2",
        "qemu-img",
        "qemu-img convert -O qcow2 disk.raw bitmap.qcow2;qemu-img bitmap --add bitmap.qcow2 b",
        {"-": "qcow2/bare"},
    ),
    _made(
        "empty.qcow2",
        "qemu-img",
        "qemu-img create -q -f qcow2 empty.qcow2 0",
        {"-": "format-unsafe empty-disk"},
    ),
    _made(
        "old.qcow2",
        "qemu-img",
        "qemu-img convert -O qcow2 disk.raw old.qcow2;qemu-img amend -f qcow2 -o compat=0.10 old.qcow2",
        {"-": "qcow2/bare"},
    ),
    *(
        _made(f"{size}.vhd", "qemu-img", f"qemu-img create -q -f vpc {size}.vhd {size}", {"-": "vhd/bare"})
        for size in ("512", "1000000", "127G")
    ),
)
SAMPLES = (*FILE_SYSTEMS, *DISCS, *KERNELS, *PACKINGS, *IMAGES)
