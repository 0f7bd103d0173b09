"""Rules of the sandbox: what a confined program may use, and which walls stand around it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetcher.errors import ConversionUnavailable

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")
"""Files that every program needs to start; none of them belongs to anybody."""
PROCESSES = 64
STACK_BYTES = 1 << 20
"""Of each thread; the default of 8 MiB lets the 64 threads of qemu's pool alone reach the address space."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Files and limits of one run; all else is out of its sight.

    Args:
        read: Files that it may read.
        write: Files that exist already, which it may also write.
        scratch: A folder in which it may make files, or None.
        cpu_seconds: Processor time, of all its threads.
        memory_bytes: Address space.
        file_bytes: The longest file that it may write.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    scratch: Path | None = None
    cpu_seconds: int = 60
    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 20

    def limits(self) -> dict[str, int]:
        """Return the kernel's limits on a process by their names."""
        return {
            "CPU": self.cpu_seconds,
            "AS": self.memory_bytes,
            "FSIZE": self.file_bytes,
            "NOFILE": 64,
            "STACK": STACK_BYTES,
            "NPROC": _tasks() + PROCESSES,
            "CORE": 0,
        }


def _tasks() -> int:
    """Count the tasks of the whole machine, since the kernel's limit counts those of a user."""
    running = Path("/proc/loadavg").read_text("ascii").split()[3]
    return int(running.partition("/")[2])


@dataclass(frozen=True, kw_only=True)
class Walls:
    """The walls that have been seen to hold on this machine.

    Args:
        landlock: Its version, 0 where it does not hold: keeps files out of reach.
        seccomp: Keeps the network and other processes out of reach.
        bubblewrap: Does both, by namespaces.
    """

    landlock: int = 0
    seccomp: bool = False
    bubblewrap: bool = False

    @property
    def is_standing(self) -> bool:
        """Return whether both files and the network are out of reach."""
        return self.bubblewrap or (self.landlock > 0 and self.seccomp)

    @property
    def names(self) -> list[str]:
        """Return the names of the walls, for people."""
        named = {f"Landlock (ABI {self.landlock})": self.landlock, "seccomp": self.seccomp}
        return [name for name, holds in {**named, "bubblewrap": self.bubblewrap}.items() if holds]

    def published(self) -> dict[str, Any]:
        """Return what outsiders may know."""
        return {
            "standing": self.is_standing,
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "bubblewrap": self.bubblewrap,
        }

    def check(self) -> None:
        """Refuse to run anything where no wall stands.

        Raises:
            ConversionUnavailable: Files or the network would be in reach.
        """
        if not self.is_standing:
            reason = "no sandbox works here; it takes Landlock and seccomp, or bubblewrap"
            raise ConversionUnavailable(reason=reason)
