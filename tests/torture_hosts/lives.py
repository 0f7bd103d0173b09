"""A host whose lives are forked from a process that has everything loaded already."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

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


class Host(Process):
    """Lives again and again.

    Attributes:
        loaded: The environment that libraries are loaded by, the same for all lives.
    """

    def __init__(self, config: Path) -> None:
        super().__init__(config)
        self.loaded: dict[str, str] = {}
        self._fifo = config.with_name("said")
        self._life: Life | None = None
        self._begun: asyncio.Future[Life] | None = None

    async def prepare(self) -> None:
        """Load everything."""
        os.mkfifo(self._fifo)
        self._nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.torture_hosts.nursery"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.loaded},
        )
        assert self._nursery.stdout is not None
        assert await self._nursery.stdout.readline() == b"ready\n"
        self._hearing = asyncio.create_task(self._hear())

    async def close(self) -> None:
        """End the process that forks."""
        self._hearing.cancel()
        self._nursery.kill()
        await self._nursery.wait()

    async def _hear(self) -> None:
        assert self._nursery.stdout is not None
        while line := await self._nursery.stdout.readline():
            what, pid, *code = line.split()
            if what == b"begun":
                assert self._begun is not None
                self._life = Life(int(pid))
                self._begun.set_result(self._life)
            elif self._life is not None and self._life.pid == int(pid):
                self._life.end(int(code[0]))

    async def start(self) -> None:
        """Fork a life, and wait until it says where it listens and answers there."""
        reading = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb"))
        self._begun = asyncio.get_running_loop().create_future()
        life = {"config": str(self.config), "said": str(self._fifo), "environment": self.environment}
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(life).encode() + b"\n")
        life_begun = await asyncio.shield(self._begun)
        self.pid = life_begun.pid
        self._process = life_begun  # type: ignore[assignment]  # It has all that is asked of one.
        said = b""
        while b"  page" not in said:
            line = await reader.readline()
            assert line, said.decode()
            said = line
        self.base = said.split()[1].decode().rstrip("/")
        self._reading = asyncio.create_task(self._keep(reader))
        self.client = aiohttp.ClientSession(self.base)
        await self._until_up()

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.said.append(line)
