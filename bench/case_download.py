"""Fetching an image's bytes, beside nginx's sendfile of the same bytes."""

import time

from bench.figures import Rounds, Row, Sample, row
from bench.lab.origin import origin, shell
from bench.lab.place import MIB, Lab, make_file
from bench.lab.service import service


def measure(lab: Lab) -> list[Row]:
    """Download the whole and the second half with curl."""
    size = lab.size_mib * MIB
    make_file(lab.fast / "big", size)
    half = f"-r {size // 2}-"
    rounds = Rounds()
    name = f"download of {lab.size_mib} MiB"
    with origin(lab) as source, service(lab, source) as ours:
        image = ours.pull(source.url("big"))["image_id"]
        mine, theirs = f"{ours.base}/v2/images/{image}/file", source.url("big")
        shell(f"curl -sf -o /dev/null {mine}")
        for _ in range(lab.rounds):
            for words, option in ((name, ""), (f"{name}, second half", half)):
                cpu = ours.cpu_seconds()
                began = time.perf_counter()
                shell(f"curl -sf {option} -o /dev/null {mine}")
                spent = ours.cpu_seconds() - cpu
                rounds.add(words, Sample(seconds=time.perf_counter() - began, cpu_seconds=spent))
                rounds.add(f"nginx sendfile, {words}", shell(f"curl -sf {option} -o /dev/null {theirs}"))
    (lab.fast / "big").unlink()
    gib = [seconds * 1024 / lab.size_mib for seconds in rounds.cpu(name)]
    return [
        *(
            rounds.against(words, f"nginx sendfile, {words}", most=1.15)
            for words in (name, f"{name}, second half")
        ),
        row(f"CPU of {name}", gib, "s/GiB", most=0.1),
    ]
