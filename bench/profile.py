"""Where a pull spends its time: py-spy's samples by thread and by the last line of ours on the stack."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from bench.case_pull import ALL
from bench.lab.origin import origin
from bench.lab.place import MIB, Lab, make_file
from bench.lab.service import service

ROWS = 20


def profile(lab: Lab, scheme: str = "http") -> None:
    """Print the top places of one pull, in parts of all samples of busy threads."""
    make_file(lab.fast / "big", lab.size_mib * MIB)
    raw = lab.folder / "samples"
    with origin(lab) as source, service(lab, source, checksum={"computed": ALL}) as ours:
        spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--nonblocking", "--threads"]
        command = [*spy, "-r", "200", "-d", "600", "-f", "raw", "-o", str(raw), "-p", str(ours.process.pid)]
        watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        ours.pull(source.url("big", scheme))
        ours.__exit__()  # The samples are written when what is watched ends.
        watcher.wait(60)
    found: Counter[tuple[str, str]] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        ours_last = next((frame for frame in reversed(frames) if "fetcher/" in frame), frames[-1])
        found[_thread(frames[0]), ours_last] += int(count)
    total = sum(found.values())
    for (thread, place), samples in found.most_common(ROWS):
        print(f"{samples / total:6.1%}  {thread:14}  {place}")


def _thread(frame: str) -> str:
    name = frame.rpartition(": ")[2]
    return "loop" if "MainThread" in name else name.rstrip("0123456789").rstrip("-_")
