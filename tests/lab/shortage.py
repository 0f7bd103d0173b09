"""Disks that are full, over a quota or read-only while a test says so."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("shortage.c")
DISK = ("ENOSPC", "EDQUOT", "EROFS")


class Switch:
    """A disk that is full, over a quota or read-only while this says so; nothing without a compiler.

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
