"""Services forked from a process that has loaded everything: what a start costs is nearly all for loading.

Each is a process of its own all the same, with its own number, environment, files, connections and end.
"""

import asyncio
import atexit
import gc
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOADED = (
    "fetcher.start.command",
    "fetcher.service",
    "fetcher.logs",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.lifespan.on",
)
MAX_BYTES = 131_072  # Of a request: an environment, mostly.


class Fork:
    """A forked service, as `asyncio.subprocess.Process` has it.

    Attributes:
        stderr: What it says.
    """

    def __init__(self, pid: int, stderr: asyncio.StreamReader, ending: int) -> None:
        self.pid = pid
        self.stderr = stderr
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._ending = ending
        asyncio.get_running_loop().add_reader(ending, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ending)
        self.returncode = int(os.read(self._ending, 16) or "70")
        os.close(self._ending)
        self._ended.set()

    async def wait(self) -> int:
        """Wait for its end."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal, where it has not ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)


async def fork_service(arguments: list[str], environment: dict[str, str]) -> Fork:
    """Begin a service with arguments of `server.py`, in this environment and nothing else."""
    told, says = os.pipe()
    ending, ended = os.pipe()
    asked = json.dumps({"arguments": arguments, "environment": environment}).encode()
    try:
        pid = await asyncio.to_thread(lambda: _forker().ask(asked, says, ended))
    finally:
        os.close(says)
        os.close(ended)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(told, "rb"))
    return Fork(pid, reader, ending)


class _Forker:
    """The process that has loaded everything."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.lab.forks", str(theirs.fileno())]
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        atexit.register(self._stop)

    def ask(self, asked: bytes, *descriptors: int) -> int:
        """Have it fork; the number of the new process."""
        with self._alone:
            socket.send_fds(self._channel, [asked], descriptors)
            return int(self._channel.recv(16))

    def _stop(self) -> None:
        self._channel.close()
        self._process.wait()


@cache
def _forker() -> _Forker:
    return _Forker()


def main(channel: socket.socket) -> None:
    """Load, then fork as asked until the channel ends; tell of every end."""
    from fetcher.interpreter import fast_imports

    with fast_imports():
        for name in LOADED:
            __import__(name)
    gc.freeze()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread would be lost in a fork"
    lives: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([channel.fileno(), *lives], [], [])[0]:
            if ready in lives:
                pid, ended = lives.pop(ready)
                os.write(ended, str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                os.close(ended)
                os.close(ready)
                continue
            asked, descriptors, _flags, _address = socket.recv_fds(channel, MAX_BYTES, 2)
            if not asked:
                return
            says, ended = descriptors
            pid = os.fork()
            if pid == 0:
                _live(json.loads(asked), says)
            os.close(says)
            lives[os.pidfd_open(pid)] = (pid, ended)
            channel.send(str(pid).encode())


def _live(asked: dict[str, Any], says: int) -> None:
    """Be the service, and never come back."""
    from fetcher import crash
    from fetcher.start.command import main as serve

    os.dup2(says, 2)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(asked["environment"])
    crash.arm(os.environ.get(crash.VARIABLE, ""))
    logging.raiseExceptions = False
    code = 70
    try:
        code = serve(asked["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except BaseException:  # noqa: BLE001 - a fork must not run on in the code of its parent
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type] # there is one
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
