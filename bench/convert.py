"""qcow2 to raw in one pass, beside `curl > file && qemu-img convert` (`python -m bench.convert`).

Both contenders take their turns in one run, each a process of its own with its start included. What is
written is counted in bytes of the files that come up, memory as the most that was resident at once.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.lab.origin import Origin, origin, shell
from bench.lab.place import MIB, Lab, laboratory

KINDS = {
    "plain": ["-O", "qcow2"],
    "deflate": ["-O", "qcow2", "-c"],
    "zstd": ["-O", "qcow2", "-c", "-o", "compression_type=zstd"],
}
MAX_RATIO, MAX_WRITTEN, MAX_MIB = 0.8, 1.005, 160


def make_disk(path: Path, size: int) -> None:
    """Write a disk like an installed one: a third random, a third text, a third zeros."""
    picked = random.Random(1)
    noise, text = picked.randbytes(MIB), b"".join(b"%d %x\n" % (n, n * n) for n in range(70_000))[:MIB]
    with path.open("wb") as file:
        for number in range(size // MIB):
            kind = number % 3
            if kind:
                file.seek(number * MIB)
                file.write(number.to_bytes(8, "big") + (noise if kind == 1 else text)[8:])
        file.truncate(size)


def measure(lab: Lab, source: Origin, kind: str) -> bool:
    """Print one line of the table; the answer is whether all was reached."""
    ours, theirs, packed = lab.folder / "ours", lab.folder / "theirs", lab.folder / "packed"
    url = source.url(kind, "http")
    ratios, mine, others, facts = [], [], [], {}
    for _ in range(lab.rounds):
        ours.unlink(missing_ok=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", "bench.one_pass", url, str(ours)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        mine.append(time.perf_counter() - began)
        facts = json.loads(done.stdout)
        theirs.unlink(missing_ok=True)
        line = f"curl -s {url} > {packed} && qemu-img convert -f qcow2 -O raw {packed} {theirs}"
        others.append(shell(line, source).seconds)
        ratios.append(mine[-1] / others[-1])
    subprocess.run(["cmp", ours, theirs], check=True)
    result = ours.stat().st_blocks * 512
    written = (facts["written"] + facts["kept"]) / result
    peers = (theirs.stat().st_blocks * 512 + packed.stat().st_size) / result
    ratio, peak = statistics.median(ratios), facts["peak"] / MIB
    met = ratio <= MAX_RATIO and written <= MAX_WRITTEN and peak < MAX_MIB
    print(
        f"{kind:8} one pass {statistics.median(mine):.2f} s,"
        f" curl && qemu-img {statistics.median(others):.2f} s,"
        f" ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}; target {MAX_RATIO}),"
        f" written {written:.3f}x (theirs {peers:.2f}x), memory {peak:.0f} MiB: {'met' if met else 'missed'}"
    )
    return met


def main() -> int:
    """Run all kinds; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.convert", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size-mib", type=int, default=1023)
    options = parser.parse_args()
    with laboratory(options.rounds, options.size_mib) as lab, origin(lab) as source:
        make_disk(lab.folder / "disk", options.size_mib * MIB)
        reached = []
        for kind, arguments in KINDS.items():
            image = lab.fast / kind
            subprocess.run(
                ["qemu-img", "convert", "-f", "raw", *arguments, lab.folder / "disk", image], check=True
            )
            image.chmod(0o644)
            reached.append(measure(lab, source, kind))
            image.unlink()
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
