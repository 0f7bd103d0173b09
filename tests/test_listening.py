"""A service behind a proxy on the same machine: on a path, and what the proxy says of clients."""

import asyncio
import signal
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import tomlkit

from fetcher.config import BadConfig, load_settings
from fetcher.listening import bind, release, release_if_open
from fetcher.settings.server import Server
from tests.processes import tell
from tests.service import Running

ROOT = Path(__file__).parent.parent
PATIENT_SECONDS = 60
FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Accept": "text/html"}


async def until_answered(client: aiohttp.ClientSession) -> None:
    """Ask until there are images to list: the path is there before the service has started."""
    while True:
        with suppress(aiohttp.ClientConnectionError):
            async with client.get("/v2/images") as answer:
                if answer.status == 200:
                    return
        await asyncio.sleep(0.02)


async def test_a_start_that_is_ended_leaves_no_path(tmp_path: Path) -> None:
    """SIGTERM while modules are loaded ends the process at once, and the path goes with it."""
    path, config = tmp_path / "run.sock", tmp_path / "config.toml"
    config.write_text(tomlkit.dumps({"server": {"listen": f"unix:{path}"}, "store": {"folder": "data"}}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "server.py", "--config", str(config)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENT_SECONDS):
        assert process.stderr is not None
        while b"  data" not in (line := await process.stderr.readline()):
            assert line, "the service ended by itself"
        assert path.is_socket()
        tell(process, signal.SIGTERM)
        await process.communicate()
    assert process.returncode == -signal.SIGTERM
    assert not path.exists()


def test_what_ends_a_start_leaves_the_path_of_another(tmp_path: Path) -> None:
    """A signal after an orderly stop finds the socket closed: what lies at its path is another's."""
    server = listening_at(f"unix:{tmp_path}/run.sock")
    listening = bind(server)
    release(listening, server)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(server.path))
        release_if_open(listening, server)
        assert server.path is not None
        assert server.path.is_socket()


def listening_at(listen: str) -> Server:
    return load_settings(None, {"server": {"listen": listen}}).server


async def test_the_service_is_reached_on_a_path(tmp_path: Path) -> None:
    """Owner and group may open it, requests are answered, and it goes with the service."""
    path, config = tmp_path / "run.sock", tmp_path / "config.toml"
    server = {"listen": f"unix:{path}", "shutdown_seconds": 0.2}
    config.write_text(tomlkit.dumps({"server": server, "store": {"folder": "data", "reserve_bytes": 0}}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "server.py", "--config", str(config)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENT_SECONDS):
            assert process.stderr is not None
            while b"  page" not in (line := await process.stderr.readline()):
                assert line, "the service ended by itself"
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            connector = aiohttp.UnixConnector(str(path))
            async with aiohttp.ClientSession("http://localhost", connector=connector) as client:
                await until_answered(client)
                async with client.get("/", headers=FORWARDED) as answer:
                    assert "Secure" in answer.headers["Set-Cookie"]
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode in {0, -signal.SIGTERM}
    assert not path.exists()


def test_what_a_killed_service_left_is_replaced(tmp_path: Path) -> None:
    """A path that nobody answers on is taken over."""
    server = listening_at(f"unix:{tmp_path}/run.sock")
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "run.sock"))
    listening = bind(server)
    release(listening, server)
    assert list(tmp_path.iterdir()) == []


def test_a_path_in_use_is_left_alone(tmp_path: Path) -> None:
    """A living service keeps its clients."""
    server = listening_at(f"unix:{tmp_path}/run.sock")
    first = bind(server)
    first.listen()
    with pytest.raises(OSError, match="in use"):
        bind(server)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "run.sock"))
    release(first, server)


def test_a_file_is_not_a_socket(tmp_path: Path) -> None:
    """Whatever else lies at the path stays as it is."""
    path = tmp_path / "run.sock"
    path.write_text("somebody's")
    with pytest.raises(OSError, match="in use"):
        bind(listening_at(f"unix:{path}"))
    assert path.read_text() == "somebody's"


@pytest.mark.parametrize("listen", ["unix:run.sock", "unix:", "/run/x.sock", f"unix:/{'x' * 200}"])
def test_a_path_that_cannot_be_one_is_refused(listen: str) -> None:
    """Relative, empty or too long for the kernel (unix(7)): told before anything starts."""
    with pytest.raises(BadConfig, match=r"server\.listen"):
        listening_at(listen)


@pytest.mark.parametrize(
    ("proxies", "is_believed"), [(["127.0.0.0/8"], True), ([], False), (["10.0.0.0/8"], False)]
)
async def test_only_named_proxies_are_believed(
    tmp_path: Path, proxies: list[str], is_believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a client came by https is taken from `inbound.proxies`; no environment variable adds to them."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with (
        Running(tmp_path, inbound={"proxies": proxies}) as service,
        service.client.get("/", headers=FORWARDED) as answer,
    ):
        assert ("Secure" in answer.headers["Set-Cookie"]) == is_believed


async def test_an_edited_list_of_proxies_holds_at_once(tmp_path: Path) -> None:
    """After a reload the next request is judged by the new list."""
    async with Running(tmp_path) as service:
        service.write_config(inbound={"proxies": ["127.0.0.1/32"]})
        service.service.reload()
        async with service.client.get("/", headers=FORWARDED) as answer:
            assert "Secure" in answer.headers["Set-Cookie"]
