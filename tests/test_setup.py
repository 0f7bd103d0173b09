"""Setting up gives what the locks say, whatever the index offers and wherever an earlier attempt ended."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.package_index import NEWER, ROOT, PackageIndex, asked_by, entries

pytestmark = pytest.mark.timeout(600)
BASE_PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")
LOCKS = sorted(
    path.name
    for path in ROOT.glob("requirements*.lock")
    if path.name.split("-")[-1] not in {"uv.lock", "fuzz.lock"}
)


def environment(index: str) -> dict[str, str]:
    """Return an environment in which pip knows one index only and `make` knows nothing of another `make`."""
    dropped = ("PIP_", "MAKE", "MFLAGS", "COV", "VIRTUAL_ENV", "PYTHON", "UV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COMPILE": "1",  # What is installed here is hardly run.
        "PYTHON": BASE_PYTHON,
        "DEBIAN_PACKAGES": "no",
    }


def copy_of_checkout(folder: Path) -> Path:
    """Copy what setting up reads."""
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE", "config.toml", "server.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "fetcher").mkdir()  # Of the service, setting up wants to know no more than the version.
    shutil.copy(ROOT / "fetcher" / "__init__.py", folder / "fetcher")
    return folder


def installed(checkout: Path) -> dict[str, str]:
    """Return what the environment holds besides the project itself, by name."""
    asked = [checkout / ".venv/bin/python", "-m", "pip", "list", "--format=json"]
    done = subprocess.run(asked, cwd=checkout, capture_output=True, text=True, check=True)
    found = {canonicalize_name(one["name"]): one["version"] for one in json.loads(done.stdout)}
    assert found.pop("glance-fetcher")
    return found


def locked(checkout: Path, *locks: str) -> dict[str, str]:
    """Return what some locks of a checkout say, by name."""
    asked = {}
    for name in locks:
        asked |= asked_by((checkout / name).read_text())
    return {name: str(one.specifier).removeprefix("==") for name, one in asked.items()}


def build_tools() -> set[str]:
    """Return what an installation itself runs, by name."""
    return set(asked_by((ROOT / "requirements-build.lock").read_text()))


def make(checkout: Path, env: dict[str, str], *words: str) -> None:
    """Run `make`, which must succeed."""
    done = subprocess.run(
        ["make", *words], cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_newer_releases_change_nothing(tmp_path: Path) -> None:
    """An index with a newer release of everything gives exactly the locks, pip and build tools included."""
    checkout = copy_of_checkout(tmp_path / "checkout")
    texts = {name: (ROOT / name).read_text() for name in LOCKS}
    names = {name for text in texts.values() for name in asked_by(text)}
    index = PackageIndex(tmp_path / "index", names, whole=build_tools())
    assert names <= set(index.digests), "not installed here; run `make setup-dev`"
    for name, text in texts.items():
        (checkout / name).write_text(index.lock(text))
    env = environment((tmp_path / "index").as_uri())
    make(checkout, env, "setup")
    assert installed(checkout) == locked(checkout, "requirements.lock")
    make(checkout, env, "setup", "EXTRAS=keystone sign")
    with_extras = locked(
        checkout, "requirements.lock", "requirements-keystone.lock", "requirements-sign.lock"
    )
    assert installed(checkout) == with_extras
    make(checkout, env, "setup")
    assert installed(checkout) == with_extras
    make(checkout, env, "setup-dev")
    assert installed(checkout) == locked(checkout, "requirements-dev.lock")
    assert NEWER not in installed(checkout).values()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an index of the build tools and a few packages, and a lock of those."""
    folder = tmp_path_factory.mktemp("small")
    build = (ROOT / "requirements-build.lock").read_text()
    more = {"sniffio", "iniconfig", "six"}
    text = (ROOT / "requirements-dev.lock").read_text()
    few = "".join(
        f"{name}=={one.specifier.__str__()[2:]} \\\n" for name, one in asked_by(text).items() if name in more
    )
    index = PackageIndex(folder / "index", build_tools() | more, whole=build_tools())
    (folder / "requirements-build.lock").write_text(index.lock(build))
    (folder / "requirements.lock").write_text(index.lock(build + few))
    return folder


@pytest.fixture
def checkout(small: Path, tmp_path: Path) -> Path:
    """Copy the checkout with the small locks and nothing set up."""
    made = copy_of_checkout(tmp_path / "checkout")
    for lock in small.glob("*.lock"):
        shutil.copy(lock, made)
    project = (made / "pyproject.toml").read_text()
    less = re.sub(
        r"^dependencies = \[.*?^\]",
        'dependencies = ["sniffio", "iniconfig"]',
        project,
        flags=re.MULTILINE | re.DOTALL,
    )
    (made / "pyproject.toml").write_text(less)
    return made


