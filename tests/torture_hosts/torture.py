"""The troubles: who is killed, frozen, cut off or full, and when all comes to rest."""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fetcher.crash import STEPS
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.several.hosts import freeze, thaw
from tests.torture import Flapping
from tests.torture_hosts.clients import AT_REST, GONE, PATIENCE, Clients
from tests.torture_hosts.ground import COUNT, LEASE_SECONDS, SKEW_SECONDS, Ground, Kind, end
from tests.torture_hosts.judge import Judge
from tests.torture_hosts.ledger import Ledger
from tests.torture_hosts.wire import Mode, Wire

CLIENTS = 3
CROWD = 100
AT_ONCE = 2  # Troubles; so two hosts at least are well, unless the database is away.
LARGE = 4  # So many bodies are longer than a part of the bucket.
TROUBLES = {"kill": 5, "freeze": 8, "blink": 1, "database": 3, "store": 3, "full": 1, "restart": 1}
TOLD_EVERY = 10
SEND_BUFFER_BYTES = 65_536  # Else each connection that is given up counts megabytes that nobody got.
COUNTED = {"kill", "freeze", "step"}
MAX_STARTS = 30


class Steady(Flapping):
    """Large bodies are broken off too, but stay what they are, and whoever asks for the rest gets the rest.

    What is pulled of these more than once is the hosts' doing alone.
    """

    def kinds(self, path: str) -> Sequence[str]:
        """Return what may happen at a path."""
        return ("serve", "serve", "cut", "reset", "503") if path.startswith("/large") else super().kinds(path)


