"""This checkout beside another: `python -m bench.beside CHECKOUT [ROUNDS] [WHAT ...]`.

Both services run at the same time, each on an index of its own with the same images, and take turns; each
ratio is of one turn's processor time, all threads, so that it tells on a machine with other work, too.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import aiohttp

from bench.case_api import image_id, seed, timed
from bench.lab.origin import origin
from bench.lab.place import Lab, compile_sources, laboratory, make_file
from bench.lab.service import Service

IMAGES = 100_000
GETS = {
    "list of 100": ("/v2/images?limit=100", 120),
    "list of 1,000": ("/v2/images?limit=1000", 15),
    "list of 100 by name": ("/v2/images?limit=100&sort=name", 40),
    "show of one": (f"/v2/images/{image_id(IMAGES // 2)}", 400),
    "health": ("/healthz", 300),
}
SUBMITS, CLIENTS = 400, 16


def spent(ours: Service) -> float:
    """Return the milliseconds of the processor that all threads have had, to the nanosecond (schedstat)."""
    total = 0
    for path in Path(f"/proc/{ours.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((path / "schedstat").read_text().split()[0])
    return total / 1e6


async def _submit(ours: Service, url: str, begin: int) -> None:
    left = iter(range(begin, begin + SUBMITS))
    async with aiohttp.ClientSession(ours.base, headers={"Content-Type": "application/json"}) as session:

        async def client() -> None:
            for number in left:
                body = json.dumps({"url": f"{url}?{number}", "disk_format": "raw"})
                async with session.post("/imports", data=body) as answer:
                    if answer.status != 202:
                        raise RuntimeError(await answer.text())
                    await answer.read()

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


def _turns(both: list[Service], rounds: int, name: str, work: Callable[[Service, int], int]) -> None:
    """Let both take turns at a piece of work, and print what one request takes of each."""
    each: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for place, ours in enumerate(both):
            before = spent(ours)
            count = work(ours, number)
            if number:  # The first turn warms both.
                each[place].append((spent(ours) - before) / count)
    other, mine = (median(values) for values in each)
    ratios = sorted(new / old for old, new in zip(*each, strict=True))
    print(
        f"{name:22} {other:7.3f} -> {mine:7.3f} ms of CPU,"
        f" ratio {median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})"
    )


def _get(path: str, count: int) -> Callable[[Service, int], int]:
    def work(ours: Service, _number: int) -> int:
        timed(ours, path, count)
        return count + 5

    return work


def compare(lab: Lab, checkout: Path, wanted: list[str]) -> None:
    """Run both and print the ratios."""
    make_file(lab.fast / "trickle", 1 << 26)
    with origin(lab, slow="64k") as source, contextlib.ExitStack() as stack:
        both = []
        for place, root in enumerate((checkout, Service.root)):
            home = lab.folder / f"side{place}"
            seed(home / "data" / "index.sqlite", IMAGES)
            ours = Service(
                home,
                source,
                imports={"max_running": 1, "max_queued": 1_000_000},
                quota={"max_images": 10_000_000},
            )
            ours.root = root
            both.append(stack.enter_context(ours))
        for name, (path, count) in GETS.items():
            if not wanted or name in wanted:
                _turns(both, lab.rounds, name, _get(path, count))

        def submit(ours: Service, number: int) -> int:
            asyncio.run(_submit(ours, source.url("slow/trickle"), number * SUBMITS))
            return SUBMITS

        if not wanted or "submission" in wanted:
            _turns(both, lab.rounds, "submission", submit)


if __name__ == "__main__":
    compile_sources()
    with laboratory(int(sys.argv[2]) if len(sys.argv) > 2 else 5, 1) as place:
        compare(place, Path(sys.argv[1]).resolve(), sys.argv[3:])
