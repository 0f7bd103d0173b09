"""Hosts whose lives are forked from a process that has everything loaded already."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from tests.processes import ROOT, Process


class Life:
    """One process, as `asyncio.subprocess.Process` has it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, code: int) -> None:
        """Note its end."""
        self.returncode = code
        self._ended.set()

    async def wait(self) -> int:
        """Wait for its end."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, how)


class Nursery:
    """The process that has everything loaded, as `tests.several.nursery` does it.

    Args:
        loaded: Environment variables of its own, such as libraries to be loaded; the same for all lives.
    """

    def __init__(self, loaded: dict[str, str] | None = None) -> None:
        self._loaded = loaded or {}
        self._lives: dict[int, Life] = {}
        self._turn = asyncio.Lock()
        self._begun: asyncio.Future[Life] | None = None

    async def __aenter__(self) -> Self:
        """Load everything."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.several.nursery"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self._loaded},
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n"
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; its lives have ended before."""
        self._hearing.cancel()
        self._process.kill()
        await self._process.wait()

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            what, pid, *code = line.split()
            if what == b"begun":
                assert self._begun is not None
                self._lives[int(pid)] = life = Life(int(pid))
                self._begun.set_result(life)
            else:
                self._lives.pop(int(pid)).end(int(code[0]))

    async def fork(self, config: Path, said: Path, environment: dict[str, str]) -> Life:
        """Begin a life that writes what it says into a FIFO."""
        life = {"config": str(config), "said": str(said), "environment": environment}
        async with self._turn:
            self._begun = asyncio.get_running_loop().create_future()
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(life).encode() + b"\n")
            return await asyncio.shield(self._begun)


class Host(Process):
    """Lives again and again.

    Args:
        config: The operator's file.
        nursery: What its lives are forked from.
    """

    def __init__(self, config: Path, nursery: Nursery) -> None:
        super().__init__(config)
        self.nursery = nursery
        self._fifo = config.with_name("said")

    async def start(self) -> None:
        """Fork a life, and wait until it says where it listens and answers there."""
        if not self._fifo.exists():
            os.mkfifo(self._fifo)
        reading = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb"))
        life = await self.nursery.fork(self.config, self._fifo, self.environment)
        self.pid = life.pid
        self._process = life  # type: ignore[assignment]  # It has all that is asked of one.
        said = b""
        while b"  page" not in said:
            line = await reader.readline()
            assert line, said.decode()
            said = line
        self.base = said.split()[1].decode().rstrip("/")
        self._reading = asyncio.create_task(self._keep(reader))
        self.client = aiohttp.ClientSession(self.base)
        await self._until_up()

    def tell_tasks(self) -> None:
        """Have it write down what its tasks wait for."""
        os.kill(self.pid, signal.SIGUSR1)

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.said.append(line)
