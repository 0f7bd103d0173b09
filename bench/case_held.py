"""200 imports of one project held by hostile origins, and what another project's import has to bear."""

import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.figures import Row, compare, row
from bench.hostile import KINDS
from bench.lab.origin import origin
from bench.lab.place import MIB, ROOT, Lab, make_file
from bench.lab.service import Service, service

HELD = 200
SIZE_MIB = 100
PULLS = 5  # One takes less than half a second.
STEADY_SECONDS = 5.0
PEOPLE = ("attacker", "victim")
RULES: dict[str, dict[str, Any]] = {
    "auth": {
        "mode": "tokens",
        "tokens": [
            {
                "sha256": hashlib.sha256(name.encode()).hexdigest(),
                "project": name,
                "user": name,
                "roles": ["member"],
            }
            for name in PEOPLE
        ],
    },
    # Else 64 of them would run and the rest would wait.
    "imports": {
        "max_running_per_project": HELD,
        "max_running_per_origin": HELD,
        "max_connections_per_address": 4 * HELD,
    },
}


def measure(lab: Lab) -> list[Row]:
    """Pull the same image with and without 200 held imports beside it, in turn."""
    make_file(lab.fast / "image", SIZE_MIB * MIB)
    starts: list[float] = []
    rates: dict[str, list[float]] = {"alone": [], "beside": []}
    memory: dict[str, list[float]] = {"before": [], "held": [], "later": [], "peak": [], "alone": []}
    with origin(lab) as source, hostile() as port:
        allow = [{"cidr": "127.0.0.1/32", "ports": [source.http, source.https, port]}]
        rules = {**RULES, "address": {"allow": allow}}
        for _ in range(lab.rounds):
            with service(lab, source, **rules) as ours:
                ours.token = "victim"
                os.sync()
                rates["alone"].append(SIZE_MIB / pulls(ours, source.url("image"))[1])
                memory["alone"].append(ours.peak_bytes() / MIB)
            with service(lab, source, **rules) as ours:
                memory["before"].append(ours.resident_bytes() / MIB)
                hold(ours, port)
                memory["held"].append(ours.resident_bytes() / MIB)
                time.sleep(STEADY_SECONDS)
                memory["later"].append(ours.resident_bytes() / MIB)
                ours.token = "victim"
                os.sync()
                start, seconds = pulls(ours, source.url("image"))
                starts.append(1000 * start)
                rates["beside"].append(SIZE_MIB / seconds)
                memory["peak"].append(ours.peak_bytes() / MIB)
                if connections(port) < HELD * 0.9:
                    raise RuntimeError("the held imports were let go while another ran")
    (lab.fast / "image").unlink()
    ratios = [a / b for a, b in zip(rates["beside"], rates["alone"], strict=True)]
    beside = row(f"{SIZE_MIB} MiB beside {HELD} held imports", rates["beside"], "MiB/s")
    growth = [after - before for after, before in zip(memory["later"], memory["held"], strict=True)]
    return [
        row(f"{SIZE_MIB} MiB alone", rates["alone"], "MiB/s"),
        compare(beside, ratios, "the same alone", least=0.9),
        row(f"submission to first request, beside {HELD} held", starts, "ms", most=250),
        row("memory before any import", memory["before"], "MiB"),
        row(f"memory with {HELD} held", memory["held"], "MiB"),
        row(f"growth of it in {STEADY_SECONDS:g} s", growth, "MiB", most=8),
        row("peak memory with the image pulled beside them", memory["peak"], "MiB"),
        row("peak memory with the image pulled alone", memory["alone"], "MiB"),
    ]


@contextlib.contextmanager
def hostile() -> Iterator[int]:
    """Run the origin that holds everybody; its port."""
    command = [sys.executable, "-m", "bench.hostile"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def hold(ours: Service, port: int) -> None:
    """Submit what will be held, and wait until all of it is."""
    ours.token = "attacker"
    for number in range(HELD):
        url = f"http://127.0.0.1:{port}/{KINDS[number % len(KINDS)]}/{number}"
        status, document = ours.call("POST", "/imports", {"url": url, "disk_format": "raw"})
        if status != 202:
            raise RuntimeError(f"refused: {document}")
    ends = time.monotonic() + 30
    while connections(port) < HELD:
        if time.monotonic() > ends:
            raise RuntimeError(f"only {connections(port)} imports are held")
        time.sleep(0.02)


def connections(port: int) -> int:
    """How many connections a port of loopback has accepted and not closed."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def pulls(ours: Service, url: str) -> tuple[float, float]:
    """Pull an image a few times; the medians of the seconds to the first request, and to the end."""
    each = [seconds_of(ours.pull(url)) for _ in range(PULLS)]
    return statistics.median(start for start, _ in each), statistics.median(end for _, end in each)


def seconds_of(document: dict[str, Any]) -> tuple[float, float]:
    """From submission to the first request, and to the end."""
    created, ended = (datetime.fromisoformat(document[name]) for name in ("created_at", "ended_at"))
    first = datetime.fromisoformat(document["attempts"][0]["started_at"])
    return (first - created).total_seconds(), (ended - created).total_seconds()
