"""How long a start takes with many unfinished imports: `python -m bench.start [COUNT]`."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from bench.lab.place import compile_sources
from tests.attacks.test_machine_start import leave_behind
from tests.processes import Process
from tests.test_crash import config


async def measure(count: int) -> None:
    """Print the seconds until `/healthz` answers, and until everything has been taken up."""
    compile_sources()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        await leave_behind(folder / "data" / "index.sqlite", count)
        service = Process(config(folder, imports={"max_queued": 2 * count}), loads_anew=True)
        began = time.monotonic()
        starting = asyncio.create_task(service.start())
        while not service.base:
            await asyncio.sleep(0.005)
        async with aiohttp.ClientSession(service.base) as client:
            for path, word in (("/healthz", "ok"), ("/readyz", '"ready"')):
                while word not in await _text(client, path):
                    await asyncio.sleep(0.01)
                spent = cpu_seconds(service.pid)
                sys.stdout.write(
                    f"{path} after {time.monotonic() - began:.2f} s, {spent:.2f} of them of the processor,"
                    f" with {count:,} imports\n"
                )
        await starting
        await service.kill()


def cpu_seconds(pid: int) -> float:
    """Return what a process has used of the processor (proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _text(client: aiohttp.ClientSession, path: str) -> str:
    try:
        async with client.get(path) as answer:
            return await answer.text()
    except aiohttp.ClientError:
        return ""


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
