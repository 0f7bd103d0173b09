"""A process that has the service loaded and forks its lives: run as `python -m tests.several.nursery`.

A start costs seconds of processor time, nearly all of it for loading modules, and hosts die often.
Each life is a process of its own all the same, with its own number, files, connections and end.

It reads a line of JSON for each life from its standard input, and writes `begun PID` and `ended PID CODE`.
"""

import asyncio
import json
import logging
import os
import select
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

READING_SECONDS = 0.05
LOADED = (
    "aiobotocore.session",
    "fetcher.engine.postgres",
    "fetcher.index.postgres.index",
    "fetcher.start.command",
    "fetcher.service",
    "fetcher.logs",
    "fetcher.store.s3.store",
    "psycopg_pool",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.lifespan.on",
)


def main() -> None:
    """Load, then fork as asked until standard input ends."""
    for name in LOADED:
        __import__(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread would be lost in a fork"
    say("ready")
    while True:
        readable, _writable, _odd = select.select([0], [], [], READING_SECONDS)
        if readable:
            line = sys.stdin.buffer.readline()
            if not line:
                return
            life = json.loads(line)
            pid = os.fork()
            if pid == 0:
                live(life)
            say(f"begun {pid}")
        collect()


def say(words: str) -> None:
    """Tell who asked."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def collect() -> None:
    """Tell of the lives that have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def tell_tasks(file: Path, _number: int, _frame: Any) -> None:
    """Write down what every task of this life waits for: how a life that hangs is looked at."""
    with file.open("a") as told:
        for task in asyncio.all_tasks():
            told.write(f"{task!r}\n")
            waits: Any = task.get_coro()
            while waits is not None:
                frame = getattr(waits, "cr_frame", None) or getattr(waits, "ag_frame", None)
                if frame is not None:
                    told.write(f"    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}\n")
                waits = getattr(waits, "cr_await", None) or getattr(waits, "ag_await", None)
        told.write("\n")


def live(life: dict[str, Any]) -> None:
    """Be the service, and never come back."""
    from fetcher import crash
    from fetcher.start.command import main as serve

    said = os.open(life["said"], os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDWR)
    for target, source in ((0, nothing), (1, said), (2, said)):
        os.dup2(source, target)
    os.closerange(3, 256)
    os.environ.update(life["environment"])
    signal.signal(signal.SIGUSR1, partial(tell_tasks, Path(life["config"]).with_name("tasks.txt")))
    crash.arm(life["environment"].get(crash.VARIABLE, ""))
    logging.raiseExceptions = False
    code = 70
    try:
        code = serve(["--config", life["config"]])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except BaseException as fault:  # noqa: BLE001 - a fork must not run on in the code of its parent
        os.write(2, f"{fault!r}\n".encode())
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
