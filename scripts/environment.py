"""Make the virtual environment what the locks say; rebuild it where an earlier attempt was interrupted.

Usage: environment.py [EXTRA ...]     an EXTRA is one of the product's, or "dev" for what development needs

Runs on the system's Python, so it uses the standard library only, and no newer syntax than it takes to say
that this Python is too old. `.venv/installed.json` is written last and removed first: an environment without
it is unfinished, whatever it looks like, and is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
BUILD_LOCK = "requirements-build.lock"
OLDEST = (3, 11)
PROJECT = "glance-fetcher"


class Unfinished(Exception):
    """The environment could not be made; the message says what to do."""


def lock_of(extra: str) -> str:
    """Return the name of the lock file of an extra; the empty name is the product itself."""
    return f"requirements-{extra}.lock" if extra else "requirements.lock"


def known_extras() -> list[str]:
    """Return the extras that have a lock."""
    names = [path.name[len("requirements-") : -len(".lock")] for path in ROOT.glob("requirements-*.lock")]
    return sorted(set(names) - {"build", "uv"})


def check_wanted(extras: set[str]) -> None:
    """Refuse an unknown extra and a Python that is too old, before anything is changed."""
    unknown = extras - set(known_extras())
    if unknown:
        names, known = ", ".join(sorted(unknown)), ", ".join(known_extras())
        raise Unfinished(f"There is no extra named {names}; the extras are {known}.")
    if sys.version_info < OLDEST:
        have = f"{sys.executable} is {sys.version.split()[0]}"
        raise Unfinished(
            f"Python 3.11 or newer is needed, but {have}; give another one: make PYTHON=python3.11"
        )


def digest(name: str) -> str:
    """Return the digest of one file of the checkout."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def interpreter() -> str:
    """Return what the environment's own Python says that it is, or nothing when it does not run."""
    try:
        asked = [str(PYTHON), "-I", "-c", "import sys; print(sys.base_prefix, sys.version)"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def stamp_for(extras: set[str]) -> Any:
    """Return what the stamp says once the environment holds these extras."""
    names = [lock_of(""), BUILD_LOCK, "pyproject.toml", *sorted(lock_of(extra) for extra in extras)]
    return {
        "root": str(ROOT),
        "interpreter": interpreter(),
        "extras": sorted(extras),
        "files": {name: digest(name) for name in names},
    }


def read_stamp() -> Any:
    """Return the stamp of a finished environment that still works in this place, or nothing."""
    try:
        stamp = json.loads(STAMP.read_text())
        usable = stamp["root"] == str(ROOT) and stamp["interpreter"] == interpreter() != ""
        return stamp if usable and (VENV / "bin" / "pip").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run(*command: str) -> None:
    """Run one command of the installation; its own words say what went wrong."""
    # A constraint of the machine would be a second lock, and a place of its own would miss the environment.
    dropped = {"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PYTHONPATH"}
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env.update(PIP_CONSTRAINT=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode != 0:
        raise Unfinished("The virtual environment is unfinished; the same command begins it anew.")


def pip(*arguments: str) -> None:
    """Run the environment's pip."""
    run(str(PYTHON), "-m", "pip", "--quiet", "--quiet", *arguments)


def check_complete() -> None:
    """Refuse an environment in which a package lacks another one, or has an unfit release of it."""
    asked = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "check"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unfinished(
            done.stdout + done.stderr + "The locks do not fit together; `make lock` makes them anew."
        )


def debian_packages(what: str) -> None:
    """Install the Debian packages that a part wants, where this user may, or say what is off."""
    env = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(["sh", "scripts/debian-packages.sh", what], cwd=ROOT, env=env, check=False)


def make_anew() -> None:
    """Remove what is there and make an empty environment."""
    if VENV.is_symlink():
        VENV.unlink()
    STAMP.unlink(missing_ok=True)
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        import ensurepip  # noqa: F401 - only whether it is there
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        words = f"{sys.executable} cannot make virtual environments; ask an administrator of this machine for"
        raise Unfinished(f"{words} Debian's package {package}: apt-get install {package}") from None
    run(sys.executable, "-m", "venv", "--clear", str(VENV))


def install(extras: set[str]) -> None:
    """Install the locks as they stand: no resolver, no build that fetches tools, nothing besides."""
    locks = [lock_of(""), *sorted(lock_of(extra) for extra in extras)]
    exactly = ("install", "--no-deps", "--require-hashes")
    # The locked pip installs the rest: what an older one makes of a lock changes from release to release.
    pip(*exactly, "--only-binary", ":all:", "--requirement", BUILD_LOCK)
    pip(*exactly, "--no-build-isolation", *(word for name in locks for word in ("--requirement", name)))
    pip("install", "--no-deps", "--no-build-isolation", "--no-index", "--editable", ".")
    asked = [str(PYTHON), __file__, "--surplus", BUILD_LOCK, *locks]
    surplus = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if surplus:
        pip("uninstall", "--yes", *surplus)
    check_complete()


def compile_sources() -> None:
    """Compile what has changed: a service that may not write here would do it at each of its starts."""
    subprocess.run([str(PYTHON), "-m", "compileall", "-q", "fetcher"], cwd=ROOT, check=False)


def surplus_of(locks: list[str]) -> list[str]:
    """Return what is installed in this interpreter and in none of the locks. Runs inside the environment."""
    from importlib.metadata import distributions

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    text = "\n".join((ROOT / name).read_text() for name in locks)
    wanted = {canonicalize_name(PROJECT)}
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            wanted.add(canonicalize_name(Requirement(line.rstrip("\\ ")).name))
    return sorted({canonicalize_name(found.name) for found in distributions()} - wanted)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait for another command that makes the same environment."""
    with (ROOT / ".venv.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Waiting for another command that installs packages here ...", file=sys.stderr)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def ensure(extras: set[str]) -> None:
    """Leave the environment with these extras and whichever it had."""
    stamp = read_stamp()
    if stamp is not None:
        extras = extras | (set(stamp["extras"]) & set(known_extras()))
        if stamp == stamp_for(extras):
            compile_sources()
            return
    debian_packages("run")
    if stamp is None:
        make_anew()
    print("Installing pinned packages ...", flush=True)
    STAMP.unlink(missing_ok=True)
    install(extras)
    compile_sources()
    unfinished = STAMP.with_suffix(".new")
    unfinished.write_text(json.dumps(stamp_for(extras), indent=1))
    unfinished.replace(STAMP)


def main(arguments: list[str]) -> int:
    """Run the command."""
    if arguments[:1] == ["--surplus"]:
        print("\n".join(surplus_of(arguments[1:])))
        return 0
    extras = {word for argument in arguments for word in argument.replace(",", " ").split()}
    try:
        check_wanted(extras)
        with alone():
            ensure(extras)
        if "dev" in extras:
            debian_packages("test")
    except Unfinished as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The virtual environment is unfinished: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the next command begins the virtual environment anew.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
