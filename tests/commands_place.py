"""A machine as the documents assume it: the service on its usual port, example.org a source of images.

Run inside network and mount namespaces of its own (`tests/test_commands.py` does), so that ports 443 and
9292, and the addresses of names, are free to be what the documents say. Reads a job as JSON from standard
input, and prints the exit code and output of each command as JSON.
"""

import fcntl
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

HOSTS = ("example.org", "cloud.example", "ci.example.org", "download.cirros-cloud.net")
BASE = "http://127.0.0.1:9292"


class Source(http.server.BaseHTTPRequestHandler):
    """Everything but a folder is one image; webhooks are taken.

    What is called slow stands still after its first half, for commands that end what runs.
    """

    image = b""
    over = threading.Event()

    def do_GET(self) -> None:
        body = b"<!DOCTYPE html><title>Index of /</title>" if self.path == "/" else self.image
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        if "slow" in self.path:
            self.over.wait()
        self.wfile.write(body[half:])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def prepare(place: Path) -> None:
    """Bring loopback up, let the names lead there, and serve the image."""
    with socket.socket() as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    (place / "hosts").write_text(f"127.0.0.1 localhost {' '.join(f'{host} {host}.' for host in HOSTS)}\n")
    subprocess.run(["mount", "--bind", place / "hosts", "/etc/hosts"], check=True)
    Source.image = (place / "disk.qcow2").read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Source)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "chain.pem", place / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve(place: Path) -> "subprocess.Popen[bytes]":
    """Start the service and wait until it has started."""
    command = [".venv/bin/python", "server.py", "--config", "own.toml"]
    with (place / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log)
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{BASE}/readyz", timeout=60):
                return process
        except urllib.error.HTTPError as error:
            if b"starting" not in error.read():
                return process
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit((place / "server.log").read_text())


def an_import(name: str) -> dict[str, str]:
    """Make an import; what stands for ID in the commands, and an image's."""
    body = json.dumps({"url": f"https://example.org/{name}.qcow2"}).encode()
    request = urllib.request.Request(f"{BASE}/imports", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    empty = json.dumps({"name": "disk", "disk_format": "qcow2", "container_format": "bare"}).encode()
    request = urllib.request.Request(f"{BASE}/v2/images", empty, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        image = json.load(answer)
    return {"FETCHER_TEST_ID": found["id"], "ID": image["id"], "URL": BASE}


def newest(name: str) -> str:
    """Find the image of a name; empty where there is none yet."""
    with urllib.request.urlopen(f"{BASE}/v2/images?name={name}&limit=1", timeout=60) as answer:
        images = json.load(answer)["images"]
    return images[0]["id"] if images else ""


def main() -> None:
    job = json.load(sys.stdin)
    place = Path(job["place"])
    prepare(place)
    server = serve(place) if job["serves"] else None
    env = {
        **os.environ,
        "FETCHER_CONFIG": str(place / "own.toml"),
        "FETCHER_NOTIFY_SECRET": "whsec_" + "MDEy" * 8,
    }
    env["PATH"] = (
        f"{place}/.venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" if job["on_path"] else env["PATH"]
    )
    ends = []
    for command in job["commands"]:
        ids = an_import("slow" if "DELETE" in command else "disk") if server else {}
        words = command.replace("/imports/ID", f"/imports/{ids.get('FETCHER_TEST_ID', '')}")
        if " ID " in words:  # What a reader copies from the list.
            words = words.replace(" ID ", f" {newest(job['image'])} ")
        words = words.replace("FILE", "own.toml").replace("/backups/", f"{place}/backups/")
        done = subprocess.run(
            ["bash", "-c", words],
            cwd=place,
            env=env | ids,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        ends.append({"code": done.returncode, "said": done.stdout + done.stderr})
    Source.over.set()
    if server:
        server.terminate()
        server.wait()
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    main()
