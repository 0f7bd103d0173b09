"""The command line that starts a program behind walls."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fetcher.convert.sandbox.rules import SYSTEM, Rules, Walls

CONFINE = Path(__file__).with_name("confine.py")
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    # Each thread takes an arena of 64 MiB of address space else, up to eight for each processor.
    "MALLOC_ARENA_MAX": "2",
}


def confined(
    command: Sequence[str], rules: Rules, walls: Walls, *, canary: dict[str, Any] | None = None
) -> list[str]:
    """Return the command line for `command` behind all walls that stand.

    Args:
        command: The program as an absolute path, and its arguments.
        canary: What to try to reach instead of starting the program.
    """
    words: dict[str, Any] = {
        "limits": rules.limits(),
        "landlock": bool(walls.landlock),
        "seccomp": walls.seccomp,
        "read": [*SYSTEM, *map(str, rules.read)],
        "write": [*map(str, rules.write)],
        "scratch": [str(rules.scratch)] if rules.scratch else [],
    }
    if canary is not None:
        words["canary"] = canary
    if not walls.bubblewrap:
        words["parent"] = os.getpid()
    inner = [_python(), "-IS", str(CONFINE), json.dumps(words), *command]
    return [*_bubblewrap(rules), *inner] if walls.bubblewrap else inner


def _python() -> str:
    """Return the interpreter itself, not the link of a virtual environment, which a wall may hide."""
    return os.path.realpath(sys.executable)


def _bubblewrap(rules: Rules) -> Iterator[str]:
    yield shutil.which("bwrap") or "/usr/bin/bwrap"
    yield from ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp")  # noqa: S108 # a folder of its own
    seen = [place for place in SYSTEM if not place.startswith("/dev/")]
    for place in [*seen, sys.base_prefix, str(CONFINE), *map(str, rules.read)]:
        yield from ("--ro-bind-try", place, place)
    for path in (*rules.write, *([rules.scratch] if rules.scratch else [])):
        yield from ("--bind", str(path), str(path))
    yield from ("--chdir", "/", "--")
