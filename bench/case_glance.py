"""One big pull beside OpenStack Glance's own `web-download`, where a Glance is installed.

`GLANCE_VENV` names a virtual environment with `glance` and `gunicorn`; without
it the case is skipped. Glance runs on its own SQLite, without Keystone, with
the identity that its middleware would have set in the request's headers.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.case_api import seed
from bench.case_pull import ALL, pull, tee_to
from bench.figures import Rounds, Row, Sample, compare, row
from bench.lab.origin import Origin, origin, shell
from bench.lab.place import MIB, Lab, Missing, free_port, make_file, until_open
from bench.lab.service import TICKS, Service, service

HEADERS = {
    "Content-Type": "application/json",
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "u1",
    "X-Project-Id": "p1",
    "X-Roles": "member,reader",
}
ENDED = ("active", "killed", "error")


def measure(lab: Lab) -> list[Row]:
    """From the import call to active, on both, with the digests that Glance computes and with ours."""
    venv = os.environ.get("GLANCE_VENV", "")
    if not (Path(venv) / "bin" / "gunicorn").exists():
        raise Missing("GLANCE_VENV names no environment with glance and gunicorn")
    name = f"pull of {lab.size_mib} MiB http beside Glance"
    theirs, tee = "Glance's web-download", "curl|tee md5sum, sha512sum > file"
    make_file(lab.fast / "big", lab.size_mib * MIB)
    make_file(lab.fast / "tiny", 65_536)
    rounds = Rounds()
    with origin(lab) as source, running(lab, source, Path(venv)) as peer:
        for _ in range(lab.rounds):
            url, out = source.url("big"), lab.folder / "out"
            rounds.add(name, pull(lab, source, url, ALL))
            rounds.add(theirs, peer.pull(url))
            rounds.add(tee, shell(tee_to(url, out, ["md5sum", "sha512sum"]), source))
            out.unlink()
        api = _api(lab, source, peer)
    (lab.fast / "big").unlink()
    cpu = [a / b for a, b in zip(rounds.cpu(name), rounds.cpu(theirs), strict=True)]
    memory = [a / b for a, b in zip(rounds.peaks_mib(name), rounds.peaks_mib(theirs), strict=True)]
    return [
        rounds.against(name, theirs, most=0.2),
        rounds.against(theirs, tee),
        compare(row(f"CPU of {name}", rounds.cpu(name), "s"), cpu, theirs),
        compare(row(f"peak memory of {name}", rounds.peaks_mib(name), "MiB"), memory, theirs),
        *api,
    ]


def _api(lab: Lab, source: Origin, peer: "Glance") -> list[Row]:
    """Records made in a second, and lists, of both; the same clients ask both."""
    fields = {"name": "b", "disk_format": "raw", "container_format": "bare"}
    ours: dict[str, list[float]] = {"creates": [], "list": []}
    theirs: dict[str, list[float]] = {"creates": [], "list": []}
    caps = {"max_running": 1, "max_queued": 100_000}
    for _ in range(lab.rounds):
        theirs["creates"].append(_rate(lambda _number: peer.call("POST", "/v2/images", fields), 500, 201))
        theirs["list"].append(_list_ms(peer.port))
        with service(lab, source, imports=caps) as made:
            ours["creates"].append(
                _rate(lambda number: made.call("POST", "/imports", _slow(source, number)), 1000, 202)
            )
        with _seeded(lab, 10_000) as made:
            ours["list"].append(_list_ms(made.port))
    count = 500 * lab.rounds
    creates = [a / b for a, b in zip(ours["creates"], theirs["creates"], strict=True)]
    lists = [a / b for a, b in zip(ours["list"], theirs["list"], strict=True)]
    return [
        compare(
            row("submissions beside Glance", ours["creates"], "a second"),
            creates,
            "its image-create",
            least=10,
        ),
        row("Glance's image-create", theirs["creates"], "a second"),
        compare(
            row("list of 100 of 10,000 images beside Glance", ours["list"], "ms"),
            lists,
            f"its list, of at most {count:,} images",
            most=0.1,
        ),
        row(f"Glance's list of 100 of at most {count:,} images", theirs["list"], "ms"),
    ]


def _slow(source: Origin, number: int) -> dict[str, str]:
    return {"url": source.url(f"slow/big?{number}"), "disk_format": "raw"}


def _rate(make: Callable[[int], tuple[int, Any]], count: int, expected: int) -> float:
    """How many of `count` requests of eight clients are answered in a second."""
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as clients:
        statuses = {status for status, _document in clients.map(make, range(count))}
    if statuses != {expected}:
        raise RuntimeError(f"answered {statuses}, not {expected}")
    return count / (time.perf_counter() - began)


def _list_ms(port: int) -> float:
    """The median of fifty lists of a hundred images on one connection, after five that warm it up."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    waits = []
    for _ in range(55):
        began = time.perf_counter()
        client.request("GET", "/v2/images?limit=100", headers=HEADERS)
        text = client.getresponse().read()
        waits.append(1000 * (time.perf_counter() - began))
        if len(json.loads(text)["images"]) != 100:
            raise RuntimeError("a list of another length")
    client.close()
    return statistics.median(waits[5:])


