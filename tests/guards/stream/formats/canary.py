"""Sees whether a program opens a file: a folder that is watched, and a program in a sandbox."""

import ctypes
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_ACCESS, IN_OPEN = 0x1, 0x20
EVENT = struct.Struct("iIII")
ADDRESS_SPACE, SECONDS, FILE_BYTES = 1 << 30, 5, 64 << 20


class Canary:
    """A file in a watched folder that nobody has any business to open.

    Args:
        folder: Where to make it.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "canary"
        self.file.write_bytes(b"\xca" * 4096)
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert self._watch >= 0, "inotify is not available"
        assert libc.inotify_add_watch(self._watch, os.fsencode(folder), IN_ACCESS | IN_OPEN) >= 0

    def opened(self) -> list[str]:
        """Return the names of what was opened since the last call."""
        try:
            events = os.read(self._watch, 65_536)
        except BlockingIOError:
            return []
        names, at = [], 0
        while at < len(events):
            length = EVENT.unpack_from(events, at)[3]
            names.append(events[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0").decode())
            at += EVENT.size + length
        return names

    def close(self) -> None:
        """Stop watching."""
        os.close(self._watch)


@contextmanager
def watched(folder: Path) -> Iterator[Canary]:
    """Make a canary for the time of a test."""
    folder.mkdir(exist_ok=True)
    canary = Canary(folder)
    try:
        yield canary
    finally:
        canary.close()


def run_qemu(*arguments: str, folder: Path) -> int:
    """Run qemu-img without network, with little memory and time; returns its exit status."""
    limits = [f"--as={ADDRESS_SPACE}", f"--cpu={SECONDS}", f"--fsize={FILE_BYTES}"]
    command = ["prlimit", *limits, "qemu-img", *arguments]
    bwrap = shutil.which("bwrap")
    if bwrap is not None:
        sandbox = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
        probe = [*sandbox, "true"]
        if subprocess.run(probe, check=False, capture_output=True, timeout=30).returncode == 0:
            command = [*sandbox, "--dev", "/dev", "--bind", str(folder), str(folder), *command]
    return subprocess.run(command, check=False, capture_output=True, timeout=60, cwd=folder).returncode