class StuckHandler(SimpleHTTPRequestHandler):
    """An index over HTTP that stops in the middle of one package's file."""

    def __init__(self, *arguments: object, stuck_at: str, reached: threading.Event, **named: object) -> None:
        self.stuck_at = stuck_at
        self.reached = reached
        super().__init__(*arguments, **named)  # type: ignore[arg-type] # handed on as they came

    def do_GET(self) -> None:
        if self.path.endswith(".whl") and self.stuck_at in self.path and not self.reached.is_set():
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"PK")
            self.wfile.flush()
            self.reached.set()
            self.rfile.read(1)  # Until the other side is gone.
            return
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def stuck_index(folder: Path, stuck_at: str) -> Iterator[tuple[str, threading.Event]]:
    """Serve an index that stops at a package; its URL, and what is set when it has been reached."""
    reached = threading.Event()
    handler = partial(StuckHandler, directory=str(folder), stuck_at=stuck_at, reached=reached)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", reached
    finally:
        server.shutdown()
        server.server_close()


def assert_heals(checkout: Path, small: Path) -> None:
    """Hold that the next `make` gives the whole environment."""
    assert not (checkout / ".venv/installed.json").exists()
    make(checkout, environment((small / "index").as_uri()), "setup")
    assert installed(checkout) == locked(checkout, "requirements.lock")
    subprocess.run([checkout / ".venv/bin/pip", "check"], check=True, capture_output=True)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("at", ["/setuptools-", "/iniconfig-"])
def test_an_install_that_was_interrupted_begins_anew(
    checkout: Path, small: Path, at: str, by: signal.Signals
) -> None:
    """Ctrl-C or a kill while pip installs leaves nothing that the next `make` trips over."""
    with stuck_index(small / "index", at) as (url, reached):
        process = subprocess.Popen(
            ["make", "setup"],
            cwd=checkout,
            env=environment(url),
            start_new_session=True,
            stderr=subprocess.PIPE,
        )
        assert reached.wait(300)
        os.killpg(process.pid, by)
        _, said = process.communicate(timeout=300)
    assert process.returncode != 0
    assert b"Traceback" not in said
    assert_heals(checkout, small)


def test_an_environment_that_was_interrupted_while_it_was_made_begins_anew(
    checkout: Path, small: Path
) -> None:
    """A virtual environment without pip, as a kill in `venv` leaves it, is made anew."""
    env = environment((small / "index").as_uri())
    for _ in range(5):  # On a busy machine the moment may be missed.
        process = subprocess.Popen(["make", "setup"], cwd=checkout, env=env, start_new_session=True)
        while not (checkout / ".venv/bin/python").exists():
            assert process.poll() is None
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not (checkout / ".venv/bin/pip").exists():
            break
        shutil.rmtree(checkout / ".venv")
    assert not (checkout / ".venv/bin/pip").exists()
    assert_heals(checkout, small)


def test_a_half_made_environment_of_another_hand_is_replaced(checkout: Path, small: Path) -> None:
    """What `python3 -m venv` leaves on a Debian without python3-venv does not stand in the way."""
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    assert_heals(checkout, small)


def test_a_full_disk_is_no_end(checkout: Path, small: Path) -> None:
    """Where a file cannot be written whole, the command fails; with room again it succeeds."""

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    env = environment((small / "index").as_uri())
    done = subprocess.run(
        ["make", "setup"],
        cwd=checkout,
        env=env,
        preexec_fn=no_room,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "begins it anew" in done.stderr
    assert_heals(checkout, small)


def test_an_environment_that_no_longer_works_is_replaced(checkout: Path, small: Path, tmp_path: Path) -> None:
    """A checkout that was moved, or whose Python is gone, is set up again."""
    env = environment((small / "index").as_uri())
    make(checkout, env, "setup")
    moved = checkout.rename(tmp_path / "moved")
    make(moved, env, "setup")
    first = (moved / ".venv/bin/pip").read_text().split("\n", 1)[0]
    assert first.startswith(f"#!{moved}/.venv/")
    (moved / ".venv/bin/python").unlink()
    (moved / ".venv/bin/python").symlink_to("/nowhere/python3")
    make(moved, env, "setup")
    assert installed(moved) == locked(moved, "requirements.lock")


def test_what_is_not_locked_goes(checkout: Path, small: Path) -> None:
    """A package that an earlier lock had leaves with the lock; what is still right is not touched."""
    env = environment((small / "index").as_uri())
    lock = checkout / "requirements.lock"
    make(checkout, env, "setup")
    stamp = checkout / ".venv/installed.json"
    before = stamp.stat().st_mtime_ns
    make(checkout, env, "setup")
    assert stamp.stat().st_mtime_ns == before
    kept = [entry for entry in entries(lock.read_text()) if not entry.startswith("six==")]
    lock.write_text("\n".join(kept) + "\n")
    make(checkout, env, "setup")
    assert "six" not in installed(checkout)
    assert installed(checkout) == locked(checkout, "requirements.lock")


def test_an_unknown_extra_is_named(checkout: Path, small: Path) -> None:
    """A mistyped extra changes nothing, and the known ones are told."""
    done = subprocess.run(
        ["make", "setup", "EXTRAS=keystoen"],
        cwd=checkout,
        env=environment("none"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "no extra named keystoen" in done.stderr
    assert not (checkout / ".venv").exists()
