"""Images that leave in the demo: to a URL that is signed for one PUT, and to a registry if there is one."""

import contextlib
import hashlib
import hmac
import json
import secrets
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Command = Callable[..., tuple[int, bytes]]
KEY = secrets.token_bytes(16)
TABLES = """
[exports]
receivers = ["127.0.0.1"]
first_wait_seconds = 0.1
[oci]
insecure_hosts = ["127.0.0.1"]
"""
START_SECONDS = 120.0  # A machine may be busy with other things.


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """The receivers of this demo; no registry where none is installed."""

    bucket: int
    registry: int | None

    @property
    def ports(self) -> list[int]:
        """Return what the service may dial."""
        return [self.bucket, *([] if self.registry is None else [self.registry])]


@contextlib.contextmanager
def receiving(folder: Path, registry_port: int) -> Iterator[Receivers]:
    """Run the receivers until the block ends."""
    (folder / "bucket").mkdir()
    with (
        _server(folder / "bucket") as bucket,
        contextlib.nullcontext()
        if shutil.which("docker-registry") is None
        else _registry(folder, registry_port),
    ):
        port = None if shutil.which("docker-registry") is None else registry_port
        yield Receivers(bucket=bucket, registry=port)


def show(receivers: Receivers, command: Command, out: Callable[[str], None]) -> bool:
    """Send an image to each, refuse what must not be sent; True when all ends as it should."""

    def run(*arguments: str) -> int:
        return command(*arguments)[0]

    found = json.loads(command("images", "--json", is_shown=False)[1])["images"]
    # Without qemu-img there is no other image than one that is kept packed.
    image = min(found, key=lambda one: one["container_format"] != "bare")["id"][:8]
    out("\n[bold cyan]An image to a URL that is signed for one PUT; then it is read back")
    url = signed(receivers.bucket, "PUT")
    read = ("--read-url", signed(receivers.bucket, "GET"))
    is_right = run("push", image, url, "--verify", *read, "--wait") == 0
    out("\n[bold cyan]The same with a signature that somebody forged, and to a host that nobody allowed")
    is_right &= run("push", image, url[:-4] + "0000", "--wait") != 0
    is_right &= run("push", image, "https://elsewhere.example/disk") != 0
    if receivers.registry is None:
        out("\ndocker-registry is not installed, so no image is pushed to a registry here.")
        return is_right
    out("\n[bold cyan]The image to a registry, as a disk that KubeVirt boots; and back again")
    place = f"oci://127.0.0.1:{receivers.registry}/demo/disk:1.0"
    is_right &= run("push", image, place, "--layout", "containerdisk", "--verify", "--wait") == 0
    is_right &= run("submit", place, "--name", "from the registry", "--wait") == 0
    return is_right


def signed(port: int, verb: str) -> str:
    """Return a URL that is good for one kind of request."""
    return f"http://127.0.0.1:{port}/disk?signature={_signature(verb, '/disk')}"


def _signature(verb: str, path: str) -> str:
    return hmac.new(KEY, f"{verb} {path}".encode(), hashlib.sha256).hexdigest()


class _Bucket(BaseHTTPRequestHandler):
    """Keeps one object a path for whoever has a signed URL."""

    folder: Path

    def do_PUT(self) -> None:
        """Take an object."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_allowed():
            (self.folder / "disk").write_bytes(body)
            self._answer(200, b"")

    def do_GET(self) -> None:
        """Give an object back."""
        if self._is_allowed():
            self._answer(200, (self.folder / "disk").read_bytes())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the terminal for the demo."""

    def _is_allowed(self) -> bool:
        parts = urlsplit(self.path)
        given = parse_qs(parts.query).get("signature", [""])[0]
        if hmac.compare_digest(given, _signature(self.command, parts.path)):
            return True
        self._answer(403, b"")
        return False

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[int]:
    handler = type("Bucket", (_Bucket,), {"folder": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _registry(folder: Path, port: int) -> Iterator[None]:
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "demo"},
    }
    file = folder / "registry.yml"
    file.write_text(json.dumps(config))  # JSON is YAML.
    command = ("docker-registry", "serve", str(file))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(port)
            yield
        finally:
            process.terminate()
            process.wait(15)


def _wait(port: int) -> None:
    """Wait until the registry answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1).close()
            return
        time.sleep(0.1)
