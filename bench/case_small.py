"""Many small images, beside a pipeline that computes the same digests; what a queue and readers cost."""

import asyncio
import os
import time
from collections.abc import Coroutine, Iterator

import aiohttp

from bench.case_many import OPEN
from bench.figures import Rounds, Row, Sample, row
from bench.lab.origin import Origin, origin, shell
from bench.lab.place import MIB, Lab, make_file
from bench.lab.service import Service, service

CLIENTS = 16
MANY_CURL = "curl -sf --no-progress-meter -Z --parallel-max"
SUMS = ("md5sum", "sha256sum", "sha512sum")


def many_small(lab: Lab) -> list[Row]:
    """1,000 imports of 64 KiB, submitted by 16 clients."""
    return _many(lab, count=lab.part_of(1000), size=65_536)


def many_mid(lab: Lab) -> list[Row]:
    """500 imports of 1 MiB, submitted by 16 clients."""
    return _many(lab, count=lab.part_of(500), size=MIB)


def _many(lab: Lab, *, count: int, size: int) -> list[Row]:
    rounds = Rounds()
    name, tools = f"{count:,} imports of {size // 1024:,} KiB", f"curl -Z, then {', '.join(SUMS)} and sync"
    for number in range(count):
        make_file(lab.fast / f"small{number}", size)
    with origin(lab) as source:
        for _ in range(lab.rounds):
            with service(lab, source, imports=OPEN) as ours:
                os.sync()
                rounds.add(name, _sample(ours, _import_all(ours, source, count)))
            rounds.add(tools, _pipeline(lab, source, count))
    for path in lab.fast.iterdir():
        path.unlink()
    each = [1000 * seconds / count for seconds in rounds.cpu(name)]
    return [rounds.against(name, tools), row(f"CPU of one of {name}", each, "ms")]


def _sample(ours: Service, work: Coroutine[object, object, None]) -> Sample:
    spent, began = ours.cpu_seconds(), time.perf_counter()
    asyncio.run(work)
    seconds = time.perf_counter() - began
    return Sample(seconds=seconds, cpu_seconds=ours.cpu_seconds() - spent, peak_bytes=ours.peak_bytes())


async def _import_all(ours: Service, source: Origin, count: int) -> None:
    bodies: Iterator[dict[str, str]] = (
        {"url": source.url(f"small{number}"), "disk_format": "raw"} for number in range(count)
    )
    await _post_all(ours, "/imports", bodies, 202)
    async with aiohttp.ClientSession(ours.base) as session:
        while True:
            async with session.get("/healthz") as answer:
                left = (await answer.json())["imports"]
            if not (left["queued"] or left["running"]):
                break
            await asyncio.sleep(0.02)
    done = ours.call("GET", "/v2/images?status=active&limit=1000")[1]["images"]
    if len(done) != min(count, 1000):
        raise RuntimeError(f"{len(done)} of {count} images are active")


async def _post_all(ours: Service, path: str, bodies: Iterator[dict[str, str]], wanted: int) -> None:
    async with aiohttp.ClientSession(ours.base) as session:

        async def client() -> None:
            for body in bodies:
                async with session.post(path, json=body) as answer:
                    if answer.status != wanted:
                        raise RuntimeError(await answer.text())
                    await answer.read()

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


def _pipeline(lab: Lab, source: Origin, count: int) -> Sample:
    """Fetch the same files and have the same sums, all made durable at once."""
    out = lab.folder / "out"
    out.mkdir()
    fetched = f"{MANY_CURL} {CLIENTS} -o '{out}/#1' '{source.url('small')}[0-{count - 1}]'"
    sums = " && ".join(f"{tool} {out}/* > {lab.folder}/{tool}" for tool in SUMS)
    sample = shell(f"{fetched} && {sums} && sync -f {out}")
    for path in out.iterdir():
        path.unlink()
    out.rmdir()
    return sample


def queued(lab: Lab) -> list[Row]:
    """Time until the service is ready while 10,000 imports wait in line."""
    count = lab.part_of(10_000)
    make_file(lab.fast / "trickle", 1 << 26)
    starts: list[float] = []
    with origin(lab, slow="64k") as source:
        home = lab.folder / "queued"
        caps = {"max_running": 1, "max_queued": 100_000}
        with Service(home, source, imports=caps) as ours:
            urls = (
                {"url": f"{source.url('slow/trickle')}?{number}", "disk_format": "raw"}
                for number in range(count)
            )
            asyncio.run(_post_all(ours, "/imports", urls, 202))
        for _ in range(lab.rounds):
            with Service(home, source, imports=caps) as ours:
                starts.append(ours.ready_seconds)
    (lab.fast / "trickle").unlink()
    return [row(f"start with {count:,} queued imports", starts, "s")]


def records(lab: Lab) -> list[Row]:
    """Images made without bytes, beside submissions of imports, by the same clients."""
    count = lab.part_of(2000)
    make_file(lab.fast / "trickle", 1 << 26)
    rounds = Rounds()
    images, imports = f"{count:,} x POST /v2/images", f"{count:,} x POST /imports"
    caps = {"max_running": 1, "max_queued": 100_000}
    with origin(lab, slow="64k") as source:
        for _ in range(lab.rounds):
            for name, path, wanted in ((images, "/v2/images", 201), (imports, "/imports", 202)):
                with service(lab, source, imports=caps) as ours:
                    bodies = _bodies(name == images, source, count)
                    work = _post_all(ours, path, bodies, wanted)
                    rounds.add(name, _sample(ours, work))
    (lab.fast / "trickle").unlink()
    return [rounds.against(images, imports)]


def _bodies(is_image: bool, source: Origin, count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        if is_image:
            yield {"name": f"b{number}", "disk_format": "raw", "container_format": "bare"}
        else:
            yield {"url": f"{source.url('slow/trickle')}?{number}", "disk_format": "raw"}


def downloads(lab: Lab) -> list[Row]:
    """50 downloads of one image at once, beside nginx's sendfile of the same bytes."""
    size_mib, count = max(1, lab.part_of(64)), 50
    make_file(lab.fast / "big", size_mib * MIB)
    rounds = Rounds()
    mine, theirs = f"{count} downloads of {size_mib} MiB at once", "nginx sendfile, as many"
    with origin(lab) as source, service(lab, source) as ours:
        image = ours.pull(source.url("big"))["image_id"]
        for _ in range(lab.rounds):
            for name, url in ((mine, f"{ours.base}/v2/images/{image}/file"), (theirs, source.url("big"))):
                rounds.add(
                    name,
                    shell(f"{MANY_CURL} {count} {f'-o /dev/null {url} ' * count}"),
                )
    (lab.fast / "big").unlink()
    return [rounds.against(mine, theirs)]
