"""Machines that are short of something while a test says so: a disk, descriptors, memory."""

import asyncio
import errno
import random
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import Process

SOURCE = Path(__file__).with_name("shortage.c")
DISK = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ENOMEM")
LIMITS = {
    "descriptors": resource.RLIMIT_NOFILE,
    "length of files": resource.RLIMIT_FSIZE,
    "memory": resource.RLIMIT_AS,
}
START_SECONDS = 6.0  # How long a start meets a disk that is short, at most.
BEGINS_SHORT = 0.15  # The part of all lives in which a start meets a disk that is short already.
ROOM_BYTES = 1 << 20  # Of memory that a process without any still has, at most.


class Switch:
    """A disk that is full, over a quota, read-only or failing while this says so; nothing without a compiler.

    Attributes:
        environment: Of the processes that it works on.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shortage"
        self.environment: dict[str, str] = {}
        library = folder / "shortage.so"
        made = shutil.which("cc") and subprocess.run(
            ["cc", "-shared", "-fPIC", "-w", "-o", library, SOURCE, "-ldl"], check=False
        )
        if made and made.returncode == 0:
            self._file.write_bytes(bytes(4))
            data = {"SHORTAGE": str(self._file), "SHORTAGE_FOLDER": str(folder / "data")}
            self.environment = {"LD_PRELOAD": str(library), **data}

    @contextmanager
    def short(self, kind: str) -> Iterator[None]:
        """Have the disk fail for as long as this lasts."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(getattr(errno, kind).to_bytes(4, sys.byteorder))
            try:
                yield
            finally:
                file.seek(0)
                file.write(bytes(4))


class Shortages:
    """Shortages of one process, switched on and off at random while it works.

    Args:
        switch: The disk's.
        dice: Decides what is short, when and for how long.

    Attributes:
        seen: How often each was on.
    """

    def __init__(self, switch: Switch, dice: random.Random) -> None:
        self._switch, self._dice = switch, dice
        self.seen: Counter[str] = Counter()

    async def run(self, process: Process, is_up: asyncio.Event) -> None:
        """Switch one on and off, and another, until this is cancelled; then the last one is off as well."""
        if self._switch.environment and self._dice.random() < BEGINS_SHORT:
            with self._on(self._dice.choice(DISK), process):
                await asyncio.sleep(self._dice.uniform(0, START_SECONDS))
        await is_up.wait()  # Before that, it may say that it cannot start.
        kinds = [*LIMITS, *(DISK if self._switch.environment else ())]
        while True:
            await asyncio.sleep(self._dice.uniform(0, 0.4))
            with self._on(self._dice.choice(kinds), process):
                await asyncio.sleep(self._dice.uniform(0, 0.3))

    @contextmanager
    def _on(self, kind: str, process: Process) -> Iterator[None]:
        self.seen[kind] += 1
        with self._switch.short(kind) if kind in DISK else limited(process.pid, kind):
            yield


@contextmanager
def limited(pid: int, kind: str) -> Iterator[None]:
    """Take descriptors, the length of files or memory from a process; one that has ended needs none."""
    try:
        before = resource.prlimit(pid, LIMITS[kind])
        resource.prlimit(pid, LIMITS[kind], (_least(pid, kind), before[1]))
    except (ProcessLookupError, FileNotFoundError):
        before = None
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            if before is not None:
                resource.prlimit(pid, LIMITS[kind], before)


def _least(pid: int, kind: str) -> int:
    """Return the limit at which a process keeps what it has and gets hardly more."""
    if kind == "descriptors":
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    if kind == "memory":
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        return pages * resource.getpagesize() + ROOM_BYTES
    return 0
