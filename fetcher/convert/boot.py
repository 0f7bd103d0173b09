"""The proof that an image boots: a virtual machine with nothing but the disk, watched on its serial port."""

import asyncio
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fetcher.convert.sandbox import Rules, Walls, run
from fetcher.errors import ConversionUnavailable

PROGRAM = "qemu-system-x86_64"
DRIVERS = {"iso": "raw", "vhd": "vpc", "ploop": "parallels"}
FIRMWARE = ("/usr/share/qemu", "/usr/share/seabios")
GUEST_MIB = 256
MEMORY_BYTES = 4 << 30  # Address space: the guest's memory and a gibibyte of translated code.
SCRATCH_BYTES = 2 << 30  # What the guest may change of its disk, all thrown away.
MAX_CONSOLE_BYTES = 1 << 20
HANDED_OVER = re.compile(rb"Booting from (?!ROM)[^\r\n.]*\.\.")  # The third point may be overtaken.
NOTHING_BOOTS = re.compile(rb"No bootable device|Boot failed: (?i:not a bootable|could not read)[^\r\n]*")
LEAST_TEXT = 16  # Fewer characters may still become the firmware's complaint.
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1bc")
MARKER_SECONDS_FLOOR = 5

Verdict = Literal["boots", "does-not-boot", "undecided"]


@dataclass(frozen=True, kw_only=True)
class BootProof:
    """The findings of booting an image.

    Args:
        verdict: Whether it boots; undecided where nothing was seen in time.
        reason: What was seen, as half a sentence.
        console: The text on its serial port, without control sequences; at most 1 MiB.
    """

    verdict: Verdict
    reason: str
    console: str = ""


class _Console:
    """Reads the serial port until it is clear what it shows."""

    def __init__(self, marker: bytes | None) -> None:
        self._marker = marker
        self.text = b""
        self.verdict: Verdict | None = None
        self.reason = ""

    def listen(self, output: bytes) -> None:
        """Take what the machine printed."""
        self.text = ESCAPES.sub(b"", self.text + output)[:MAX_CONSOLE_BYTES]
        if self._marker is not None and self._marker in self.text:
            self._settle("boots", "the marker appeared on the serial port")
        elif NOTHING_BOOTS.search(self.text):
            self._settle("does-not-boot", "the firmware found nothing to boot on it")
        elif self._marker is None and self._has_started():
            self._settle("boots", "its own boot code printed text")

    def is_wanted(self) -> bool:
        """Return whether nothing is decided yet."""
        return self.verdict is None

    def _has_started(self) -> bool:
        """Return whether there is text after the firmware has handed over to the disk."""
        handed_over = HANDED_OVER.search(self.text)
        if handed_over is None:
            return False
        text = self.text[handed_over.end() :].lstrip(b". \r\n")
        is_enough = len(text) >= LEAST_TEXT or text.endswith(b"\n")
        return is_enough and not text.startswith(b"Boot failed")

    def _settle(self, verdict: Verdict, reason: str) -> None:
        self.verdict, self.reason = verdict, reason


async def verify_boot(
    image: Path, *, disk_format: str, walls: Walls, marker: str | None = None, seconds: float = 60
) -> BootProof:
    """Boot an image in a virtual machine without network, and throw away all it changes.

    It is emulated, so that neither hardware nor rights are needed; it ends with the marker, with the
    firmware's or the machine's last word, or after `seconds`. The image itself is only read.

    Args:
        disk_format: What it is, by the Image API's names: nothing is guessed.
        marker: Text that proves the boot when it appears on the serial port or the text screen;
            without one, any text of the image's own boot code does.

    Raises:
        ConversionUnavailable: There is no emulator, or no wall stands.
    """
    walls.check()
    program, image = _found(image)
    console = _Console(marker.encode() if marker else None)
    with tempfile.TemporaryDirectory(prefix="fetcher-boot-") as folder:
        scratch = Path(folder)
        rules = Rules(
            read=(image, *map(Path, FIRMWARE)),
            scratch=scratch,
            cpu_seconds=int(seconds) + MARKER_SECONDS_FLOOR,
            memory_bytes=MEMORY_BYTES,
            file_bytes=SCRATCH_BYTES,
        )
        line = ["/usr/bin/env", f"TMPDIR={scratch}", program, *_machine(image, disk_format)]
        try:
            async with asyncio.timeout(seconds):
                ended = await run(line, rules, walls, listen=console.listen, is_wanted=console.is_wanted)
        except TimeoutError:
            return _undecided(console, f"nothing that decides it was seen in {seconds:g} seconds")
    if console.verdict is None:
        detail = ended.errors.splitlines()[-1] if ended.errors else f"exit code {ended.code}"
        return _undecided(console, f"the machine ended before: {detail}")
    return BootProof(verdict=console.verdict, reason=console.reason, console=_text(console))


def _found(image: Path) -> tuple[str, Path]:
    """Return the emulator and the image by their real paths, which the walls go by."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise ConversionUnavailable(reason=f"{PROGRAM} is not installed")
    return os.path.realpath(program), image.resolve(strict=True)


def _undecided(console: _Console, reason: str) -> BootProof:
    return BootProof(verdict="undecided", reason=reason, console=_text(console))


def _text(console: _Console) -> str:
    return console.text.decode("utf-8", "replace")


def _machine(image: Path, disk_format: str) -> list[str]:
    """Return the arguments for the smallest machine that boots a disk; commas in a path are doubled."""
    driver = DRIVERS.get(disk_format, disk_format)
    media = "cdrom" if disk_format == "iso" else "disk"
    file = str(image).replace(",", ",,")
    snapshot = "readonly=on" if media == "cdrom" else "snapshot=on"
    return [
        *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot"),
        *("-machine", "pc,graphics=off", "-accel", "tcg", "-m", str(GUEST_MIB), "-nic", "none"),
        *("-serial", "stdio", "-monitor", "none"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-drive", f"file={file},format={driver},if=ide,media={media},{snapshot}"),
        *("-boot", "d" if media == "cdrom" else "c"),
    ]
