"""Who answers at the port while a start loads and opens things."""

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from urllib.parse import urlsplit

import pytest

from fetcher.api.inbound.answers import plain_answer
from fetcher.config import Settings, load_settings
from fetcher.errors import NotReady
from fetcher.exporter.senders.registry import SENDERS
from fetcher.settings.guards.exports import KINDS
from fetcher.start import early as module
from fetcher.start.early import Early, answer_early
from fetcher.start.early_answers import STARTING
from tests.service import Running
from tests.test_crash import config

ROOT = Path(__file__).parents[2]
PATIENT_SECONDS = 60
DESCRIPTORS = Path("/proc/self/fd")
PATHS = ("/healthz", "/readyz")
HOST = b"Host: 127.0.0.1\r\n\r\n"


class Place:
    """A port with somebody who answers early."""

    def __init__(self, listening: socket.socket, early: Early) -> None:
        self.early = early
        self.address = listening.getsockname()

    def connect(self) -> socket.socket:
        """Connect, and be patient."""
        return socket.create_connection(self.address, timeout=PATIENT_SECONDS)

    def ask(self, request: bytes) -> bytes:
        """Send a request on a connection of its own, and read until the end."""
        with self.connect() as client:
            client.sendall(request)
            return rest(client)


def rest(client: socket.socket) -> bytes:
    """All that comes until they hang up."""
    found = b""
    while piece := client.recv(65_536):
        found += piece
    return found


@contextmanager
def place(settings: Settings | None = None) -> Iterator[Place]:
    """Answer early on a port of loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        early = answer_early(listening, settings or load_settings())
        assert early is not None
        try:
            yield Place(listening, early)
        finally:
            for sock, _peer in early.hand_over():
                sock.close()


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and body of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    named = (field.partition(": ") for field in fields)
    return int(line.split()[1]), {name.lower(): value for name, _, value in named}, body


async def test_probes_are_answered_as_by_the_service(tmp_path: Path) -> None:
    """Status, body and type of each are those of a service that has taken up nothing yet."""
    with place() as early:
        answers = {path: parsed(early.ask(f"GET {path} HTTP/1.1\r\n".encode() + HOST)) for path in PATHS}
    async with Running(tmp_path) as service:
        service.service.app.state.services.importer._is_open = False  # As it is until all has been taken up.
        for path, (status, fields, body) in answers.items():
            async with service.client.get(path) as answer:
                assert (status, body) == (answer.status, await answer.read())
                for name in ("content-type", "content-length", "cache-control", "x-content-type-options"):
                    assert fields[name] == answer.headers[name]
        service.service.app.state.services.importer._is_open = True


@pytest.mark.parametrize("target", ["/imports", "/v2/images", "/metrics", "/healthzz", "*"])
def test_what_is_held_for_long_has_to_come_later(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem is the service's own, in the form that who asks for that path reads; a body is taken."""
    monkeypatch.setattr(module, "HOLD_SECONDS", 0.05)
    with place() as early:
        answer = early.ask(f"POST {target} HTTP/1.1\r\nContent-Length: 4\r\n".encode() + HOST + b"body")
    assert answer == plain_answer(NotReady(reason=STARTING), target.encode())
    assert parsed(answer)[1]["retry-after"] == "5"


def test_everything_but_health_is_the_services_to_answer() -> None:
    """Who submits as soon as it is said to be alive is handed over with the whole request."""
    request = b"POST /imports HTTP/1.1\r\nContent-Length: 4\r\n" + HOST + b"body"
    with place() as early, early.connect() as client:
        client.sendall(request)
        assert parsed(early.ask(b"GET /healthz HTTP/1.1\r\n" + HOST))[0] == 200
        ((sock, peer),) = early.early.hand_over()
        assert peer == client.getsockname()
        sock.settimeout(PATIENT_SECONDS)
        found = b""
        while len(found) < len(request):
            found += sock.recv(65_536)
        assert found == request
        sock.close()


def test_who_is_held_makes_room_for_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait for the service, health is told; the first of them are told to come again."""
    monkeypatch.setattr(module, "MAX_CLIENTS", 8)
    with place() as early:
        crowd = [early.connect() for _ in range(8)]
        for client in crowd:
            client.sendall(b"GET /limits HTTP/1.1\r\n" + HOST)
        while sum(client.is_held for client in [*early.early._clients.values()]) < len(crowd):
            time.sleep(0.001)
        assert parsed(early.ask(b"GET /healthz HTTP/1.1\r\n" + HOST))[0] == 200
        assert parsed(rest(crowd[0]))[0] == 503
        for client in crowd:
            client.close()


@pytest.mark.parametrize(
    "head",
    [
        b"Host: rebound.example\r\n\r\n",
        b"Host: 127.0.0.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"\r\n",
        b"X: " + b"a" * 40_000 + b"\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=["another's", "two", "none", "large"],
)
def test_health_is_told_to_those_who_mean_this_service(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom the service would refuse is not told that it is well."""
    monkeypatch.setattr(module, "HOLD_SECONDS", 0.05)
    with place() as early:
        assert parsed(early.ask(b"GET /healthz HTTP/1.1\r\n" + head))[0] == 503


