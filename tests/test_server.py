"""`python server.py`: what an operator types, and what it answers."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fetcher.service import Service
from fetcher.service.reloading import Reloads
from fetcher.start.command import main
from tests.processes import Process, tell
from tests.service import Running

ROOT = Path(__file__).parent.parent
MANY = 200  # Signals in a storm.
CLI = "from fetcher.cli import main; main()"


def test_check_config_lists_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each mistake with its key, its value and what is expected; the exit code is for scripts."""
    file = tmp_path / "bad.toml"
    file.write_text('[size]\nmax_bytes = "many"\n[pace]\nidle_seconds = -1\n[srever]\n')
    assert main(["--config", str(file), "--check-config"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith('size.max_bytes = "many": expected') for line in said)
    assert any(line.startswith("pace.idle_seconds = -1: expected") for line in said)
    assert any(line.startswith("srever") for line in said)
    assert len(said) == 3


def test_check_config_of_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file is said to be one, and nothing is started."""
    file = tmp_path / "good.toml"
    file.write_text("[size]\nmax_bytes = 5\n")
    assert main(["--config", str(file), "--check-config"]) == 0
    assert "valid" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file]


def test_listen_is_checked_like_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Local mode lets everybody in, so it refuses to listen where others can reach it."""
    assert main(["--listen", "0.0.0.0:9292", "--check-config"]) == 2
    assert "loopback" in capsys.readouterr().err


def test_a_missing_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped path ends in a sentence."""
    assert main(["--config", str(tmp_path / "nope.toml")]) == 2
    assert "nope.toml" in capsys.readouterr().err


def test_a_port_in_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The service does not start beside another one on its port."""
    mask = os.umask(0o077)
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            assert main(["--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    finally:
        os.umask(mask)
    assert "in use" in capsys.readouterr().err.lower()


async def test_a_store_that_somebody_has_is_said(tmp_path: Path) -> None:
    """A second service on one store says so in one line, without a way through our code, and ends."""
    async with Running(tmp_path) as service:
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "server.py"), "--config", str(service.config)),
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        _, said = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode
    assert b"Cannot start: " in said
    assert b"in use by another process" in said
    assert b"Traceback" not in said


def test_the_reserve_is_the_larger_of_both() -> None:
    """A small disk keeps its percent, a large one its bytes."""
    changes = {"store": {"reserve_bytes": 1000, "reserve_percent": 10.0}}
    service = Service(None, changes)
    assert service.reserve(1_000_000) == 100_000
    assert service.reserve(100) == 1000


async def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    """A person who stops `make run` by Ctrl-C sees an orderly end."""
    config = tmp_path / "own.toml"
    config.write_text('[server]\nlisten = "127.0.0.1:0"\n[store]\nfolder = "data"\n')
    async with Process(config, loads_anew=True) as service:
        assert await service.kill(signal.SIGINT) == 0
    assert b"Traceback" not in b"".join(service.said)


@pytest.mark.parametrize("command", [[str(ROOT / "server.py")], ["-c", CLI, "serve"]])
async def test_a_reload_too_soon_or_too_late_ends_nothing(command: list[str], tmp_path: Path) -> None:
    """SIGHUP before the service listens, and while it stops: it starts, and ends as it was told to."""
    Running(tmp_path).write_config()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, "--config", str(tmp_path / "config.toml")),
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    status = Path(f"/proc/{process.pid}/status")
    while not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) & 1:  # Bit 0: SIGHUP (proc(5)).
        assert process.returncode is None
        await asyncio.sleep(0.001)
    assert process.stderr is not None
    tell(process, signal.SIGHUP)
    said = b""
    while b"http://" not in said:
        line = await process.stderr.readline()
        assert line, said
        said += line
        tell(process, signal.SIGHUP)
    while b'"audit.head"' not in said:
        said += await process.stderr.readline()
    tell(process, signal.SIGTERM)
    rest = asyncio.create_task(process.stderr.read())
    while process.returncode is None:
        tell(process, signal.SIGHUP)
        await asyncio.sleep(0.05)
    assert process.returncode == -signal.SIGTERM, await rest


async def test_what_is_asked_for_meanwhile_is_done_once_after_it() -> None:
    """A hundred requests during one reload make one more, which begins after it has ended."""
    done, begun, go_on = 0, asyncio.Event(), asyncio.Event()

    async def reload() -> None:
        nonlocal done
        begun.set()
        await go_on.wait()
        done += 1

    reloads = Reloads(reload)
    reloads.ask()
    await begun.wait()
    for _ in range(100):
        reloads.ask()
    go_on.set()
    while done < 2:
        await asyncio.sleep(0)
    await reloads.close()
    assert done == 2
    reloads.ask()
    await asyncio.sleep(0)
    assert done == 2


async def test_m23_a_storm_of_signals_reads_the_file_twice(tmp_path: Path) -> None:
    """However many SIGHUPs come while a file is read, it is read once more, and what it says last holds."""
    async with Running(tmp_path) as service:
        with capture_logs() as lines:
            for number in range(1, MANY + 1):
                service.write_config(size={"max_bytes": number})
                os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(60):
                while (await service.get("/limits"))["limits"]["max_bytes"]["value"] != MANY:
                    await asyncio.sleep(0.01)
                await service.get("/healthz")
        assert [line["event"] for line in lines].count("config.taken") <= 2