@contextlib.contextmanager
def _seeded(lab: Lab, size: int) -> Iterator[Service]:
    """Our service over an index of so many images."""
    with tempfile.TemporaryDirectory(dir=lab.folder) as folder:
        made = Service(Path(folder), None)
        seed(made.data / "index.sqlite", size)
        with made:
            yield made


class Glance:
    """A running Glance."""

    def __init__(self, port: int, process: int) -> None:
        self.port = port
        self._process = process

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one request."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            client.request(method, path, None if body is None else json.dumps(body), HEADERS)
            answer = client.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text
        finally:
            client.close()

    def pull(self, url: str) -> Sample:
        """Import a URL, wait until it is active, and delete it."""
        fields = {"name": "b", "disk_format": "raw", "container_format": "bare"}
        image = self.call("POST", "/v2/images", fields)[1]["id"]
        os.sync()
        cpu, began = self._cpu(), time.perf_counter()
        method = {"method": {"name": "web-download", "uri": url}}
        status, answer = self.call("POST", f"/v2/images/{image}/import", method)
        if status != 202:
            raise Missing(f"Glance refused the import: {answer}")
        found: dict[str, Any] = {"status": ""}
        while found["status"] not in ENDED:
            time.sleep(0.05)
            found = self.call("GET", f"/v2/images/{image}")[1]
            if time.perf_counter() - began > 300 or found.get("os_glance_failed_import"):
                raise Missing(f"Glance's import did not end well: {found['status']}")
        seconds, spent = time.perf_counter() - began, self._cpu() - cpu
        self.call("DELETE", f"/v2/images/{image}")
        if found["status"] != "active":
            raise Missing(f"Glance's import ended as {found['status']}")
        return Sample(seconds=seconds, cpu_seconds=spent, peak_bytes=self._peak())

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self._process}/task/{self._process}/children").read_text().split()
        return [self._process, *map(int, children)]

    def _cpu(self) -> float:
        total = 0
        for process in self._family():
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def _peak(self) -> int:
        peaks = [
            int(line.split()[1]) * 1024
            for process in self._family()
            for line in Path(f"/proc/{process}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        ]
        return max(peaks)


@contextlib.contextmanager
def running(lab: Lab, source: Origin, venv: Path) -> Iterator[Glance]:
    """Run Glance on a fresh SQLite and store."""
    home = Path(tempfile.mkdtemp(dir=lab.folder))
    port = free_port()
    _configure(home, venv, source, port)
    env = dict(os.environ, OS_GLANCE_CONFIG_DIR=str(home), SSL_CERT_FILE=str(source.ca))
    log = (home / "out").open("wb")
    subprocess.run(
        [venv / "bin" / "glance-manage", "--config-file", home / "glance-api.conf", "db_sync"],
        check=True,
        cwd=home,
        env=env,
        stdout=log,
        stderr=log,
    )
    gunicorn = [str(venv / "bin" / "gunicorn"), "-w", "1", "--threads", "8", "--timeout", "600"]
    process = subprocess.Popen(
        [*gunicorn, "-b", f"127.0.0.1:{port}", "glance.wsgi.api:application"],
        cwd=home,
        env=env,
        stdout=log,
        stderr=log,
    )
    try:
        until_open(port)
        yield Glance(port, process.pid)
    finally:
        process.terminate()
        process.wait()
        log.close()


def _configure(home: Path, venv: Path, source: Origin, port: int) -> None:
    for name in ("store", "staging", "tasks"):
        (home / name).mkdir()
    paste = (venv / "etc" / "glance" / "glance-api-paste.ini").read_text()
    # Its pipelines either check tokens or cannot import; this is the usual one without the token check.
    pipeline = "headers = cors http_proxy_to_wsgi versionnegotiation context rootapp"
    lines = []
    for line in paste.splitlines():
        lines.append(line)
        if line.startswith("default = ") and pipeline not in lines:
            lines.append(pipeline)
    lines += ["", "[composite:glance-api-headers]", "paste.composite_factory = glance.api:root_app_factory"]
    lines += ["/: api", "/healthcheck: healthcheck", ""]
    (home / "glance-api-paste.ini").write_text("\n".join(lines))
    (home / "policy.yaml").write_text("{}\n")
    (home / "glance-api.conf").write_text(f"""[DEFAULT]
log_file = {home}/glance.log
enabled_backends = fs:file
enabled_import_methods = [glance-direct,web-download]
worker_self_reference_url = http://127.0.0.1:{port}
[paste_deploy]
flavor = headers
config_file = {home}/glance-api-paste.ini
[database]
connection = sqlite:///{home}/glance.sqlite
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = {home}/store
[os_glance_staging_store]
filesystem_store_datadir = {home}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {home}/tasks
[oslo_policy]
policy_file = {home}/policy.yaml
""")
    (home / "glance-image-import.conf").write_text(f"""[import_filtering_opts]
allowed_schemes = [http,https]
allowed_hosts = [127.0.0.1]
allowed_ports = [{source.http},{source.https}]
[image_import_opts]
image_import_plugins = [no_op]
""")
