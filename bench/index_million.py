"""The index with a million imports: what each verb costs then, beside what it costs in an empty one.

    python bench/index_million.py [--imports 1000000]

Rows are written as the service writes them, a tenth of them still with their
image; then the verbs are timed, each alone, at both sizes. What grows with
the number of old imports shows as a ratio far above 1.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
from sqlite_utils.db import Database

sys.path.insert(0, str(Path(__file__).parent.parent))

from fetcher.index import Index
from fetcher.index.sqlite.rows import image_row, import_row, to_text
from fetcher.index.values import Quota
from fetcher.model import State
from tests.index.conftest import ALICE, START, activate, make

TURNS = 200
MOST = 10_000_000


def quota(_project: str) -> Quota:
    """Never in the way."""
    return Quota(MOST, MOST * 1000)


def fill(db: Database, first: int, count: int) -> None:
    """Write ended imports, and an image for every tenth: one row varied, so that only writing takes time."""
    new = make(ALICE, first)
    ended = msgspec.structs.replace(new.record, state=State.SUCCEEDED, ended_at=START)
    import_columns, image_columns = import_row(ended, new.shown_url), image_row(new.image)
    imports, images, lines = [], [], []
    for number in range(first, first + count):
        at = to_text(START + timedelta(seconds=number))
        vary = {"project_id": "alice" if number % 3 else "bob", "created_at": at, "updated_at": at}
        imports.append(
            {**import_columns, **vary, "id": str(uuid4()), "image_id": str(uuid4()), "ended_at": at}
        )
        lines.append([at, vary["project_id"], imports[-1]["id"]])
        if number % 10 == 0:
            images.append({**image_columns, **vary, "id": imports[-1]["image_id"]})
    for table, rows in (("imports", imports), ("images", images)):
        names = list(rows[0])
        db.conn.executemany(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})",
            rows,
        )
    line = "INSERT INTO audit (at, project_id, user_id, action, import_id) VALUES (?, ?, 'u', 'made', ?)"
    db.conn.executemany(line, lines)


def set_cache(db: Database, kibibytes: int) -> None:
    """A large cache to fill the file in minutes, SQLite's own to measure with."""
    db.execute(f"PRAGMA cache_size = -{kibibytes}")


async def measure(index: Index) -> dict[str, float]:
    """Median milliseconds of each verb."""
    waiting = [make(number=MOST + number) for number in range(TURNS)]
    page = await index.imports.page(ALICE, {}, limit=25)
    marker = page[-1].id if page else None

    async def whole(number: int) -> None:
        await activate(index, waiting[number])

    verbs: dict[str, Callable[[int], Awaitable[object]]] = {
        "submit": lambda number: index.imports.submit(waiting[number], max_queued=MOST),
        "find": lambda number: index.imports.find(waiting[number].record.id, ALICE),
        "claim and activate": whole,
        "page of 25": lambda _number: index.imports.page(ALICE, {}, limit=25),
        "next page": lambda _number: index.imports.page(ALICE, {}, limit=25, marker=marker),
        "page by state": lambda _number: index.imports.page(ALICE, {"state": "succeeded"}, limit=25),
        "unfinished": lambda _number: index.recovery.left_behind(),
        "counts": lambda _number: index.imports.counts(),
        "usage": lambda _number: index.usage.find("alice"),
        "loose files": lambda _number: index.maintenance.loose(),
        "forget 1000": lambda _number: index.imports.forget(START + timedelta(days=9999), most=1000),
    }
    found = {}
    for name, verb in verbs.items():
        times = []
        for number in range(20 if name == "forget 1000" else TURNS):
            began = time.perf_counter()
            await verb(number)
            times.append(time.perf_counter() - began)
        found[name] = statistics.median(times) * 1000
    return found


async def main() -> None:
    """Measure both, print them side by side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--imports", type=int, default=1_000_000)
    count = parser.parse_args().imports
    with tempfile.TemporaryDirectory(prefix="bench-index-") as folder:
        async with Index(Path(folder) / "small.sqlite", quota_of=quota) as index:
            await index.connection.write(fill, 0, 1000)
            small = await measure(index)
        path = Path(folder) / "large.sqlite"
        began = time.perf_counter()
        async with Index(path, quota_of=quota) as index:
            await index.connection.write(set_cache, 800_000)
            for first in range(0, count, 50_000):
                await index.connection.write(fill, first, min(50_000, count - first))
            await index.connection.write(set_cache, 2_000)
            filled = time.perf_counter() - began
            large = await measure(index)
        began = time.perf_counter()
        async with Index(path, quota_of=quota):
            opened = time.perf_counter() - began
        print(f"{count:,} imports: {path.stat().st_size / count:.0f} bytes each, filled in {filled:.0f} s,")
        print(f"opened in {opened * 1000:.0f} ms")
    print(f"{'verb':<20} {'1,000':>10} {count:>12,}   ratio   (median ms)")
    for name, value in large.items():
        print(f"{name:<20} {small[name]:>10.2f} {value:>12.2f} {value / small[name]:>7.1f}")


if __name__ == "__main__":
    asyncio.run(main())