def test_heads_alone_and_paths_of_proxies_are_known() -> None:
    """HEAD has the fields of GET and no body; the path that a proxy offers us below is taken off."""
    settings = load_settings(None, {"server": {"public_url": "http://a.example/glance"}})
    with place(settings) as early:
        whole = early.ask(b"GET /glance/healthz HTTP/1.1\r\n" + HOST)
        assert parsed(whole)[0] == 200
        head = early.ask(b"HEAD /healthz HTTP/1.0\r\n" + HOST)
        assert head == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_half_a_head_and_silence_are_handed_over_unread() -> None:
    """Whoever has not been answered is the service's then, with every byte; whoever has is not."""
    with place() as early:
        silent, half = early.connect(), early.connect()
        half.sendall(b"GET /imports HTTP/1.1\r\n")
        answered = early.connect()
        answered.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST)
        assert b" 200 OK" in answered.recv(65_536)
        names = {client.getsockname() for client in (silent, half)}
        handed = early.early.hand_over()
        assert {peer for _sock, peer in handed} == names
        half.sendall(HOST)
        found = {peer: sock for sock, peer in handed}[half.getsockname()]
        found.settimeout(PATIENT_SECONDS)
        text = b""
        while len(text) < len(b"GET /imports HTTP/1.1\r\n" + HOST):
            text += found.recv(65_536)
        assert text == b"GET /imports HTTP/1.1\r\n" + HOST
        for sock, _peer in handed:
            sock.close()
        early.connect().close()  # The kernel still takes clients in.
        assert rest(answered) == b""
        for client in (silent, half, answered):
            client.close()


def test_silence_ends_and_a_crowd_of_it_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent clients have the head's deadline, and the first of them leave for those who ask."""
    settings = load_settings(None, {"inbound": {"head_seconds": 0.1}})
    with place(settings) as early, early.connect() as silent:
        assert rest(silent) == b""
    monkeypatch.setattr(module, "MAX_CLIENTS", 8)
    with place() as early:
        crowd = [early.connect() for _ in range(64)]
        assert parsed(early.ask(b"GET /healthz HTTP/1.1\r\n" + HOST))[0] == 200
        for client in crowd[:32]:
            assert rest(client) == b""
        for client in crowd:
            client.close()


def test_a_machine_without_descriptors_starts_all_the_same() -> None:
    """Where nobody can answer early, the port is still bound, and nothing is left behind."""
    settings = load_settings()
    threads, limits = threading.active_count(), getrlimit(RLIMIT_NOFILE)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        before = len([*DESCRIPTORS.iterdir()])
        setrlimit(RLIMIT_NOFILE, (3, limits[1]))
        try:
            assert answer_early(listening, settings) is None
        finally:
            setrlimit(RLIMIT_NOFILE, limits)
        assert len([*DESCRIPTORS.iterdir()]) == before
        socket.create_connection(listening.getsockname(), timeout=PATIENT_SECONDS).close()
    assert threading.active_count() == threads


def test_the_known_senders_are_those_that_there_are() -> None:
    """A kind that the early judgement takes for a sender's is one's."""
    assert {sender.name for sender in SENDERS} == KINDS


async def test_a_bad_configuration_opens_no_port(tmp_path: Path) -> None:
    """A start that cannot succeed answers nobody: also where others have to be asked about the mistake."""
    own = config(tmp_path, exports={"kinds": ["drawer"]})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "server.py", "--config", str(own)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), PATIENT_SECONDS)
    assert process.returncode == 2
    assert said.startswith(b"exports.kinds = ")
    assert b"http://" not in said


async def test_a_client_of_the_start_is_one_of_the_service(tmp_path: Path) -> None:
    """As soon as the port is named it answers; who has sent half a head by then gets the service's answer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "server.py", "--config", str(config(tmp_path))),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENT_SECONDS):
            while not (line := await process.stderr.readline()).startswith(b"  page"):
                assert line
            address = urlsplit(line.split()[1].decode())
            host, port = str(address.hostname), int(address.port or 0)
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /limits HTTP/1.1\r\n")
            said = await asked(host, port, b"GET /healthz HTTP/1.1\r\n" + HOST)
            assert parsed(said)[0] == 200
            assert "x-openstack-request-id" not in parsed(said)[1]  # Nobody but the early one is there yet.
            assert parsed(await asked(host, port, b"GET /readyz HTTP/1.1\r\n" + HOST))[0] == 503
            held = parsed(await asked(host, port, b"GET /limits HTTP/1.0\r\n" + HOST))
            assert (held[0], "x-openstack-request-id" in held[1]) == (200, True)
            writer.write(b"Connection: close\r\n" + HOST)
            status, fields, body = parsed(await reader.read())
            assert (status, "x-openstack-request-id" in fields) == (200, True)
            assert "limits" in json.loads(body)
            writer.close()
    finally:
        process.terminate()
        await process.communicate()


async def asked(host: str, port: int, request: bytes) -> bytes:
    """Send a request on a connection of its own, and read until the end."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()
