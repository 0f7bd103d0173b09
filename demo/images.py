"""Real images made on the spot, and two that are not what they claim."""

import gzip
import hashlib
import random
import shutil
import subprocess
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
    """

    file: Path
    words: str
    ends: str = "ok"
    options: tuple[str, ...] = ()


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
