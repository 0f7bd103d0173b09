"""From what is published, packed or in another format, to an active image: beside the pipelines of a user.

The service unpacks and converts while bytes come in, with the digests of both sides, an fsync and the
index; the pipelines only write a file. All take their turns in one run.
"""

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import Rounds, Row, Sample, compare, row
from bench.lab.origin import Origin, origin, shell
from bench.lab.place import MIB, Lab, which
from bench.lab.service import Service, service
from bench.unpack import make_disk
from fetcher.convert.streaming import HEAD_BYTES, Streamable, plan
from fetcher.unpack import Unpacker, UnpackLimits

SLOW_PART = 8  # Of the disk, for xz: a whole one takes minutes.
MAX_MIB = 160
POLL_SECONDS = 0.1  # Asking more often would be measured, too.
PACKED = {
    "gz": ("gzip", ["-6"], 0.6, 1),
    "zst": ("zstd", ["-q", "-3"], 0.6, 1),
    "xz": ("xz", ["-1"], 1.1, SLOW_PART),
}
RECEIVED, KEPT = (
    " ".join(f">(openssl dgst -{name} >&3)" for name in names)
    for names in (("sha256", "sha512"), ("md5", "sha256", "sha512"))
)
BESIDE = "C tools beside one another, openssl for the same digests"
FLOOR = "decoder and the same digests alone"
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
            rows += _compared(lab, source, name, _ways_to_unpack(tool), most)
            disk.unlink()
    return rows


def converted(lab: Lab) -> list[Row]:
    """Convert qcow2 images to raw on their way, plain, compressed and packed once more."""
    which("qemu-img")
    rows: list[Row] = []
    disk, image = lab.folder / "disk.raw", lab.fast / "image"
    with origin(lab) as source:
        for kind, options in KINDS.items():
            make_disk(disk, lab.size_mib)
            command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, disk, image]
            subprocess.run(command, check=True)
            name = f"qcow2 ({kind}) of {lab.size_mib} MiB to active raw image"
            rows += _compared(lab, source, name, WAYS_TO_CONVERT, 0.8, convert={"target": "raw"})
            disk.unlink()
    return rows


class Ways(NamedTuple):
    """The commands of a user who does the same.

    Args:
        bare: Without digests.
        after: What follows a download, without digests.
        beside: With the digests of both sides, which are taken beside everything else.
    """

    bare: str
    after: str
    beside: str


def _ways_to_unpack(tool: str) -> Ways:
    return Ways(
        f"curl -sf URL | {tool} -dc > OUT",
        f"{tool} -dc < GOT > OUT",
        f"{{ curl -sf URL | tee {RECEIVED} | {tool} -dc | tee {KEPT} > OUT; }} 3>&1 | cat",
    )


CONVERT = "qemu-img convert -f qcow2 -O raw GOT OUT"
WAYS_TO_CONVERT = Ways(
    f"curl -sf -o GOT URL && {CONVERT}",
    CONVERT,
    f"{{ curl -sf URL | tee {RECEIVED} > GOT; }} 3>&1 | cat; {CONVERT};"
    f" {{ tee {KEPT} < OUT > /dev/null; }} 3>&1 | cat",
)


def _compared(
    lab: Lab, source: Origin, name: str, ways: Ways, most: float, **sections: dict[str, Any]
) -> list[Row]:
    (lab.fast / "image").chmod(0o644)
    (lab.fast / "tiny").write_bytes(os.urandom(65_536))
    (lab.fast / "tiny").chmod(0o644)
    said = ways.bare
    got, out, written, rounds = lab.folder / "got", lab.folder / "out", [], Rounds()

    def command(line: str) -> str:
        places = {"URL": source.url("image"), "GOT": str(got), "OUT": str(out)}
        return re.sub("URL|GOT|OUT", lambda found: places[found[0]], line)

    # The same work: what was received has two digests, what is kept three.
    sums = " && ".join(f"{name}sum OUT" for name in ("md5", "sha256", "sha512"))
    summed = f"curl -sf -o GOT URL && sha256sum GOT && sha512sum GOT && {ways.after} && {sums}"
    for _ in range(lab.rounds):
        with service(lab, source, **sections) as ours:
            sample, share = _import(ours, source, "qcow2" if sections else "raw")
        rounds.add(name, sample)
        written.append(share)
        out.unlink(missing_ok=True)
        got.unlink(missing_ok=True)
        rounds.add(said, shell(command(said), source))
        rounds.add(FLOOR, _floor(lab.fast / "image", out, is_packed=not sections))
        out.unlink()
        rounds.add(summed, shell(command(summed), source))
        out.unlink()
        # The shell's `cat` ends when every digest has been printed.
        rounds.add(BESIDE, shell(command(ways.beside), source))
    (lab.fast / "image").unlink()
    got.unlink(missing_ok=True)
    out.unlink()
    cpu, floor = (
        [a / b for a, b in zip(rounds.cpu(name), rounds.cpu(other), strict=True)] for other in (said, FLOOR)
    )
    least = [a / 2 / b for a, b in zip(rounds.cpu(FLOOR), rounds.seconds(said), strict=True)]
    return [
        rounds.against(name, said, most=most),
        rounds.against(name, summed),
        rounds.against(name, BESIDE),
        rounds.against(BESIDE, said),
        compare(row(f"CPU of {name}", rounds.cpu(name), "s"), cpu, said),
        compare(row(f"CPU of {name}", rounds.cpu(name), "s"), floor, FLOOR),
        compare(row(f"{FLOOR}, on two cores", rounds.cpu(FLOOR), "s"), least, said),
        row(f"written, parts of the result: {name}", written, "x", most=1.02),
        row(f"peak memory of {name}", rounds.peaks_mib(name), "MiB", most=MAX_MIB),
    ]


def _floor(image: Path, disk: Path, *, is_packed: bool) -> Sample:
    """Take apart what was received, and make the digests of both sides: no import can take less."""
    came = [hashlib.new(name) for name in ("sha256", "sha512")]
    kept = [hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha256", "sha512")]
    began, cpu = time.perf_counter(), time.process_time()
    if is_packed:
        unpacker = Unpacker(limits=UnpackLimits())
        for chunk in _digested(image, came):
            for _piece in unpacker.feed(chunk):
                pass
    else:
        with image.open("rb") as file:
            found = plan(file.read(HEAD_BYTES))
            assert isinstance(found, Streamable)
            converter = found.start(lambda offset, length: os.pread(file.fileno(), length, offset))
            for chunk in _digested(image, came):
                for _output in converter.feed(chunk):
                    pass
    for _chunk in _digested(disk, kept):
        pass
    return Sample(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu)


def _digested(path: Path, hashers: list[Any]) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(MIB):
            for hasher in hashers:
                hasher.update(chunk)
            yield chunk


def _import(ours: Service, source: Origin, disk_format: str) -> tuple[Sample, float]:
    """Import once; also return how many bytes reached the disk for each of the result."""
    while ours.call("GET", "/readyz")[0] != 200:
        time.sleep(0.02)
    ours.pull(source.url("tiny"))
    cpu, before = ours.cpu_seconds(), ours.written_bytes()
    seconds = ours.timed_pull(source.url("image"), every=POLL_SECONDS, disk_format=disk_format)
    used = ours.cpu_seconds() - cpu
    result = max(blob.stat().st_blocks * 512 for blob in ours.blobs())
    sample = Sample(seconds=seconds, cpu_seconds=used, peak_bytes=ours.peak_bytes())
    return sample, (ours.written_bytes() - before) / result
