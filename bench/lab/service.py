"""The service on a fresh store."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from bench.lab.origin import Origin
from bench.lab.place import ROOT, Lab, Missing

TICKS = os.sysconf("SC_CLK_TCK")
SUBMIT_CAPS = (
    "max_submits_per_minute",
    "max_submits_per_minute_per_origin",
    "max_submits_per_minute_in_all",
)


def toml(sections: dict[str, dict[str, Any]]) -> str:
    """Write a configuration; JSON's values are TOML's, but for tables in lists."""
    lines: list[str] = []
    for name, keys in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


class Service:
    """`python server.py` as it ships, on a store of its own.

    Args:
        sections: Keys of the configuration that differ from what ships.

    Attributes:
        token: Of whoever calls, where tokens are asked for.
        root: The checkout that it runs from.
    """

    token = ""
    root = ROOT

    def __init__(self, home: Path, origin: Origin | None, **sections: dict[str, Any]) -> None:
        self.home = home
        self.data = home / "data"
        merged: dict[str, dict[str, Any]] = {
            "server": {"listen": "127.0.0.1:0"},
            "store": {"folder": "data", "reserve_bytes": 0, "reserve_percent": 0.0},
            "imports": {
                "max_submits_per_minute": 10_000_000,
                "max_submits_per_minute_per_origin": 10_000_000,
                "max_submits_per_minute_in_all": 10_000_000,
            },
            # A seeded index has no blobs, and a scrub of them would be measured too.
            "maintenance": {"scrub_days": 36_500.0, "scrub_bytes_per_second": 65_536},
        }
        if origin is not None:
            ports = [origin.http, origin.https]
            merged["address"] = {"allow": [{"cidr": "127.0.0.1/32", "ports": ports}]}
            merged["url"] = {"allow_literals": True}
            merged["tls"] = {"ca_file": str(origin.ca)}
        for name, keys in sections.items():
            merged[name] = merged.get(name, {}) | keys
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(toml(merged))

    def __enter__(self) -> Self:
        """Start it; `ready_seconds` is how long it took until it answered."""
        began = time.perf_counter()
        self.errors = (self.home / "stderr").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, self.root / "server.py", "--config", self.home / "config.toml"],
            stderr=self.errors,
            stdout=subprocess.DEVNULL,
            cwd=self.root,
        )
        self.port = 0
        while not self._opener():
            if self.process.poll() is not None or time.perf_counter() - began > 120:
                raise Missing(f"the service did not start: {self.said()[-500:]}")
            time.sleep(0.005)
        self.ready_seconds = time.perf_counter() - began
        return self

    def said(self) -> str:
        """What it wrote to its standard error."""
        return (self.home / "stderr").read_text()

    def _opener(self) -> bool:
        if not self.port:
            self._find_port()
            return False
        try:
            return self.call("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _find_port(self) -> None:
        for word in self.said().split():
            if word.startswith("http://") and word.endswith("/"):
                self.port = int(word.rstrip("/").rpartition(":")[2])

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()

    @property
    def base(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            headers = {"Content-Type": "application/json", "X-Auth-Token": self.token}
            client.request(method, path, None if body is None else json.dumps(body), headers)
            answer = client.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            client.close()

    def pull(self, url: str, every: float = 0.03, **fields: Any) -> dict[str, Any]:
        """Submit a URL and wait until the image is active."""
        return self._pull(url, lambda: time.sleep(every), fields)

    def _pull(self, url: str, wait: Callable[[], None], fields: dict[str, Any]) -> dict[str, Any]:
        status, document = self.call("POST", "/imports", {"url": url, "disk_format": "raw", **fields})
        if status != 202:
            raise RuntimeError(f"refused: {document}")
        path = f"/imports/{document['id']}"
        while document["state"] not in {"succeeded", "failed", "refused", "cancelled"}:
            wait()
            document = self.call("GET", path)[1]
        if document["state"] != "succeeded":
            raise RuntimeError(f"{document['state']}: {document['verdict']}")
        return dict(document)

    def timed_pull(self, url: str, **fields: Any) -> float:
        """Submit a URL; return the seconds until the image is active."""
        began = time.perf_counter()
        self.pull(url, **fields)
        return time.perf_counter() - began

    def timed_arrival(self, url: str, **fields: Any) -> float:
        """Do so without disturbing it: it is asked when the store has another file, or after a second."""
        before, began = len(self.blobs()), time.perf_counter()

        def wait() -> None:
            until = time.perf_counter() + 1
            time.sleep(0.003)
            while len(self.blobs()) == before and time.perf_counter() < until:
                time.sleep(0.005)

        self._pull(url, wait, fields)
        return time.perf_counter() - began

    def blobs(self) -> list[Path]:
        """The files of the images."""
        return [path for path in self.home.glob("data/blobs/*/*") if path.is_file()]

    def written_bytes(self) -> int:
        """What it has had written to disks so far."""
        fields = dict(
            line.split(": ") for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        )
        return int(fields["write_bytes"])

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_bytes(self) -> int:
        """The most memory that was ever resident."""
        return self._status("VmHWM")

    def resident_bytes(self) -> int:
        """The memory that is resident now."""
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        return 0


@contextlib.contextmanager
def service(lab: Lab, origin: Origin | None, **sections: dict[str, Any]) -> Iterator[Service]:
    """Run the service on a fresh store, which goes afterwards."""
    with tempfile.TemporaryDirectory(dir=lab.folder) as home, Service(Path(home), origin, **sections) as made:
        yield made
