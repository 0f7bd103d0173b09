"""Where measurements take place: an nginx on loopback as origin, the service on a fresh store."""

import compileall
import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import trustme

from bench.figures import Sample

ROOT = Path(__file__).parent.parent
MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
SUBMIT_CAPS = (
    "max_submits_per_minute",
    "max_submits_per_minute_per_origin",
    "max_submits_per_minute_in_all",
)


class Missing(Exception):
    """A tool or a peer is not here; the case is skipped and named."""


@dataclass(kw_only=True)
class Lab:
    """How much is measured, and where.

    Args:
        rounds: How often each contender gets its turn.
        size_mib: Of the one big image.
        folder: For everything that is written; goes when the run ends.
        fast: Where the origin's files lie: memory, so that the disk is the importer's alone.
        scale: What part of their numbers the cases with many imports take.
    """

    rounds: int
    size_mib: int
    folder: Path
    fast: Path
    scale: float = 1.0

    def part_of(self, count: int) -> int:
        """Return how many of so many this run takes; at least one."""
        return max(1, round(self.scale * count))


@contextlib.contextmanager
def laboratory(rounds: int, size_mib: int, scale: float = 1.0) -> Iterator[Lab]:
    """Make the folders, and remove them at the end."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory() as slow, tempfile.TemporaryDirectory(dir=shared) as fast:
        for path in (slow, fast):
            Path(path).chmod(0o755)
        yield Lab(rounds=rounds, size_mib=size_mib, folder=Path(slow), fast=Path(fast), scale=scale)


def compile_sources() -> None:
    """Compile the service, as `make setup` does: else a start that may not write would do it each time."""
    compileall.compile_dir(ROOT / "fetcher", quiet=2)


def make_file(path: Path, size: int) -> None:
    """Write a file of random-looking bytes, no two blocks of it alike; no boot sector, so it is raw."""
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range((size + MIB - 1) // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece[: min(MIB, size - number * MIB)])
    path.chmod(0o644)


def free_port() -> int:
    """Find a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_open(port: int) -> None:
    """Wait until somebody listens on a port of loopback."""
    for _ in range(400):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise Missing(f"nothing listens on port {port}")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """An nginx that serves a folder over http and https.

    Args:
        slow_bytes: What `/slow/...` sends in a second, for each connection.
    """

    http: int
    https: int
    ca: Path
    folder: Path

    def url(self, path: str, scheme: str = "http") -> str:
        """Where a file of the folder is."""
        return f"{scheme}://127.0.0.1:{self.https if scheme == 'https' else self.http}/{path}"


@contextlib.contextmanager
def origin(lab: Lab, *, extra: str = "", slow: str = "64k") -> Iterator[Origin]:
    """Run nginx over the fast folder."""
    nginx = which("nginx")
    home = Path(tempfile.mkdtemp(dir=lab.folder))
    home.chmod(0o755)
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    ca, cert, key = home / "ca.pem", home / "cert.pem", home / "key.pem"
    authority.cert_pem.write_to_path(str(ca))
    cert.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    http_port, https_port = free_port(), free_port()
    temporary = " ".join(
        f"{name}_temp_path {home}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(f"""
user root; daemon off; worker_processes 1; error_log {home}/error.log; pid {home}/pid;
events {{ worker_connections 8192; }}
http {{ access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream; {temporary}
 server {{ listen 127.0.0.1:{http_port} backlog=4096; root {lab.fast};
          location /slow/ {{ alias {lab.fast}/; limit_rate {slow}; }} {extra} }}
 server {{ listen 127.0.0.1:{https_port} ssl; root {lab.fast}; ssl_protocols TLSv1.2 TLSv1.3;
          ssl_certificate {cert}; ssl_certificate_key {key}; }}
}}""")
    started = subprocess.Popen([nginx, "-c", home / "nginx.conf", "-p", home], stderr=subprocess.DEVNULL)
    try:
        until_open(http_port)
        yield Origin(http=http_port, https=https_port, ca=ca, folder=lab.fast)
    finally:
        started.terminate()
        started.wait()


def which(tool: str) -> str:
    """Find a tool.

    Raises:
        Missing: It is not installed.
    """
    for folder in [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]:
        if os.access(f"{folder}/{tool}", os.X_OK):
            return f"{folder}/{tool}"
    raise Missing(f"{tool} is not installed")


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
            "upkeep": {"scrub_days": 36_500.0, "scrub_bytes_per_second": 65_536},
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
            return self.call("GET", "/healthz")[0] == 200
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
        status, document = self.call("POST", "/imports", {"url": url, "disk_format": "raw", **fields})
        if status != 202:
            raise RuntimeError(f"refused: {document}")
        path = f"/imports/{document['id']}"
        while document["state"] not in {"succeeded", "failed", "refused", "cancelled"}:
            time.sleep(every)
            document = self.call("GET", path)[1]
        if document["state"] != "succeeded":
            raise RuntimeError(f"{document['state']}: {document['verdict']}")
        return dict(document)

    def timed_pull(self, url: str, **fields: Any) -> float:
        """Submit a URL; return the seconds until the image is active."""
        began = time.perf_counter()
        self.pull(url, **fields)
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


def shell(command: str, origin: Origin | None = None) -> Sample:
    """Run a pipeline of bash, and wait for all of it."""
    env = dict(os.environ, CURL_CA_BUNDLE=str(origin.ca) if origin else "")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        ["bash", "-c", f"set -eo pipefail; {command}"], check=True, env=env, stdout=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(seconds=seconds, cpu_seconds=cpu)


def trusts_context(origin: Origin) -> ssl.SSLContext:
    """A client's context that trusts the origin."""
    return ssl.create_default_context(cafile=str(origin.ca))
