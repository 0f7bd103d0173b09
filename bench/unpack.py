"""Unpack in the process beside the pipe that a user would write: ratios of one interleaved run.

`python -m bench.unpack [MIB] [ROUNDS]`. The disk is made of programs and libraries of this machine, with
zeros between them. Both sides read the packed file from the page cache and throw the result away; ours also
counts it. CPU seconds are those of all processes of a side.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from fetcher.unpack import Unpacker, UnpackLimits

MIB = 1 << 20
CHUNK_BYTES = 262_144
SLOW = {"xz": 8, "bzip2": 8}  # These get a part of the disk: a whole one takes minutes.
PACKERS = {
    "gzip": ["gzip", "-6"],
    "zstd": ["zstd", "-q", "-3"],
    "lz4": ["lz4", "-q", "-1"],
    "xz": ["xz", "-1"],
    "bzip2": ["bzip2", "-9"],
}


def main(arguments: list[str]) -> int:
    """Measure and print."""
    mib = int(arguments[0]) if arguments else 256
    rounds = int(arguments[1]) if len(arguments) > 1 else 5
    print(
        f"{'format':8} {'MiB':>5} {'ours s/GiB':>11} {'pipe s/GiB':>11} {'wall ratio':>11} {'CPU ratio':>10}"
    )
    with tempfile.TemporaryDirectory() as name:
        for packing, command in PACKERS.items():
            if shutil.which(command[0]) is None:
                continue
            size = mib // SLOW.get(packing, 1)
            packed = make(Path(name), command, size)
            compare(packing, packed, [command[0], "-dc"], size, rounds)
            packed.unlink()
    return 0


def make_disk(disk: Path, mib: int) -> None:
    """Make a disk of real files with holes."""
    libraries = Path(sysconfig.get_path("stdlib"))
    with disk.open("wb") as target:
        while target.tell() < mib * MIB:
            for path in sorted([*Path("/usr/bin").iterdir(), *libraries.glob("*.py")]):
                if path.is_file() and target.tell() < mib * MIB:
                    target.write(path.read_bytes())
                    target.write(bytes(-target.tell() % 4096 + 65_536))
        target.truncate(mib * MIB)


def make(folder: Path, command: list[str], mib: int) -> Path:
    """Make a disk of real files with holes, and pack it."""
    disk, packed = folder / "disk.raw", folder / "disk.packed"
    make_disk(disk, mib)
    with disk.open("rb") as source, packed.open("wb") as target:
        subprocess.run([*command, "-c"], stdin=source, stdout=target, check=True)
    disk.unlink()
    return packed


def compare(packing: str, packed: Path, command: list[str], mib: int, rounds: int) -> None:
    """Run both sides in turn, and print the medians of each round's ratio."""
    figures = []
    for _ in range(rounds):
        ours = timed(lambda: unpack(packed, mib))
        pipe = timed(lambda: read_pipe(command, packed, mib))
        figures.append((ours, pipe))
    per_gib = 1024 / mib
    wall = median(ours[0] / pipe[0] for ours, pipe in figures)
    cpu = median(ours[1] / pipe[1] for ours, pipe in figures)
    ours_cpu = median(ours[1] for ours, _ in figures) * per_gib
    pipe_cpu = median(pipe[1] for _, pipe in figures) * per_gib
    print(f"{packing:8} {mib:5} {ours_cpu:11.2f} {pipe_cpu:11.2f} {wall:11.2f} {cpu:10.2f}", flush=True)


def timed(side: Callable[[], None]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    before, began = os.times(), time.perf_counter()
    side()
    wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


def unpack(packed: Path, mib: int) -> None:
    """Unpack in this process."""
    unpacker = Unpacker(limits=UnpackLimits(max_output_bytes=mib * MIB))
    size = 0
    with packed.open("rb", buffering=0) as source:
        while chunk := source.read(CHUNK_BYTES):
            size += sum(len(piece) for piece in unpacker.feed(chunk))
    size += sum(len(piece) for piece in unpacker.finish())
    assert size == mib * MIB


def read_pipe(command: list[str], packed: Path, mib: int) -> None:
    """Read what a tool writes."""
    with packed.open("rb") as source, subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        size = 0
        while chunk := tool.stdout.read(CHUNK_BYTES):
            size += len(chunk)
    assert size == mib * MIB


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
