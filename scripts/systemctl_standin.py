#!/usr/bin/env python3
"""Stand in for `systemctl` where systemd is not process 1, as in a container that tests the documents.

It does what a unit file says of starting, stopping and reloading a service: its user, its folders, its
commands, its environment, and the wait for READY=1 of `Type=notify`. What a unit forbids (sandboxing, limits
of memory) it leaves out.

Source: systemctl(1), systemd.service(5), sd_notify(3).
"""

import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
STATE = Path("/run/systemctl-standin")
MAX_SECONDS = 120


class Unit:
    """A service, as its file says.

    Args:
        name: With or without `.service`.
    """

    def __init__(self, name: str) -> None:
        self.name = name.removesuffix(".service")
        self.keys: dict[str, list[str]] = {}
        for line in (UNITS / f"{self.name}.service").read_text().splitlines():
            key, separator, value = line.partition("=")
            if separator and not line.startswith(("#", ";")):
                self.keys.setdefault(key, []).append(value)
        self.user = pwd.getpwnam(self.keys["User"][0])
        self._pid_file = STATE / f"{self.name}.pid"
        self.log = STATE / f"{self.name}.log"

    def pid(self) -> int | None:
        """Return the main process, if it lives."""
        try:
            pid = int(self._pid_file.read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid

    def _begin(self, command: str, extra: dict[str, str]) -> subprocess.Popen[bytes]:
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": self.user.pw_dir,
            "USER": self.user.pw_name,
            **extra,
        }
        for assignments in self.keys.get("Environment", []):
            env.update(word.split("=", 1) for word in shlex.split(assignments))
        with self.log.open("ab") as log:
            return subprocess.Popen(
                shlex.split(command), env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[], umask=0o077,
                start_new_session=True,
            )  # fmt: skip

    def start(self) -> int:
        """Start it, and wait until it says that it is ready."""
        if self.pid() is not None:
            return 0
        for name in self.keys.get("StateDirectory", []):
            folder = Path("/var/lib") / name
            folder.mkdir(exist_ok=True)
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
            folder.chmod(0o700)
        for command in self.keys.get("ExecStartPre", []):
            if self._begin(command, {}).wait() != 0:
                return self._failed(f"{command} failed")
        address = STATE / "notify"
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(str(address))
            address.chmod(0o666)
            ear.settimeout(0.5)
            child = self._begin(self.keys["ExecStart"][0], {"NOTIFY_SOCKET": str(address)})
            self._pid_file.write_text(str(child.pid))
            until = time.monotonic() + MAX_SECONDS
            while time.monotonic() < until and child.poll() is None:
                try:
                    if b"READY=1" in ear.recv(4096).split(b"\n"):
                        return 0
                except TimeoutError:
                    continue
        return self._failed("it did not become ready")

    def _failed(self, why: str) -> int:
        print(f"{self.name}: {why}\n{self.log.read_text()[-4000:]}", file=sys.stderr)
        return 1

    def stop(self) -> int:
        """Ask it to end, and wait."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + MAX_SECONDS
            while self.pid() is not None:
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                    return self._failed("it did not end")
                time.sleep(0.05)
        return 0

    def reload(self) -> int:
        """Run its ExecReload= commands."""
        for command in self.keys.get("ExecReload", []):
            if self._begin(command.replace("$MAINPID", str(self.pid())), {}).wait() != 0:
                return self._failed(f"{command} failed")
        return 0


def main(words: list[str]) -> int:
    """Run one command of systemctl."""
    STATE.mkdir(parents=True, exist_ok=True)
    verb, *names = [word for word in words if not word.startswith("--")]
    if verb == "daemon-reload":
        return 0
    unit = Unit(names[0])
    if verb == "enable":
        return unit.start() if "--now" in words else 0
    if verb == "restart":
        return unit.stop() or unit.start()
    if verb == "status":
        print(f"{unit.name}: {'active' if unit.pid() else 'inactive'}")
        return 0 if unit.pid() else 3
    known = {"start": unit.start, "stop": unit.stop, "reload": unit.reload}
    if verb not in known:
        raise SystemExit(f"systemctl {verb}: the stand-in does not know this")
    return known[verb]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
