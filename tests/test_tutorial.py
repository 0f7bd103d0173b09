"""The tutorial, from its first command to a machine that boots."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.convert.sector import SECTOR, boot_sector
from tests.test_commands import ROOT, TUTORIAL, commands_of, place, place_of, run_in

__all__ = ["place"]
BOOTED = b"Welcome to the tutorial's machine\r\n"


@pytest.mark.timeout(300)
def test_the_tutorial_ends_in_a_machine_that_boots(place: Path) -> None:
    """A newcomer who copies one command after the other gets what the page says, and a virtual machine."""
    if not all(map(shutil.which, ("qemu-img", "qemu-system-x86_64", "bwrap"))):
        pytest.skip("Debian's packages qemu-utils, qemu-system-x86 and bubblewrap are not all installed")
    sectors = 2048
    disk = boot_sector(sectors).ljust((sectors - 1) * SECTOR, b"\0") + BOOTED.ljust(SECTOR, b"\0")
    (place / "disk.raw").write_bytes(disk)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "disk.qcow2"]
    subprocess.run(convert, cwd=place, check=True)
    text = (ROOT / "docs/tutorial.md").read_text()
    commands = [command for command in commands_of(text) if place_of(command) == TUTORIAL]
    said = dict(
        zip(commands, run_in(place, commands, serves=True, on_path=False, image="cirros"), strict=True)
    )
    probe, submit, refused, listed, saved, booted = said.values()
    assert "QCOW2" in probe
    assert "succeeded" in submit
    assert "format-mismatch" in refused
    assert "cirros" in listed
    assert (place / "cirros.qcow2").read_bytes() == (place / "disk.qcow2").read_bytes(), saved
    assert "boots" in booted
