"""One big pull, from POST to active, beside the shell pipelines that a user could write."""

import hashlib
import os
import time
from pathlib import Path

from bench.figures import Rounds, Row, Sample, compare, row
from bench.lab.origin import Origin, origin, shell
from bench.lab.place import MIB, Lab, make_file
from bench.lab.service import service

ALL = ["md5", "sha256", "sha512"]
CURL = "curl | file"


def measure(lab: Lab) -> list[Row]:
    """Pull over http and https: with the digests of the Image API, these without sha256, and sha256 alone."""
    make_file(lab.fast / "big", lab.size_mib * MIB)
    make_file(lab.fast / "tiny", 65_536)
    rows: list[Row] = []
    with origin(lab) as source:
        for scheme in ("http", "https"):
            rows += _scheme(lab, source, scheme)
    (lab.fast / "big").unlink()
    return rows


def _scheme(lab: Lab, source: Origin, scheme: str) -> list[Row]:
    size = f"{lab.size_mib} MiB {scheme}"
    three, one = f"pull {size}, md5+sha256+sha512", f"pull {size}, sha256"
    two = f"pull {size}, md5+sha512, address sha512"
    tee, tee_one, curl = (
        f"curl|tee 3 sums > file ({scheme})",
        f"curl|tee sha256sum > file ({scheme})",
        f"curl > file ({scheme})",
    )
    bare = f"bare digests of {lab.size_mib} MiB ({scheme})"
    rounds = Rounds()
    url, out = source.url("big", scheme), lab.folder / "out"
    for _ in range(lab.rounds):
        rounds.add(three, pull(lab, source, url, ALL))
        rounds.add(tee, _piped(tee_to(url, out, ["md5sum", "sha512sum", "sha256sum"]), source, out))
        rounds.add(one, pull(lab, source, url, ["sha256"]))
        rounds.add(two, pull(lab, source, url, ["md5", "sha512"], address="sha512"))
        rounds.add(curl, _piped(f"curl -sf -o {out} {url}", source, out))
        rounds.add(tee_one, _piped(tee_to(url, out, ["sha256sum"]), source, out))
        rounds.add(bare, bare_digests(lab.size_mib, ALL))
    cpu = [a / b for a, b in zip(rounds.cpu(three), rounds.cpu(bare), strict=True)]
    gib = lab.size_mib / 1024
    return [
        rounds.against(three, tee, most=0.55),
        rounds.against(one, curl, most=1.1),
        rounds.against(one, tee_one),
        rounds.against(two, three),
        compare(
            row(f"CPU of {three}", [value / gib for value in rounds.cpu(three)], "s/GiB"), cpu, bare, most=1.5
        ),
        row(f"CPU of {one}", [value / gib for value in rounds.cpu(one)], "s/GiB"),
        row(f"CPU of {two}", [value / gib for value in rounds.cpu(two)], "s/GiB"),
        row(f"peak memory of {three}", rounds.peaks_mib(three), "MiB", most=120),
    ]


def pull(lab: Lab, source: Origin, url: str, algorithms: list[str], address: str = "sha256") -> Sample:
    """One pull by a service that was started for it, so that its peak of memory is this pull's."""
    with service(lab, source, checksum={"computed": algorithms, "address": address}) as ours:
        ours.pull(source.url("tiny"))
        os.sync()
        cpu, began = ours.cpu_seconds(), time.perf_counter()
        ours.pull(url)
        seconds = time.perf_counter() - began
        return Sample(seconds=seconds, cpu_seconds=ours.cpu_seconds() - cpu, peak_bytes=ours.peak_bytes())


def tee_to(url: str, out: Path, sums: list[str]) -> str:
    """`curl | tee >(md5sum) ... > file`, but all sums are waited for."""
    opened, targets, closed = "", "", ""
    for number, tool in enumerate(sums, start=5):
        # A later substitution inherits the earlier pipes, whose readers would then never see an end.
        opened += f"exec {number}> >({closed and f'exec {closed};'} {tool} >/dev/null); W{number}=$!; "
        targets += f"/dev/fd/{number} "
        closed += f"{number}>&- "
    waits = " ".join(f"$W{number}" for number in range(5, 5 + len(sums)))
    return f"{opened} curl -sf {url} | tee {targets} > {out}; exec {closed}; wait {waits}"


def _piped(command: str, source: Origin, out: Path) -> Sample:
    os.sync()
    sample = shell(command, source)
    out.unlink()
    return sample


def bare_digests(size_mib: int, algorithms: list[str]) -> Sample:
    """The digests alone, over bytes that are in memory, one after the other."""
    block = os.urandom(MIB)
    hashers = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(size_mib):
        for hasher in hashers:
            hasher.update(block)
    return Sample(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu)
