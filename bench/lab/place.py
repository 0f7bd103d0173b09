"""The place of the measurements: folders, files, ports and tools of this machine."""

import compileall
import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MIB = 1 << 20


class Missing(Exception):
    """A tool or a peer is not here; the case is skipped and named."""


@dataclass(kw_only=True)
class Lab:
    """The extent of a measurement, and its place.

    Args:
        rounds: How often each contender gets its turn.
        size_mib: Of the one big image.
        folder: For everything that is written; goes when the run ends.
        fast: Where the origin's files lie: memory, so that the disk is the importer's alone.
        scale: What part of their numbers the cases with many imports take.
    """

    rounds: int
    size_mib: int
    folder: Path
    fast: Path
    scale: float = 1.0

    def part_of(self, count: int) -> int:
        """Return how many of so many this run takes; at least one."""
        return max(1, round(self.scale * count))


@contextlib.contextmanager
def laboratory(rounds: int, size_mib: int, scale: float = 1.0) -> Iterator[Lab]:
    """Make the folders, and remove them at the end."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory() as slow, tempfile.TemporaryDirectory(dir=shared) as fast:
        for path in (slow, fast):
            Path(path).chmod(0o755)
        yield Lab(rounds=rounds, size_mib=size_mib, folder=Path(slow), fast=Path(fast), scale=scale)


def compile_sources() -> None:
    """Compile the service, as `make setup` does: else a start that may not write would do it each time."""
    compileall.compile_dir(ROOT / "fetcher", quiet=2)


def make_file(path: Path, size: int) -> None:
    """Write a file of random-looking bytes, no two blocks of it alike; no boot sector, so it is raw."""
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range((size + MIB - 1) // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece[: min(MIB, size - number * MIB)])
    path.chmod(0o644)


def free_port() -> int:
    """Find a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_open(port: int) -> None:
    """Wait until somebody listens on a port of loopback."""
    for _ in range(400):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise Missing(f"nothing listens on port {port}")


def which(tool: str) -> str:
    """Find a tool.

    Raises:
        Missing: It is not installed.
    """
    for folder in [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]:
        if os.access(f"{folder}/{tool}", os.X_OK):
            return f"{folder}/{tool}"
    raise Missing(f"{tool} is not installed")
