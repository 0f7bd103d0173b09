"""Finds out which walls hold on this machine, with a harmless canary."""

import asyncio
import json
import secrets
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from socket import create_server
from typing import Any

from fetcher.convert.sandbox.command import confined
from fetcher.convert.sandbox.rules import Rules, Walls
from fetcher.convert.sandbox.runner import start
from fetcher.errors import ConversionUnavailable

PROBE_SECONDS = 30


async def probe_walls() -> Walls:
    """Try each wall alone: a canary behind it tries to read a file and to reach a port of ours.

    A wall counts when the canary ran, and could not. Before that, a canary without any wall has to
    reach both; where it cannot, nothing has been shown and nothing counts.
    """
    with tempfile.TemporaryDirectory() as folder, closing(create_server(("127.0.0.1", 0))) as listener:
        file = Path(folder) / "canary"
        file.write_text(secrets.token_hex())
        canary = {"file": str(file), "port": listener.getsockname()[1]}
        free = await _reach(Walls(), canary)
        if not (free.get("file") and free.get("network")):
            return Walls()
        landlock, seccomp, bubblewrap = await asyncio.gather(
            _reach(Walls(landlock=1), canary),
            _reach(Walls(seccomp=True), canary),
            _reach(Walls(bubblewrap=True), canary) if shutil.which("bwrap") else _nothing(),
        )
    return Walls(
        landlock=landlock["abi"] if landlock.get("file") is False else 0,
        seccomp=seccomp.get("network") is False,
        bubblewrap=bubblewrap.get("file") is False and bubblewrap.get("network") is False,
    )


async def _nothing() -> dict[str, Any]:
    return {}


async def _reach(walls: Walls, canary: dict[str, Any]) -> dict[str, Any]:
    """Return what the canary could reach; nothing where it did not run."""
    output: list[bytes] = []
    line = confined([], Rules(), walls, canary=canary)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            ended = await start(line, output.append, lambda: True)
        found: dict[str, Any] = json.loads(b"".join(output)) if ended.code == 0 else {}
    except (ConversionUnavailable, OSError, TimeoutError, ValueError):
        return {}
    return found