class HostsTorture:
    """One database, one store, four hosts, many lives.

    Attributes:
        violations: What did not hold, in words; there must be none.
        troubles: How often each kind of trouble came.
    """

    def __init__(self, folder: Path, seed: int, kind: Kind) -> None:
        self._folder = folder
        self._kind: Kind = kind
        self._dice = random.Random(seed)
        self._flapping = Steady(random.Random(seed + 1))
        for number in range(LARGE):
            body = raw(self._dice.randrange(40_000_000, 64_000_000), seed=100 + number)
            self._flapping.add(f"/large{number}", body)
        self.violations: list[str] = []
        self._told_violations = 0
        self.troubles: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.traces: Counter[str] = Counter()
        self._at_work: set[int] = set()
        self._fates: dict[int, str] = {}
        self._crowd_bytes = 0
        self._crowds = 0
        self._restarting = asyncio.Lock()
        self._last_refusal = ""

    @property
    def kills(self) -> int:
        """Return how often a host was killed or frozen beyond its lease."""
        return sum(self.troubles[one] for one in COUNTED)

    async def run(self, kills: int, seconds: float, *, rest_every: int = 25) -> "HostsTorture":
        """Make trouble until hosts were killed or frozen so often; now and then rest, and be judged.

        Args:
            seconds: No more trouble is made after these; the last rest follows.
        """
        self._began = asyncio.get_running_loop().time()
        self._until = self._began + seconds
        self._ledger = Ledger(self._folder / "origin.log")
        routes = self._ledger.noting(self._flapping.routes())
        async with Origin(routes, send_buffer_bytes=SEND_BUFFER_BYTES) as self.origin:
            async with Ground(self._folder, self.origin, self._kind, self._dice) as self._ground:
                self._clients = Clients(
                    self._ground.hosts, self._flapping, self.origin.url, self._dice, self.violations
                )
                self.judge = Judge(self._ground, self._clients)
                await asyncio.gather(*(self._start(number) for number in range(COUNT)))
                while self.kills < kills and self._has_time():
                    await self._storm(min(kills, self.kills + rest_every))
                    await self._rest()
                    self._tell()
            self.origin.errors.clear()  # A killed client breaks connections off in every way there is.
        return self

    def _has_time(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    def _tell(self) -> None:
        """Say how far it is."""
        imports, found = len(self._clients.taken), len(self.violations)
        at = asyncio.get_running_loop().time() - self._began
        for words in self.violations[self._told_violations :]:
            sys.stderr.write(f"violation: {words}\n")
        self._told_violations = found
        sys.stderr.write(
            f"{at:5.0f} s: {self.kills} kills and freezes, {imports} imports, {found} violations\n"
        )

    def _log(self, words: str) -> None:
        at = asyncio.get_running_loop().time() - self._began
        with (self._folder / "events.log").open("a") as file:
            file.write(f"{at:8.2f} {words}\n")

    async def _storm(self, until: int) -> None:
        """Clients act, hosts die; ends when hosts were killed or frozen so often."""
        clients = [asyncio.create_task(self._clients.act_for_ever()) for _ in range(CLIENTS)]
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*(self._trouble(until) for _ in range(AT_ONCE)))
        finally:
            for task in [*clients, watch]:
                task.cancel()
            ends = await asyncio.gather(*clients, watch, return_exceptions=True)
        for fault in ends:
            if isinstance(fault, Exception):
                raise fault

    async def _trouble(self, until: int) -> None:
        while self.kills < until and self._has_time():
            await asyncio.sleep(self._dice.uniform(0, 1.5))
            free = [number for number in range(COUNT) if number not in self._at_work]
            what = self._dice.choices(list(TROUBLES), list(TROUBLES.values()))[0]
            number = self._dice.choice(free)
            self._at_work.add(number)
            self._log(f"{what} of host{number}")
            try:
                await self._do(what, number)
            finally:
                self._at_work.discard(number)
            self.troubles[what] += 1
            if self.troubles.total() % TOLD_EVERY == 0:
                self._tell()
            await self.judge.now(f"{what} of host{number}, event {self.troubles.total()}")

    async def _do(self, what: str, number: int) -> None:
        host = self._ground.hosts[number]
        beyond = LEASE_SECONDS + self._dice.uniform(0.5, 2.5)
        if what == "kill":
            await self._kill(number, signal.SIGKILL)
        elif what == "restart":
            await self._kill(number, signal.SIGTERM)
        elif what in {"freeze", "blink"}:
            freeze(host)
            await asyncio.sleep(beyond if what == "freeze" else self._dice.uniform(0, LEASE_SECONDS / 2))
            thaw(host)
        elif what == "full":
            await self._fill(number)
        elif what == "database" and self._dice.random() < 0.25:
            self.troubles["database restart"] += 1
            await self._restart_database()
        else:
            wires = self._ground.database_wires if what == "database" else self._ground.store_wires
            if wires:
                modes: list[Mode] = ["reset", "silent", "slow"]
                await self._cut(wires[number], self._dice.choice(modes), beyond)

    async def _kill(self, number: int, how: signal.Signals) -> None:
        self._note_steps(number, await end(self._ground.hosts[number], how))
        await asyncio.sleep(self._dice.choice([0, LEASE_SECONDS + self._dice.uniform(0, 2)]))
        await self._start(number)

    def _note_steps(self, number: int, code: int | str | None) -> None:
        """Keep what a life left to be told: whether it met its fate, and traces in its log."""
        host = self._ground.hosts[number]
        with (self._folder / f"host{number}.log").open("ab") as log:
            log.writelines(host.said)
        for line in host.said:
            if b"Traceback" in line or b'"exception"' in line:
                words = line.decode(errors="replace").strip()
                self.traces[words[-160:]] += 1
                with (self._folder / "traces.log").open("ab") as log:
                    log.write(line)
        host.said.clear()
        if code not in {0, -signal.SIGKILL, -signal.SIGTERM}:
            self.violations.append(f"host{number} ended with {code}")

    async def _cut(self, wire: Wire, mode: Mode, seconds: float) -> None:
        wire.set(mode)
        try:
            await asyncio.sleep(self._dice.uniform(0, 1) if self._dice.random() < 0.5 else seconds)
        finally:
            wire.set("open")

    async def _fill(self, number: int) -> None:
        """Leave no room: in the bucket as this host sees it, or on its disk."""
        if self._ground.store_wires:
            await self._cut(self._ground.store_wires[number], "full", LEASE_SECONDS)
        elif self._ground.switches[number].environment:
            with self._ground.switches[number].short(self._dice.choice(["ENOSPC", "EDQUOT", "EROFS"])):
                await asyncio.sleep(self._dice.uniform(0, LEASE_SECONDS))

    async def _restart_database(self) -> None:
        if self._restarting.locked():
            return
        async with self._restarting:
            await self._ground.restart_database(self._dice.choice(["fast", "immediate"]))

    async def _start(self, number: int, *, is_fated: bool = True) -> None:
        """Start a host; while its database or its store is away it cannot, and is started again."""
        for _ in range(MAX_STARTS):
            step = ""
            if is_fated and self._dice.random() < 0.5:
                step = f"{self._dice.choice(STEPS)}:{self._dice.randrange(1, 40)}"
            seconds = self._dice.choice([0, 0, -SKEW_SECONDS, SKEW_SECONDS])
            self._ground.give_fate(number, step, seconds)
            self._fates[number] = step
            host = self._ground.hosts[number]
            try:
                async with asyncio.timeout(60):
                    await host.start()
            except GONE as error:
                self.troubles["start refused"] += 1
                self._last_refusal = str(error)[-300:]
                self._log(f"host{number} did not start, {step}: {error!r}"[:2000])
                code = await end(host, signal.SIGKILL)
                if code == -signal.SIGKILL and step:
                    self._met(number)
            else:
                self._log(f"host{number} is up, {step}, {seconds}")
                return
            await asyncio.sleep(0.3)
        self.violations.append(f"host{number} does not start: {self._last_refusal}")

    def _met(self, number: int) -> None:
        self.steps[self._fates[number].partition(":")[0]] += 1
        self.troubles["step"] += 1

    async def _watch(self) -> None:
        """Start what has met its fate."""
        while True:
            for number, host in enumerate(self._ground.hosts):
                if number not in self._at_work and host._process.returncode is not None:
                    self._at_work.add(number)
                    try:
                        if self._fates[number]:
                            self._met(number)
                        self._note_steps(number, await end(host, signal.SIGKILL))
                        await asyncio.sleep(self._dice.uniform(0, LEASE_SECONDS + 1))
                        await self._start(number)
                    finally:
                        self._at_work.discard(number)
            await asyncio.sleep(0.1)

    async def _rest(self) -> None:
        """Let everything end, have a crowd ask for one thing, start every host anew, and judge."""
        when = f"rest after {self.kills} kills"
        self._log(when)
        await self._ground.make_room()
        self._at_work.clear()
        for number, host in enumerate(self._ground.hosts):
            self._note_steps(number, await end(host, signal.SIGKILL) if self._is_fated(host) else 0)
        await asyncio.gather(*(self._revive(number) for number in range(COUNT)))
        if await self.judge.until_ended(when):
            await self._thin_out()
            await self._ask_in_a_crowd(when)
            await self.judge.until_ended(when)
        for number, host in enumerate(self._ground.hosts):
            self._note_steps(number, await end(host, self._dice.choice([signal.SIGKILL, signal.SIGTERM])))
        await asyncio.gather(*(self._start(number, is_fated=False) for number in range(COUNT)))
        await self.judge.at_rest(when)

    def _is_fated(self, host: Process) -> bool:
        return bool(self._fates[self._ground.hosts.index(host)])

    async def _revive(self, number: int) -> None:
        if self._ground.hosts[number]._process.returncode is not None:
            await self._start(number, is_fated=False)

    async def _ask_in_a_crowd(self, when: str) -> None:
        """A hundred clients submit one URL at four hosts: the origin serves it once."""
        path, body, opened = f"/crowd{self._crowds}", raw(400_000, seed=1000 + self._crowds), asyncio.Event()
        self._crowds += 1
        asked = []
        serve = behaviours.gated(behaviours.serve(body), opened)

        async def counted(exchange: Any) -> None:
            asked.append(exchange)
            await serve(exchange)

        self._flapping.know(path, body)
        self.origin.routes[path] = self._ledger.noted(counted)
        before = self.origin.sent_bytes
        made = await asyncio.gather(
            *(self._patiently(number % COUNT, path) for number in range(CROWD)), return_exceptions=True
        )
        await asyncio.sleep(1)
        opened.set()
        lost = [one for one in made if not isinstance(one, str)]
        if lost:
            self.violations.append(f"{when}: of a crowd {len(lost)} were refused: {lost[0]}")
        await self.judge.until_ended(when)
        if len(asked) != 1:
            self.violations.append(f"{when}: a crowd asked the origin {len(asked)} times")
        self._crowd_bytes += self.origin.sent_bytes - before

    async def _patiently(self, number: int, path: str) -> str | None:
        """Submit, again where a request was cut off: who is not answered may have been taken all the same."""
        for _ in range(20):
            with suppress(*GONE):
                if made := await self._clients.submit(self._ground.hosts[number], path):
                    return made
            await asyncio.sleep(0.2)
        return None

    async def _thin_out(self) -> None:
        """Delete images until few are left, so that the quota never decides."""
        host = self._ground.hosts[0]
        while True:
            async with host.client.get("/v2/images?limit=1000", timeout=PATIENCE) as answer:
                images = (await answer.json())["images"]
            if len(images) <= AT_REST:
                return
            for image in images[AT_REST:]:
                with suppress(*GONE):
                    await self._clients.delete(host, image["id"])

    def report(self) -> dict[str, Any]:
        """Return what happened, in figures."""
        pulled = self.origin.sent_bytes - self._crowd_bytes
        return {
            "store": self._kind,
            "kills_and_freezes": self.kills,
            "troubles": dict(sorted(self.troubles.items())),
            "steps_hit": dict(sorted(self.steps.items())),
            "violations": self.violations,
            "imports_answered": len(self._clients.taken),
            "imports_ended": self.judge.ended,
            "crowds_served_once": self._crowds,
            "leftovers_removed_by_gc": dict(self.judge.leftovers),
            "origin_bytes": pulled,
            "bytes_of_images_made": self.judge.stored_bytes,
            "pulled_over_stored": round(pulled / max(1, self.judge.stored_bytes), 3),
            "traces": dict(self.traces.most_common(20)),
            "answers": dict(sorted(self._clients.statuses.items())),
        }
