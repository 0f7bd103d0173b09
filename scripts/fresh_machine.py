"""Build a bare Debian 12 in a scratch folder and follow the README there, as root and as an ordinary user.

Usage: fresh_machine.py [smoke|full] [root|user|operator ...]     (smoke; all three)

`operator` does what docs/operator.md says, word by word (scripts/operator_machine.py).

Needs root and mmdebstrap. Where packages come from is this machine's own configuration of apt and pip, taken
at run time. The guest has processes and mounts of its own, so that nothing of it is left at its end; it uses
the network of this machine to install, and a network of its own, without a way out, to serve on the README's
port. Two guests go on side by side, and take each other's downloads of Python packages.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE = "bookworm"
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
PASSED_ON = re.compile(r"(https?|no|all|ftp)_proxy|PIP_\w+|SSL_CERT_\w+|CI", re.IGNORECASE)
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_CACHE = "/var/cache/pip"
# Who goes after whom: an ordinary user installs no Debian packages, and leaves time for the operator.
LANES = (("root",), ("user", "operator"))


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def checkout_files() -> list[str]:
    """Return what belongs to the checkout as it stands, committed or not."""
    listed = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        str(ROOT),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def bootstrap(archive: Path) -> None:
    """Make the smallest Debian, with Python and make, from where this machine gets its packages."""
    candidates = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
    sources = [str(path) for path in candidates if path.exists()]
    run(
        *("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,make,ca-certificates"),
        "--dpkgopt=force-unsafe-io",  # Nothing here is to outlive a power loss; it stays in force inside.
        *(SUITE, str(archive), *sources),
    )


def pip_settings() -> tuple[dict[str, str], list[str]]:
    """Return this machine's settings of pip as variables, and the folders that they name."""
    asked = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    found: dict[str, str] = {}
    for key, value in re.findall(r"^(?:global|install|site|user|:env:)\.(\S+)='(.*)'$", listed, re.MULTILINE):
        if key not in {"constraint", "cache-dir", "target", "user"}:
            found[f"PIP_{key.upper().replace('-', '_')}"] = value
    folders = re.findall(
        r"(?:file://|(?<=[\s=]))(/[^\s:]+)", " ".join(f"={value}" for value in found.values())
    )
    named = {str(Path(*Path(folder).parts[:3])) for folder in folders}
    return found, sorted(
        folder for folder in named if Path(folder).is_dir() and not folder.startswith("/etc/")
    )


class Failed(Exception):
    """A command did something else than it must; the message says which."""


class Guest:
    """A Debian in a folder.

    Args:
        folder: Where it is.
        archive: What it is made from.
    """

    def __init__(self, folder: Path, archive: Path) -> None:
        self._folder = folder
        self._variables, self._packages = pip_settings()
        folder.mkdir()
        run("tar", "--extract", "--file", str(archive), "--directory", str(folder), "--exclude=./dev/*")
        for name in ("/etc/hosts", "/etc/resolv.conf"):
            shutil.copy(name, folder / name[1:])
        shutil.copy(CERTIFICATES, folder / str(CERTIFICATES)[1:])
        self._cache = archive.with_name("pip")
        for part in Path("/etc/apt/apt.conf.d").glob("99*"):
            shutil.copy(part, folder / "etc/apt/apt.conf.d")
        run("chroot", str(folder), "useradd", "--create-home", "--shell", "/bin/sh", "newcomer")

    def copy_checkout(self, user: str) -> str:
        """Put the checkout into a user's home; its path there."""
        home = "root" if user == "root" else f"home/{user}"
        target = self._folder / home / "glance-fetcher"
        for name in checkout_files():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
        run("chroot", str(self._folder), "chown", "--recursive", user, f"/{home}/glance-fetcher")
        return f"/{home}/glance-fetcher"

    def run(self, user: str, words: str, *, offline: bool = False, fails_with: str | None = None) -> None:
        """Run a command line as a user; it must succeed, or fail with some words."""
        print(f"[{user}] {words} ...", flush=True)
        began = time.monotonic()
        home = "/root" if user == "root" else f"/home/{user}"
        wanted = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        env = {**wanted, **self._variables, "HOME": home, "USER": user, "LANG": "C.UTF-8"}
        env["PIP_CACHE_DIR"] = PIP_CACHE
        env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        settings = [f"{name}={value}" for name, value in env.items()]
        inside = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "-i", *settings]
        inside += ["sh", "-c", f"cd ~/glance-fetcher && {words}"]
        alone = ["--net"] if offline else []
        command = [*NAMESPACES, *alone, "sh", "-euc", self._mounts(offline=offline), "sh", *inside]
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        # In one piece: another guest has things to say, too.
        print(f"\n{done.stdout}[{user}] {words}: {time.monotonic() - began:.0f} s\n", flush=True)
        if fails_with is None and done.returncode != 0:
            raise Failed(f"[{user}] {words}: exit code {done.returncode}")
        if fails_with is not None and (done.returncode == 0 or fails_with not in done.stdout):
            raise Failed(f"[{user}] {words}: must fail and say {fails_with!r}")

    def _mounts(self, *, offline: bool) -> str:
        """Return what mounts the guest's file systems and goes in; all of it ends with the command."""
        root = str(self._folder)
        lines = [f"mount -t proc proc {root}/proc", f"mount -t tmpfs -o mode=755 dev {root}/dev"]
        lines += [f"touch {root}/dev/{name}; mount --bind /dev/{name} {root}/dev/{name}" for name in DEVICES]
        lines += [f"mkdir {root}/dev/shm {root}/dev/pts", f"mount -t tmpfs -o mode=1777 shm {root}/dev/shm"]
        lines += [f"mount -t devpts -o newinstance,ptmxmode=666 pts {root}/dev/pts"]
        lines += [f"ln -s pts/ptmx {root}/dev/ptmx", f"ln -s /proc/self/fd {root}/dev/fd"]
        lines += [f"mkdir -p {root}{PIP_CACHE}", f"mount --bind {self._cache} {root}{PIP_CACHE}"]
        for folder in self._packages:
            lines += [f"mkdir -p {root}{folder}", f"mount --bind -o ro {folder} {root}{folder}"]
        if offline:
            lines.append("ip link set lo up 2>/dev/null || python3 -c " + f"'{LOOPBACK_UP}'")
        return "\n".join([*lines, f'exec chroot {root} "$@"'])


