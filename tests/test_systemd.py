"""What systemd is told, and takes part in: a real process with systemd's side played by this one."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
import tomlkit

ROOT = Path(__file__).parent.parent
PATIENT_SECONDS = 60
# Does what systemd does between fork and exec: the process id is in LISTEN_PID, the socket is descriptor 3.
STARTER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
os.execv(sys.executable, [sys.executable, "server.py", *sys.argv[3:]])
"""


def configured(folder: Path) -> Path:
    """Write a configuration with a store of its own, on any free port."""
    config = folder / "config.toml"
    server = {"listen": "127.0.0.1:0", "shutdown_seconds": 0.2}
    config.write_text(tomlkit.dumps({"server": server, "store": {"folder": "data", "reserve_bytes": 0}}))
    return config


@pytest.mark.parametrize("is_abstract", [False, True])
async def test_ready_watchdog_and_stopping_are_told(tmp_path: Path, is_abstract: bool) -> None:
    """Ready when clients can come, alive while the loop turns, stopping at the signal."""
    name = f"@fetcher-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0"))
        heard.setblocking(False)
        env = {**os.environ, "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "server.py", "--config", str(configured(tmp_path))),
            cwd=ROOT,
            env=env,
            stderr=asyncio.subprocess.DEVNULL,
        )
        loop = asyncio.get_running_loop()

        async def until(word: str) -> str:
            while word not in (text := (await loop.sock_recv(heard, 4096)).decode()):
                pass
            return text

        try:
            async with asyncio.timeout(PATIENT_SECONDS):
                port = (await until("READY=1")).rpartition(" ")[2].strip(".")
                async with aiohttp.request("GET", f"http://127.0.0.1:{port}/healthz") as answer:
                    assert answer.status == 200
                for _ in range(3):
                    await until("WATCHDOG=1")
                process.send_signal(signal.SIGTERM)
                await until("STOPPING=1")
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_socket_that_is_handed_over_is_served(tmp_path: Path) -> None:
    """A client that came before the service was there gets its answer, and no connection is refused."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        asking = asyncio.create_task(_healthz(port))
        process = await _handed(listening, "1", tmp_path)
        try:
            async with asyncio.timeout(PATIENT_SECONDS):
                assert await asking == 200
        finally:
            process.terminate()
            await process.communicate()


async def test_several_sockets_are_refused_in_words(tmp_path: Path) -> None:
    """A unit that opens more than the service listens on is told so."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = await _handed(listening, "2", tmp_path)
        async with asyncio.timeout(PATIENT_SECONDS):
            _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"give the unit one ListenStream=" in errors
    assert b"Traceback" not in errors


async def _handed(listening: socket.socket, count: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTER, str(listening.fileno()), count),
        *("--config", str(configured(folder))),
        cwd=ROOT,
        pass_fds=(listening.fileno(),),
        stderr=asyncio.subprocess.PIPE,
    )


async def _healthz(port: int) -> int:
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}/healthz") as answer:
        return answer.status
