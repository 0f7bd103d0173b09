"""300 clients beside 1,000 silent connections and twelve hostile imports: who is served, and how soon."""

import asyncio
import json
import resource
import statistics
import sys
import time
from collections import Counter

from bench.figures import Row, row
from bench.lab.place import ROOT, Lab, free_port
from bench.lab.service import Service, service

CLIENTS, SILENT, HOSTILE = 300, 1000, 12
SECONDS = 20.0
THINK_SECONDS = 1.0  # Of a client between two requests.
PROBE_SECONDS = 0.05
PATHS = ("/v2/images?limit=1", "/imports?limit=5", "/v2/images?sort=name&limit=25")
# Skippable frames of Zstandard (RFC 8878 section 3.1.2): eight bytes each, and nothing in them.
FRAMES = b"\x50\x2a\x4d\x18\x00\x00\x00\x00" * 131_072
SILENT_BYTES = (b"", b"GET", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")


def measure(lab: Lab) -> list[Row]:
    """Count bad answers, and time those to a probe."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    middles, tails, alone, bad, answered, harmed, spent = [], [], [], [], [], [], []
    for _ in range(min(3, lab.rounds)):
        port = free_port()
        rules = {
            "address": {"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]},
            "url": {"allow_literals": True},
            "imports": {"max_running_per_origin": 64, "max_submits_per_minute": 100_000},
        }
        with service(lab, None, **rules) as ours:
            before = ours.cpu_seconds()
            found = asyncio.run(_Run(ours, port).all())
            spent.append((ours.cpu_seconds() - before) / SECONDS)
        middles.append(1000 * statistics.median(found.probes))
        tails.append(1000 * _tail(found.probes))
        alone.append(1000 * _tail(found.probes_alone))
        bad.append(float(found.statuses["bad"]))
        answered.append(float(found.statuses["good"]))
        harmed.append(float(found.harmed))
    name = f"{CLIENTS} clients, {SILENT} silent connections, {HOSTILE} hostile imports"
    return [
        row(f"/healthz, median, beside {name}", middles, "ms"),
        row("/healthz, 99th percentile, likewise", tails, "ms", most=50.0),
        row("/healthz, 99th percentile, likewise, by a process of its own", alone, "ms", most=50.0),
        row("answers of 5xx, and requests that got none", bad, "", most=0.0),
        row("good answers, likewise", answered, ""),
        row("processor of the service, likewise", spent, "cores"),
        row("honest imports that ended badly, of 3", harmed, "", most=0.0),
    ]


def _tail(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


class _Run:
    """One load on one service."""

    def __init__(self, ours: Service, port: int) -> None:
        self.probes: list[float] = []
        self.probes_alone: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.harmed = 0
        self._ours = ours
        self._port = port
        self._until = 0.0

    async def all(self) -> "_Run":
        source = await asyncio.start_server(self._send, "127.0.0.1", self._port)
        honest = [await self._submit_honest(f"honest-{number}") for number in range(3)]
        self._until = time.monotonic() + SECONDS
        silent = [asyncio.create_task(self._be_silent(number)) for number in range(SILENT)]
        hostile = asyncio.create_task(self._keep_hostile())
        clients = [asyncio.create_task(self._be_client(number)) for number in range(CLIENTS)]
        await asyncio.gather(self._probe(), self._probe_alone(), *clients)
        hostile.cancel()
        for task in silent:
            task.cancel()
        for import_id in honest:
            self.harmed += await self._end_of(import_id) != "succeeded"
        source.close()
        return self

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be a source: a slow honest one, or one of frames that hold nothing."""
        head = await reader.readuntil(b"\r\n\r\n")
        is_honest = b"honest" in head.partition(b"\r\n")[0]
        body = bytes(20_000_000) if is_honest else FRAMES
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
        step = 1_000_000 if is_honest else len(body)
        try:
            for at in range(0, len(body), step):
                writer.write(body[at : at + step])
                await writer.drain()
                await asyncio.sleep(0.5 if is_honest else 0)
            writer.close()
        except ConnectionError:
            pass

    async def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ours.port)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + fields).encode() + body)
        try:
            answer = await reader.read()
        finally:
            writer.close()
        status, _, rest = answer.partition(b"\r\n\r\n")
        return int(status.split()[1]), rest

    async def _submit(self, name: str, disk_format: str) -> str:
        fields = {"url": f"http://127.0.0.1:{self._port}/{name}", "disk_format": disk_format}
        status, document = await self._ask("POST", "/imports", json.dumps(fields).encode())
        return str(json.loads(document)["id"]) if status == 202 else ""

    async def _submit_honest(self, name: str) -> str:
        """Submit an import that must be taken; the first ones may come before the service takes any."""
        async with asyncio.timeout(SECONDS):
            while not (import_id := await self._submit(name, "raw")):
                await asyncio.sleep(PROBE_SECONDS)
        return import_id

    async def _end_of(self, import_id: str) -> str:
        while True:
            state = str(json.loads((await self._ask("GET", f"/imports/{import_id}"))[1])["state"])
            if state in {"succeeded", "failed", "refused", "cancelled"}:
                return state
            await asyncio.sleep(0.1)

    async def _keep_hostile(self) -> None:
        """Have twelve hostile imports at any time."""
        number = 0
        while True:
            ids: list[str] = []
            await asyncio.sleep(PROBE_SECONDS)
            for _ in range(HOSTILE):
                number += 1
                ids.append(await self._submit(f"{number}", "raw"))
            for import_id in ids:
                if import_id:
                    await self._end_of(import_id)

    async def _be_silent(self, number: int) -> None:
        """Say nothing or half a head, and begin again when that is ended."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._ours.port)
                writer.write(SILENT_BYTES[number % len(SILENT_BYTES)])
                await reader.read()
                writer.close()
            except OSError:
                await asyncio.sleep(0.1)

    async def _be_client(self, number: int) -> None:
        await asyncio.sleep(THINK_SECONDS * number / CLIENTS)
        while time.monotonic() < self._until:
            try:
                status, _ = await self._ask("GET", PATHS[number % len(PATHS)])
            except (OSError, IndexError, ValueError):
                status = 599
            self.statuses["bad" if status >= 500 else "good"] += 1
            await asyncio.sleep(THINK_SECONDS)

    async def _probe(self) -> None:
        while time.monotonic() < self._until:
            began = time.perf_counter()
            status, _ = await self._ask("GET", "/healthz")
            self.probes.append(time.perf_counter() - began)
            self.statuses["bad" if status >= 500 else "good"] += 1
            await asyncio.sleep(PROBE_SECONDS)

    async def _probe_alone(self) -> None:
        """Have another process ask likewise: this one, which is the crowd, is late by itself."""
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.probe", str(self._ours.port), str(SECONDS)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        found = json.loads((await probe.communicate())[0])
        self.probes_alone = found["times"]
        self.statuses["bad"] += found["bad"]
