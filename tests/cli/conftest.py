"""Running the command in this process and as a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fetcher.cli.app import run

COMMAND = [sys.executable, "-c", "from fetcher.cli import main; main()"]


@dataclass
class Result:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it is."""
        return json.loads(self.out)


Fetcher = Callable[..., Awaitable[Result]]


@pytest.fixture
def fetcher(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    """Run `fetcher ARGUMENTS` in a thread, so that a service in this process can answer it."""
    for name in (
        "FETCHER_SERVER",
        "FETCHER_CONFIG",
        "FETCHER_TOKEN",
        "OS_TOKEN",
        "FETCHER_CACERT",
        "OS_CACERT",
    ):
        monkeypatch.delenv(name, raising=False)

    async def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = await asyncio.to_thread(run, [str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return call


async def spawn(*arguments: object, cwd: Path) -> asyncio.subprocess.Process:
    """Start `fetcher ARGUMENTS` as a process of its own."""
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *(str(argument) for argument in arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
