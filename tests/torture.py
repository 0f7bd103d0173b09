"""The service killed again and again in the middle of everything, and judged after each kill.

    python -m tests.torture --kills 300 --seed 1

Every round starts a real server process on the store that the last one left,
throws random imports, cancels, deletions and shortages at it, and kills it: at each
named step of `fetcher.crash` in turn, and at random moments. What must hold
at every moment is checked right after the kill; what must hold at rest, after
a start that is left alone until every import has ended.
"""

import argparse
import asyncio
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import sqlite_utils

from fetcher.crash import STEPS, VARIABLE
from fetcher.index.sqlite.bookkeeping.counts import COUNTED
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Behaviour, Exchange, Origin
from tests.lab.shortage import Shortages, Switch
from tests.processes import Process
from tests.service import Running

GONE = (aiohttp.ClientError, OSError, AssertionError, TimeoutError)
QUOTA_IMAGES = 60
KINDS = ("serve", "serve", "serve", "cut", "reset", "stall", "503", "other")


class Flapping:
    """One origin's bodies, by path, told honestly or broken off as the dice fall."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.bodies = {f"/{number}": self._body(number) for number in range(12)}
        self.bodies |= {f"/again{number}": self.bodies[f"/{number}"] for number in range(4)}
        self.digests = {path: hashlib.sha256(body).hexdigest() for path, body in self.bodies.items()}

    def _body(self, number: int) -> bytes:
        part = raw(self._dice.randrange(1_000, 700_000), seed=number)
        return part + bytes(self._dice.randrange(0, 200_000)) + part[:100]

    def add(self, path: str, body: bytes) -> None:
        """Have one more body."""
        self.bodies[path] = body
        self.know(path, body)

    def know(self, path: str, body: bytes) -> None:
        """Note the digest of a body that something else gives."""
        self.digests[path] = hashlib.sha256(body).hexdigest()

    def routes(self) -> dict[str, Behaviour]:
        """What the origin does: refusals at `/html`, chance everywhere else."""
        return {"/html": behaviours.serve(b"<!doctype html><title>no</title>"), "*": self._behave}

    async def _behave(self, exchange: Exchange) -> None:
        body = self.bodies[exchange.request.path]
        etag = f'"{self.digests[exchange.request.path][:16]}"'
        fields = {"ETag": etag}
        after = self._dice.randrange(len(body))
        made = {
            "serve": behaviours.serve(body, etag=etag, bytes_per_second=self._dice.choice([None, 2_000_000])),
            "cut": behaviours.cut(body, after, fields=fields),
            "reset": behaviours.cut(body, after, reset=True, fields=fields),
            "stall": behaviours.stall(body, after, fields=fields),
            "503": behaviours.status(503),
            "other": behaviours.cut(body, after, fields={"ETag": '"other"'}),
        }
        await made[self._dice.choice(self.kinds(exchange.request.path))](exchange)

    def kinds(self, path: str) -> Sequence[str]:
        """Return what may happen at a path, each as likely as another."""
        del path
        return KINDS


class Torture:
    """One store, many lives.

    Attributes:
        violations: What did not hold, in words; there must be none.
        hit: How often the process died at each named step.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._dice = random.Random(seed)
        self._flapping = Flapping(random.Random(seed + 1))
        self._taken: dict[str, str] = {}
        self.violations: list[str] = []
        self.hit: Counter[str] = Counter()
        self.kills = 0
        self._switch = Switch(folder)
        self.shortages = Shortages(self._switch, random.Random(seed + 2))
        self.stored_bytes = 0
        self.ended: Counter[str] = Counter()

    async def run(self, kills: int, *, rest_every: int = 10) -> "Torture":
        """Live and die `kills` times; every `rest_every` times, come to rest and be judged."""
        steps = [f"{step}:{turn}" for turn in (1, 2, 5) for step in STEPS]
        async with Origin(self._flapping.routes()) as self.origin:
            self._write_config()
            await self._rest()  # Once in peace, so that there is an index to look into.
            for number in range(kills):
                sys.stderr.write(f"\r{number} kills, {len(self.violations)} violations ")
                await self._life(steps[number] if number < len(steps) else self._fate())
                self._judge_now(f"kill {number + 1}")
                if (number + 1) % rest_every == 0 or number + 1 == kills:
                    await self._rest()
                    self._judge_at_rest(f"rest after kill {number + 1}")
            self.origin.errors.clear()  # A killed client breaks connections off in every way there is.
        return self

    def _write_config(self) -> None:
        limits = {
            "imports": {"max_running_per_origin": 16, "max_submits_per_minute": 1_000_000},
            "retry": {"attempts": 12, "first_wait_seconds": 0.01, "max_wait_seconds": 0.1},
            "pace": {"idle_seconds": 0.3, "unreachable_step_seconds": 0.0},
            "quota": {"max_images": QUOTA_IMAGES},
            "resume": {"mark_bytes": 65_536, "checkpoint_bytes": 131_072, "save_seconds": 0.1},
            "store": {"write_bytes": 65_536},
            "ranges": {"min_bytes": 400_000, "segment_bytes": 65_536},
            "reuse": {"revalidate": "project"},
        }
        service = Running(self._folder, self.origin, **limits)
        service.write_config()
        self._config = service.config
        self.data = service.data

    def _fate(self) -> str:
        """Half of the lives end at a random step's random turn, half at a random moment."""
        if self._dice.random() < 0.5:
            return ""
        return f"{self._dice.choice(STEPS)}:{self._dice.randrange(1, 30)}"

    async def _life(self, fate: str) -> None:
        process = Process(self._config)
        fates = {VARIABLE: fate} if fate else {}
        process.environment = {**self._switch.environment, **fates, "PYTHONFAULTHANDLER": "1"}
        is_up = asyncio.Event()
        shortages = asyncio.create_task(self.shortages.run(process, is_up))
        with suppress(*GONE):  # It may be killed, or find no store to start with.
            await process.start()
            is_up.set()
        with suppress(*GONE, AttributeError):  # Likewise, before there was a client of it.
            async with asyncio.timeout(self._dice.uniform(0.1, 1.0) if not fate else 2.5):
                while process._process.returncode is None:
                    await self._act(process)
        died = process._process.returncode
        is_right = not is_up.is_set() or died in {None, -signal.SIGKILL}
        with suppress(AttributeError, *GONE):
            await process.kill()
        said = b"".join(process.said[-400:]).decode(errors="replace")
        short = dict(self.shortages.seen)
        self._expect(is_right, f"life {self.kills + 1}", f"it ended by itself: {died}, {short}\n{said}")
        await process._process.wait()
        shortages.cancel()
        with suppress(asyncio.CancelledError):
            await shortages
        self.kills += 1
        if died == -signal.SIGKILL and fate:
            self.hit[fate.partition(":")[0]] += 1

    async def _act(self, process: Process) -> None:
        kinds = ["submit", "html", "cancel", "delete", "wait"]
        what = self._dice.choices(kinds, [6, 1, 1, 2, 3])[0]
        if what in {"submit", "html"}:
            path = "/html" if what == "html" else self._dice.choice(sorted(self._flapping.bodies))
            fields = {"url": self.origin.url(path), "disk_format": "raw"}
            status, document = await process.call("POST", "/imports", json=fields)
            if status == 202:
                self._taken[document["id"]] = path
            elif status != 413 and not (status in {503, 507} and self.shortages.seen):
                self.violations.append(f"a submission was answered {status}: {document}")
        elif what == "cancel" and self._taken:
            await process.call("DELETE", f"/imports/{self._dice.choice(sorted(self._taken))}")
        elif what == "delete":
            _status, document = await process.call("GET", "/v2/images?status=active&limit=20")
            images = document.get("images", []) if isinstance(document, dict) else []
            if images:
                await process.call("DELETE", f"/v2/images/{self._dice.choice(images)['id']}")
        else:
            await asyncio.sleep(self._dice.uniform(0, 0.1))

    async def _rest(self) -> None:
        """Start once more and wait until every import has ended, then kill in peace."""
        process = Process(self._config)
        await process.start()
        async with asyncio.timeout(120):
            while self._is_going():
                await asyncio.sleep(0.02)
        await process.kill()

    def _is_going(self) -> bool:
        """One look for all states: an import that waits now may run a moment later."""
        with _Rows(self.data) as rows:
            return bool(rows("SELECT 1 FROM imports WHERE ended_at IS NULL LIMIT 1"))

    def _judge_now(self, when: str) -> None:
        """What must hold at any moment: every visible image has its bytes, and they are the origin's."""
        with _Rows(self.data) as rows:
            lost = set(self._taken) - {row["id"] for row in rows("SELECT id FROM imports")}
            self._expect(not lost, when, f"imports that were answered 202 are gone: {lost}")
            for row in rows(
                """SELECT images.id, images.sha256, images.size, imports.id AS import_id, imports.state
                   FROM images LEFT JOIN imports ON imports.image_id = images.id WHERE status = 'active'"""
            ):
                self._judge_image(row, when)
            count = rows("SELECT count(*) AS n FROM images")[0]["n"]
            self._expect(count <= QUOTA_IMAGES, when, f"{count} images in a quota of {QUOTA_IMAGES}")
            usage = rows("SELECT images, bytes, held_bytes FROM usage WHERE project_id = 'default'")
            counted = rows(f"SELECT images, bytes, held_bytes FROM ({COUNTED}) WHERE project_id = 'default'")
            empty = [{"images": 0, "bytes": 0, "held_bytes": 0}]
            self._expect((usage or empty) == (counted or empty), when, f"usage {usage} is not {counted}")

    def _judge_image(self, row: dict[str, Any], when: str) -> None:
        path = self._taken.get(row["import_id"])
        blob = self.data / "blobs" / row["sha256"][:2] / row["sha256"]
        self._expect(
            row["state"] == "succeeded", when, f"active image {row['id']} of a {row['state']} import"
        )
        if path is None:  # Its 202 was lost with the process; the import counts all the same.
            self._expect(row["sha256"] in self._flapping.digests.values(), when, "an image of unknown bytes")
        else:
            self._expect(row["sha256"] == self._flapping.digests[path], when, "an image of other bytes")
        if not blob.exists():
            self._expect(False, when, f"no file for the active image {row['id']}")
            return
        digest = hashlib.sha256(blob.read_bytes()).hexdigest()
        self._expect(digest == row["sha256"], when, f"other bytes in the file of {row['id']}")

    def _judge_at_rest(self, when: str) -> None:
        """What must hold when nothing runs: every row has its file, every file its row, all ended."""
        self._judge_now(when)
        with _Rows(self.data) as rows:
            blobs = {row["sha256"] for row in rows("SELECT sha256 FROM blobs")}
            used = {row["sha256"] for row in rows("SELECT sha256 FROM images WHERE sha256 IS NOT NULL")}
            files = {path.name for path in (self.data / "blobs").rglob("*") if path.is_file()}
            self._expect(blobs == used, when, f"rows of blobs that no image has: {blobs ^ used}")
            self._expect(files == blobs, when, f"files and rows differ: {files ^ blobs}")
            staged = sorted(path.name for path in (self.data / "staging").iterdir())
            self._expect(not staged, when, f"left in staging: {staged}")
            going = rows("SELECT id, state FROM imports WHERE ended_at IS NULL")
            self._expect(not going, when, f"imports that never ended: {going}")
            stuck = rows("SELECT id, status FROM images WHERE status <> 'active'")
            self._expect(not stuck, when, f"images that wait for nobody: {stuck}")
            secrets = rows("SELECT import_id FROM import_secrets")
            self._expect(not secrets, when, f"secrets of ended imports: {secrets}")
            size = "ifnull(sum(json_extract(detail, '$.size')), 0)"
            made = f"SELECT {size} AS n FROM audit WHERE action = 'activated'"
            self.stored_bytes = rows(made)[0]["n"]
            states = rows("SELECT state, count(*) AS n FROM imports GROUP BY state")
            self.ended = Counter({row["state"]: row["n"] for row in states})

    def _expect(self, holds: bool, when: str, words: str) -> None:
        if not holds:
            self.violations.append(f"{when}: {words}")
            sys.stderr.write(f"\n{self.violations[-1]}\n")

    def report(self) -> dict[str, Any]:
        """What happened, in figures."""
        return {
            "kills": self.kills,
            "shortages": dict(sorted(self.shortages.seen.items())),
            "violations": self.violations,
            "steps_hit": dict(sorted(self.hit.items())),
            "imports_answered": len(self._taken),
            "imports_ended": dict(self.ended),
            "origin_bytes": self.origin.sent_bytes,
            "bytes_of_images_made": self.stored_bytes,
            "pulled_over_stored": round(self.origin.sent_bytes / max(1, self.stored_bytes), 2),
        }


class _Rows:
    """A look at the index that nobody has open."""

    def __init__(self, data: Path) -> None:
        self._db = sqlite_utils.Database(data / "index.sqlite")

    def __enter__(self) -> Any:
        return lambda sql: list(self._db.query(sql))

    def __exit__(self, *_error: object) -> None:
        self._db.conn.close()


def main() -> int:
    """Torture a store in a temporary folder; the answer is 1 when anything did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    began = time.monotonic()
    torture = Torture(folder, options.seed)
    asyncio.run(torture.run(options.kills))
    report = {"seed": options.seed, "seconds": round(time.monotonic() - began), **torture.report()}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if torture.violations:
        sys.stdout.write(f"kept for a look: {folder}\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
