"""From what is published, packed or in another format, to an active image: beside the pipelines of a user.

The service unpacks and converts while bytes come in, with the digests of both sides, an fsync and the
index; the pipelines only write a file. All take their turns in one run.
"""

import os
import re
import subprocess
import time
from typing import Any

from bench.figures import Rounds, Row, Sample, compare, row
from bench.lab import Lab, Origin, Service, origin, service, shell, which
from bench.unpack import make_disk

SLOW_PART = 8  # Of the disk, for xz: a whole one takes minutes.
MOST_MIB = 160
PACKED = {
    "gz": ("gzip", ["-6"], 0.6, 1),
    "zst": ("zstd", ["-q", "-3"], 0.6, 1),
    "xz": ("xz", ["-1"], 1.1, SLOW_PART),
}
KINDS = {"plain": [], "deflate": ["-c"], "zstd": ["-c", "-o", "compression_type=zstd"]}


def packed(lab: Lab) -> list[Row]:
    """Unpack raw disks as gz, zst and xz on their way."""
    rows: list[Row] = []
    with origin(lab) as source:
        for suffix, (tool, options, most, part) in PACKED.items():
            which(tool)
            size = max(1, lab.size_mib // part)
            disk = lab.folder / "disk.raw"
            make_disk(disk, size)
            with disk.open("rb") as body, (lab.fast / "image").open("wb") as target:
                subprocess.run([tool, *options, "-c"], stdin=body, stdout=target, check=True)
            name = f".raw.{suffix} of {size} MiB to active image"
            ways = (f"curl -sf URL | {tool} -dc > OUT", f"{tool} -dc < GOT > OUT")
            rows += _compared(lab, source, name, ways, most)
            disk.unlink()
    return rows


def converted(lab: Lab) -> list[Row]:
    """Convert qcow2 images to raw on their way, plain, compressed and packed once more."""
    which("qemu-img")
    rows: list[Row] = []
    disk, image = lab.folder / "disk.raw", lab.fast / "image"
    convert = "qemu-img convert -f qcow2 -O raw GOT OUT"
    ways = (f"curl -sf -o GOT URL && {convert}", convert)
    with origin(lab) as source:
        for kind, options in KINDS.items():
            make_disk(disk, lab.size_mib)
            command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, disk, image]
            subprocess.run(command, check=True)
            name = f"qcow2 ({kind}) of {lab.size_mib} MiB to active raw image"
            rows += _compared(lab, source, name, ways, 0.8, convert={"target": "raw"})
            disk.unlink()
    return rows


def _compared(
    lab: Lab, source: Origin, name: str, ways: tuple[str, str], most: float, **sections: dict[str, Any]
) -> list[Row]:
    (lab.fast / "image").chmod(0o644)
    (lab.fast / "tiny").write_bytes(os.urandom(65_536))
    (lab.fast / "tiny").chmod(0o644)
    said, alone = ways
    got, out, written, rounds = lab.folder / "got", lab.folder / "out", [], Rounds()

    def command(line: str) -> str:
        places = {"URL": source.url("image"), "GOT": str(got), "OUT": str(out)}
        return re.sub("URL|GOT|OUT", lambda found: places[found[0]], line)

    # The same work: what was received has two digests, what is kept three.
    sums = " && ".join(f"{name}sum OUT" for name in ("md5", "sha256", "sha512"))
    summed = f"curl -sf -o GOT URL && sha256sum GOT && sha512sum GOT && {alone} && {sums}"
    for _ in range(lab.rounds):
        with service(lab, source, **sections) as ours:
            sample, share = _import(ours, source, "qcow2" if sections else "raw")
        rounds.add(name, sample)
        written.append(share)
        out.unlink(missing_ok=True)
        got.unlink(missing_ok=True)
        rounds.add(said, shell(command(said), source))
        out.unlink()
        rounds.add(summed, shell(command(summed), source))
    (lab.fast / "image").unlink()
    got.unlink()
    out.unlink()
    cpu = [a / b for a, b in zip(rounds.cpu(name), rounds.cpu(said), strict=True)]
    return [
        rounds.against(name, said, most=most),
        rounds.against(name, summed),
        compare(row(f"CPU of {name}", rounds.cpu(name), "s"), cpu, said),
        row(f"written, parts of the result: {name}", written, "x", most=1.02),
        row(f"peak memory of {name}", rounds.peaks_mib(name), "MiB", most=MOST_MIB),
    ]


def _import(ours: Service, source: Origin, disk_format: str) -> tuple[Sample, float]:
    """Import once; also return how many bytes reached the disk for each of the result."""
    while ours.call("GET", "/readyz")[0] != 200:
        time.sleep(0.02)
    ours.pull(source.url("tiny"))
    cpu, before = ours.cpu_seconds(), ours.written_bytes()
    seconds = ours.timed_pull(source.url("image"), disk_format=disk_format)
    used = ours.cpu_seconds() - cpu
    result = max(blob.stat().st_blocks * 512 for blob in ours.blobs())
    sample = Sample(seconds=seconds, cpu_seconds=used, peak_bytes=ours.peak_bytes())
    return sample, (ours.written_bytes() - before) / result
