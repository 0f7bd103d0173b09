"""Run the service as the README says, and do the main job with it; for `make fresh-machine`.

Usage: newcomer.py own       `make run` sets everything up and serves with an operator's file, which allows an
                             origin on loopback: one import comes in, one is refused
       newcomer.py readme    `make run` serves on the README's address without a network, and takes no URL of
                             a port that is not allowed

Standard library only: a fresh machine has nothing else.
"""

import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WORK = Path("build/newcomer")  # No part of the checkout.
MAX_SECONDS = 900  # Setting up on a slow line included.
QCOW2 = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 65536 * 2, 0, 1, 65536, 131072, 1, 0, 0)


def image() -> bytes:
    """Return an empty qcow2 of two clusters of 64 KiB."""
    clusters = [QCOW2, struct.pack(">Q", 0), struct.pack(">Q", 196608), struct.pack(">4H", 1, 1, 1, 1)]
    return b"".join(cluster.ljust(65536, b"\0") for cluster in clusters)


class Origin(http.server.BaseHTTPRequestHandler):
    """An image and a page of HTML."""

    def do_GET(self) -> None:
        """Answer."""
        body = image() if self.path == "/disk.qcow2" else b"<!DOCTYPE html><html>Log in</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay quiet."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def call(url: str, fields: dict[str, Any] | None = None) -> Any:
    """Make a request; the document that answers it."""
    body = None if fields is None else json.dumps(fields).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def verdict_of(base: str, url: str) -> str:
    """Import a URL; the code that it ends with, or that the service refuses it with."""
    try:
        found = call(f"{base}/imports", {"url": url, "disk_format": "qcow2"})
    except urllib.error.HTTPError as refusal:
        return str(json.load(refusal)["code"])
    until = time.monotonic() + MAX_SECONDS
    while found["ended_at"] is None:
        assert time.monotonic() < until, found
        time.sleep(0.1)
        found = call(f"{base}/imports/{found['id']}")
    return str(found["verdict"]["code"])


def wait_ready(base: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers."""
    until = time.monotonic() + MAX_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(
                "make run ended before the service answered: " + (WORK / "make-run.log").read_text()
            )
        try:
            call(f"{base}/readyz")
        except OSError:
            time.sleep(0.1)
        else:
            return


def main(place: str) -> None:
    """Run the command."""
    WORK.mkdir(parents=True, exist_ok=True)
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    source = f"http://127.0.0.1:{origin.server_port}"
    base, words = "http://127.0.0.1:9292", ["make", "run"]
    if place == "own":
        listen = f"127.0.0.1:{free_port()}"
        allow = f'[{{ cidr = "127.0.0.1/32", ports = [{origin.server_port}] }}]'
        (WORK / "own.toml").write_text(f'[server]\nlisten = "{listen}"\n[address]\nallow = {allow}\n')
        base, words = f"http://{listen}", ["make", "run", f"CONFIG={WORK}/own.toml"]
    said = WORK / "make-run.log"
    with said.open("wb") as log:
        process = subprocess.Popen(words, start_new_session=True, stderr=log)
    try:
        wait_ready(base, process)
        taken = verdict_of(base, f"{source}/disk.qcow2")
        refused = verdict_of(base, f"{source}/login.html")
    finally:
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
        process.wait(60)
    expected = ("ok", "format-mismatch") if place == "own" else ("url-invalid",) * 2
    if "Traceback" in said.read_text():
        raise SystemExit(f"make run ended with a traceback: {said.read_text()[-3000:]}")
    if (taken, refused) != expected:
        raise SystemExit(f"the imports ended as {taken} and {refused}, not as {expected}")
    print(f"served on {base}; the imports ended as {taken} and {refused}")


if __name__ == "__main__":
    main(sys.argv[1])
