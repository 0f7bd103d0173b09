"""What each stage of a pull costs by itself, in CPU seconds for a GiB: where time goes, what the floor is."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from bench.case_pull import ALL
from bench.check import guards_of_pull
from bench.figures import Row, compare, row
from bench.lab.origin import Origin, origin
from bench.lab.place import MIB, Lab, make_file
from bench.lab.service import toml
from fetcher.config import load_settings
from fetcher.pipeline import PeerClock
from fetcher.store import Staged
from fetcher.transport import Gate, SourceRequest

# What is computed of each image under each address, where nothing else is promised.
ADDRESSES = {"sha256": ALL, "sha512": ["md5", "sha512"]}
CACHED = "write through the page cache and fsync, as direct_io = false does"


def measure(lab: Lab) -> list[Row]:
    """Read and throw away, judge, digest, write: one after the other."""
    make_file(lab.fast / "big", lab.size_mib * MIB)
    per_gib = 1024 / lab.size_mib
    rows: list[Row] = []
    spent: dict[str, list[float]] = {}
    with origin(lab) as source:
        config = lab.folder / "stages.toml"
        allow = [{"cidr": "127.0.0.1/32", "ports": [source.http, source.https]}]
        tls, url = {"ca_file": str(source.ca)}, {"allow_literals": True}
        config.write_text(toml({"address": {"allow": allow}, "url": url, "tls": tls}))
        stages: dict[str, Callable[[], None]] = {
            "read over http": lambda: uvloop.run(_read(config, source, "http")),
            "read over https": lambda: uvloop.run(_read(config, source, "https")),
            "guards": lambda: _judge(lab.size_mib),
            **{name: (lambda name=name: _digest(name, lab.size_mib)) for name in ALL},  # type: ignore[misc] # bound to its name by a default
            "write and fsync": lambda: _write(lab.folder / "staged", lab.size_mib, is_direct=True),
            CACHED: lambda: _write(lab.folder / "staged", lab.size_mib, is_direct=False),
        }
        for _ in range(lab.rounds):
            for name, stage in stages.items():
                os.sync()
                began = time.process_time()
                stage()
                spent.setdefault(name, []).append((time.process_time() - began) * per_gib)
    (lab.fast / "big").unlink()
    whole = [
        sum(spent[name][number] for name in spent if name != CACHED and "https" not in name)
        for number in range(lab.rounds)
    ]
    for name, values in spent.items():
        parts = [value / total for value, total in zip(values, whole, strict=True)]
        rows.append(compare(row(f"stage: {name}", values, "s/GiB"), parts, "all stages over http"))
    for address, algorithms in ADDRESSES.items():
        values = [sum(spent[name][number] for name in algorithms) for number in range(lab.rounds)]
        name = f"digests of an image, address {address}: {'+'.join(algorithms)}"
        rows.append(row(name, values, "s/GiB"))
    rows.append(row("all stages over http, one after the other", whole, "s/GiB"))
    return rows


async def _read(config: Path, source: Origin, scheme: str) -> None:
    request = SourceRequest(url=source.url("big", scheme))
    async with Gate().open(request, load_settings(config), lambda _hop: None) as opened:
        while await opened.read():
            pass


def _judge(size_mib: int) -> None:
    guards = guards_of_pull(load_settings(), PeerClock(lambda: 0.0))
    chunk = os.urandom(MIB)
    for _ in range(size_mib):
        for guard in guards:
            guard.feed(chunk)
    for guard in guards:
        guard.finish()


def _digest(name: str, size_mib: int) -> None:
    hasher, chunk = hashlib.new(name, usedforsecurity=False), os.urandom(MIB)
    for _ in range(size_mib):
        hasher.update(chunk)


def _write(path: Path, size_mib: int, *, is_direct: bool) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    staged = Staged(path, descriptor, is_direct=is_direct)
    chunk = os.urandom(MIB)
    for _ in range(size_mib):
        staged.write(chunk)
    staged.sync()
    staged.discard()