# What `ip link set lo up` does, for a machine without iproute2: SIOCSIFFLAGS with IFF_UP.
LOOPBACK_UP = (
    'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
)


def follow_readme(guest: Guest, user: str, size: str) -> None:
    """Do what a newcomer does."""
    guest.copy_checkout(user)
    if user != "root":
        guest.run(user, "make run", fails_with="apt-get install python3.11-venv")
        guest.copy_checkout("root")
        guest.run("root", "apt-get -qq update && apt-get -qq install --yes python3-venv >/dev/null 2>&1")
    guest.run(user, "python3 scripts/newcomer.py own")
    guest.run(user, "python3 scripts/newcomer.py readme", offline=True)
    guest.run(user, "make demo")
    guest.run(user, "make test" if size == "full" else "make smoke")


def follow_operator_guide(guest: Guest) -> None:
    """Do what an operator does."""
    guest.copy_checkout("root")
    guest.run("root", "apt-get -qq update && python3 scripts/operator_machine.py install")
    guest.run("root", "python3 scripts/operator_machine.py operate", offline=True)


def follow_all(users: list[str], archive: Path, size: str) -> None:
    """Do what each of these does, one after the other, each on a machine of its own."""
    for user in users:
        folder = archive.with_name(user)
        guest = Guest(folder, archive)
        if user == "operator":
            follow_operator_guide(guest)
        else:
            follow_readme(guest, "root" if user == "root" else "newcomer", size)
        shutil.rmtree(folder)


def main(arguments: list[str]) -> None:
    """Run the command."""
    size = "full" if "full" in arguments else "smoke"
    every = ("root", "user", "operator")
    users = [user for user in every if user in arguments] or list(every)
    if os.geteuid() != 0:
        raise SystemExit("make fresh-machine needs root, for chroot and mounts.")
    run("sh", str(ROOT / "scripts/debian-packages.sh"), "fresh")
    if shutil.which("mmdebstrap") is None:
        raise SystemExit("make fresh-machine needs Debian's package mmdebstrap: apt-get install mmdebstrap")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fresh-machine-") as scratch:
        archive = Path(scratch) / "base.tar"
        bootstrap(archive)
        print(f"A bare Debian: {time.monotonic() - began:.0f} s", flush=True)
        cache = archive.with_name("pip")
        cache.mkdir()
        cache.chmod(0o777)  # Whoever comes first fills it.
        with ThreadPoolExecutor(len(LANES)) as pool:
            lanes = [[user for user in lane if user in users] for lane in LANES]
            done = [pool.submit(follow_all, lane, archive, size) for lane in lanes]
        failures = [str(one.exception()) for one in done if one.exception() is not None]
    if failures:
        raise SystemExit("\n".join(failures))
    print(
        f"\nA fresh machine does what the README says ({', '.join(users)}; {time.monotonic() - began:.0f} s)."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
