"""The main job, with no internet: `make demo`.

Starts a source of real images and the service, both on loopback and in a
temporary folder, submits one image after the other with the same command
that anybody uses, shows what became of them, and cleans everything up.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import named
import receivers
from images import Exhibit, make_exhibits, sha256_of
from origin import serving
from rich.console import Console

FETCHER = Path(sys.executable).with_name("fetcher")
START_SECONDS = 120.0  # A machine may be busy with other things.
CONFIG = """
[server]
listen = "127.0.0.1:{listen}"
[store]
folder = "store"
reserve_bytes = 0
reserve_percent = 0.0
[url]
allow_literals = true
[address]
allow = [{{ cidr = "127.0.0.1/32", ports = {ports} }}]
"""

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; the answer is 0 when every image ended as it should."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=12.0, help="what the source sends, in MiB/s")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fetcher-demo-"))
    try:
        return run(folder, options.rate * 1_048_576)
    except KeyboardInterrupt:
        console.print("\nInterrupted.")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, bytes_per_second: float) -> int:
    """Run the demo inside a folder of its own."""
    shelf = folder / "origin"
    shelf.mkdir()
    console.rule("[bold]Glance Fetcher: submit a URL, get an image")
    console.print("Making images ...", style="dim")
    exhibits = make_exhibits(shelf)
    named.publish(shelf, folder)
    with (
        serving(shelf, bytes_per_second=bytes_per_second) as port,
        receivers.receiving(folder, free_port()) as places,
        service(folder, port, places) as server,
    ):
        console.print(f"A source of images is at 127.0.0.1:{port}, the service at {server}.", style="dim")
        ends = [show(exhibit, port, server) for exhibit in exhibits]
        is_proven = named.show(folder, partial(command, server=server), console.print)
        is_sent = receivers.show(places, partial(command, server=server), console.print)
        console.print()
        command("images", server=server)
        is_clean = audit(folder, exhibits)
        has_booted = all(boots(folder, exhibit) for exhibit in exhibits if exhibit.marker)
    right = sum(end == exhibit.ends for end, exhibit in zip(ends, exhibits, strict=True))
    console.rule()
    console.print(f"[bold]{right} of {len(exhibits)} ended as they should.[/] Nothing of this demo is left.")
    return 0 if right == len(exhibits) and is_clean and has_booted and is_proven and is_sent else 1


def show(exhibit: Exhibit, port: int, server: str) -> str:
    """Submit one file and wait for its verdict; the answer is its code."""
    console.print(f"\n[bold cyan]{exhibit.words}")
    url = f"http://127.0.0.1:{port}/{exhibit.file.name}"
    command("submit", url, "--wait", *exhibit.options, server=server)
    with urllib.request.urlopen(f"{server}/imports?limit=1", timeout=10) as answer:
        newest = json.load(answer)["imports"][0]
    return str(newest["verdict"]["code"])


def command(*arguments: str, server: str, is_shown: bool = True) -> tuple[int, bytes]:
    """Show a command and run it, as a person would; exit code and, where it is not shown, its answer."""
    if is_shown:
        shown = " ".join(f"'{text}'" if " " in text else text for text in arguments)
        console.print(f"$ fetcher {shown}", style="dim")
    done = subprocess.run(
        [FETCHER, *arguments],
        env={**os.environ, "FETCHER_SERVER": server},
        stdout=None if is_shown else subprocess.PIPE,
        check=False,
    )
    return done.returncode, done.stdout or b""


def boots(folder: Path, exhibit: Exhibit) -> bool:
    """Boot an image out of the store in an emulated machine; True also where there is no emulator."""
    if shutil.which("qemu-system-x86_64") is None:
        console.print("\nqemu-system-x86_64 is not installed, so no image is booted here.")
        return True
    console.print("\n[bold cyan]The image of the .ova boots")
    blob = folder / "store" / "blobs" / exhibit.kept[:2] / exhibit.kept
    arguments = ("verify-boot", blob, "--disk-format", "raw", "--marker", exhibit.marker)
    console.print(f"$ fetcher verify-boot IMAGE --marker '{exhibit.marker}'", style="dim")
    return subprocess.run([FETCHER, *arguments], check=False).returncode == 0


def audit(folder: Path, exhibits: list[Exhibit]) -> bool:
    """Compare what is in the store with what the source has."""
    wanted = {exhibit.kept or sha256_of(exhibit.file) for exhibit in exhibits if exhibit.ends == "ok"}
    blobs = {path for path in (folder / "store" / "blobs").rglob("*") if path.is_file()}
    is_same = {sha256_of(path) for path in blobs} == wanted == {path.name for path in blobs}
    leftovers = list((folder / "store" / "staging").iterdir())
    words = (
        "byte for byte what the source sent or what it packed"
        if is_same
        else "[red]not what the source sent[/]"
    )
    refused = "left no trace" if not leftovers else f"[red]left {len(leftovers)} files behind[/]"
    console.print(f"\n{len(blobs)} images in the store, {words}; what was refused {refused}.")
    return is_same and not leftovers


@contextmanager
def service(folder: Path, origin_port: int, places: receivers.Receivers) -> Iterator[str]:
    """Run the service until the block ends; yields where it listens."""
    listen = free_port()
    config = folder / "demo.toml"
    text = CONFIG.format(listen=listen, ports=[origin_port, *places.ports])
    config.write_text(text + receivers.TABLES + named.tables(folder, origin_port))
    log = folder / "service.log"
    with log.open("wb") as out:
        process = subprocess.Popen([FETCHER, "serve", "--config", config], stdout=out, stderr=out)
    server = f"http://127.0.0.1:{listen}"
    try:
        wait_for(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(15)


def wait_for(server: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the service answers; a service that does not start ends the demo with its log."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{server}/healthz", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"The service did not start:\n{log.read_text('utf-8', 'replace')}")


def free_port() -> int:
    """A port that nobody listens on this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
