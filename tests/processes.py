"""The service as a process of its own, so that it can be killed."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from fetcher.crash import VARIABLE
from tests.lab.forks import Fork, fork_service

ROOT = Path(__file__).parent.parent


def tell(process: asyncio.subprocess.Process | Fork, how: signal.Signals) -> None:
    """Send a signal, where the process has not ended by itself.

    `send_signal` of asyncio looks whether it has ended, and takes its status: the loop then says 255.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, how)


class Process:
    """The service on a configuration; may be killed and started again on the same store.

    Args:
        config: The operator's file; its listen port should be 0.
        loads_anew: Is `python server.py` itself, and no fork of what has loaded the same modules. So is one
            with an environment of its own, unless all that this says is where it ends.
    """

    def __init__(self, config: Path, *, loads_anew: bool = False) -> None:
        self.config = config
        self._loads_anew = loads_anew
        self.base = ""
        self.pid = 0
        self.said: list[bytes] = []
        self.environment: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End it, however it stands."""
        await self.kill()

    async def start(self) -> None:
        """Start it, and wait until it says where it listens and answers there."""
        self._process = await self._begin()
        self.pid = self._process.pid
        assert self._process.stderr is not None
        said = b""
        while b"  page" not in said:
            line = await self._process.stderr.readline()
            assert line, said.decode()
            said = line
        self.base = said.split()[1].decode().rstrip("/")
        self._reading = asyncio.create_task(self._drain())
        self.client = aiohttp.ClientSession(self.base)
        await self._until_up()

    async def _begin(self) -> asyncio.subprocess.Process | Fork:
        arguments = ["--config", str(self.config)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment}
        if not self._loads_anew and self.environment.keys() <= {VARIABLE}:
            return await fork_service(arguments, environment)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "server.py"), *arguments),
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        )

    async def _drain(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self.said.append(line)

    async def _until_up(self) -> None:
        while True:  # As long as it runs: how long a start takes is up to the machine.
            try:
                async with self.client.get("/readyz") as answer:
                    if "starting" not in await answer.text():
                        return
            except aiohttp.ClientConnectionError:
                pass
            assert self._process.returncode is None, "the service ended by itself"
            await asyncio.sleep(0.02)

    def pause_reading(self) -> None:
        """Leave its standard error unread."""
        self._reading.cancel()

    def resume_reading(self) -> None:
        """Read on."""
        self._reading = asyncio.create_task(self._drain())

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End it with a signal, and wait for its end."""
        tell(self._process, how)
        code = await self._process.wait()
        await self.client.close()
        await self._reading
        return code

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Make a request; status and document come back."""
        async with self.client.request(method, path, **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def until(self, import_id: str, *states: str) -> dict[str, Any]:
        """Follow an import until it is in one of the states."""
        async with asyncio.timeout(60):
            while True:
                document = (await self.call("GET", f"/imports/{import_id}"))[1]
                if document["state"] in states:
                    return dict(document)
                await asyncio.sleep(0.02)

    def resident_bytes(self) -> int:
        """How much memory it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
