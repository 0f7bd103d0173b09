"""Many imports at once: throughput beside one big pull, and a thousand slow ones beside a quick API."""

import http.client
import os
import statistics
import time

from bench.figures import Row, compare, row
from bench.lab.origin import origin
from bench.lab.place import MIB, Lab, Missing, make_file
from bench.lab.service import Service, service

OPEN = {
    "max_running": 2000,
    "max_running_per_project": 2000,
    "max_running_per_origin": 2000,
    "max_connections_per_address": 4000,
}
EACH_MIB = 16


def fast(lab: Lab) -> list[Row]:
    """100 imports of 16 MiB from a fast origin, and fewer at once for the curve, beside one pull."""
    counts = (1, 4, 16, 50, 100)
    make_file(lab.fast / "big", lab.size_mib * MIB)
    for number in range(max(counts)):
        make_file(lab.fast / f"small{number}", EACH_MIB * MIB)
    rates: dict[str, list[float]] = {}
    peaks: list[float] = []
    with origin(lab) as source:
        for _ in range(lab.rounds):
            with service(lab, source, imports=OPEN) as ours:
                os.sync()
                began = time.perf_counter()
                ours.pull(source.url("big"))
                rates.setdefault("one", []).append(lab.size_mib / (time.perf_counter() - began))
            for count in counts:
                with service(lab, source, imports=OPEN) as ours:
                    os.sync()
                    seconds = together(ours, [source.url(f"small{number}") for number in range(count)])
                    rates.setdefault(str(count), []).append(count * EACH_MIB / seconds)
                    peaks.append(ours.peak_bytes() / MIB)
    for path in lab.fast.iterdir():
        path.unlink()
    versus = f"one pull of {lab.size_mib} MiB"
    rows = [row(f"throughput of {versus}", rates["one"], "MiB/s")]
    for count in counts:
        each = rates[str(count)]
        ratios = [a / b for a, b in zip(each, rates["one"], strict=True)]
        line = row(f"throughput of {count} x {EACH_MIB} MiB", each, "MiB/s")
        rows.append(compare(line, ratios, versus, least=0.8 if count == 100 else None))
    rows.append(row(f"peak memory of 100 x {EACH_MIB} MiB", peaks[len(counts) - 1 :: len(counts)], "MiB"))
    return rows


def together(ours: Service, urls: list[str]) -> float:
    """Submit all, wait until none is left, and make sure that each has succeeded; the seconds it took."""
    began = time.perf_counter()
    for url in urls:
        submit(ours, url)
    while any(ours.call("GET", "/healthz")[1]["imports"][name] for name in ("queued", "running")):
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    done = ours.call("GET", "/imports?state=succeeded&limit=1000")[1]["imports"]
    if len(done) != len(urls):
        raise RuntimeError(f"{len(urls) - len(done)} of {len(urls)} imports did not succeed")
    return seconds


def submit(ours: Service, url: str) -> str:
    """Submit one URL; the id of its import."""
    status, document = ours.call("POST", "/imports", {"url": url, "disk_format": "raw"})
    if status != 202:
        raise RuntimeError(f"refused: {document}")
    return str(document["id"])


def slow(lab: Lab) -> list[Row]:
    """1,000 imports from sources of 64 KiB/s, and how long API calls take meanwhile."""
    count, rate = lab.part_of(1000), 65_536
    # So long that none ends, and none of them is counted as standing still, however slow the submissions are.
    make_file(lab.fast / "trickle", 300 * rate)
    waits: list[float] = []
    peaks: list[float] = []
    spreads: list[float] = []
    cpu: list[float] = []
    with origin(lab, slow="64k") as source:
        for _ in range(max(1, lab.rounds // 2)):
            with service(lab, source, imports=OPEN) as ours:
                ids = [submit(ours, source.url(f"slow/trickle?{number}")) for number in range(count)]
                _until_each_has_a_rate(ours, count)
                spent = ours.cpu_seconds()
                waits += _ask(ours, ids, seconds=10)
                cpu.append((ours.cpu_seconds() - spent) / 10)
                rates = _rates(ours)
                if len(rates) < count:
                    raise Missing(f"{count - len(rates)} of {count} imports did not go on")
                spreads.append(min(rates) / statistics.median(rates))
                peaks.append(ours.peak_bytes() / MIB)
    (lab.fast / "trickle").unlink()
    name = f"{count} slow imports at once"
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    tail = row(f"API p99 beside {name}", [1000 * p99], "ms", most=50)
    tail.high = 1000 * waits[-1]
    return [
        row(f"API median beside {name}", [1000 * value for value in waits], "ms"),
        tail,
        row(f"peak memory of {name}", peaks, "MiB", most=300),
        row(f"CPU of {name}", cpu, "cores"),
        compare(
            row(f"slowest of {name}", spreads, "of the median rate"),
            spreads,
            "the median import",
            least=0.5,
        ),
    ]


def _ask(ours: Service, ids: list[str], seconds: float) -> list[float]:
    """What a client that asks for one import, the list and the images in turn has to wait."""
    client = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
    waits: list[float] = []
    ends = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < ends:
        number += 1
        path = (f"/imports/{ids[number % len(ids)]}", "/imports?limit=25", "/v2/images?limit=25")[number % 3]
        began = time.perf_counter()
        client.request("GET", path)
        client.getresponse().read()
        waits.append(time.perf_counter() - began)
        time.sleep(0.01)
    client.close()
    return waits


def _until_each_has_a_rate(ours: Service, count: int) -> None:
    """Wait until all have begun: one that still stands in line would be called the slowest, at 0."""
    ends = time.perf_counter() + 120
    while len(_rates(ours)) < count:
        if time.perf_counter() > ends:
            raise Missing(f"{count - len(_rates(ours))} of {count} imports did not begin within two minutes")
        time.sleep(0.2)


def _rates(ours: Service) -> list[float]:
    """Bytes per second, over its last few seconds, of every import that has a rate by now."""
    document = ours.call("GET", "/imports?limit=1000")[1]
    rates = (record["progress"]["bytes_per_second"] for record in document["imports"])
    return [rate for rate in rates if rate]
