"""Row I24: a crowd at the door: whoever is inside is served between two who come in."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from fetcher.api.inbound import server as inbound
from tests.service import Running

CLIENTS = 300


async def test_i24_a_crowd_is_let_in_by_and_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait at the door, the loop gets its turn after a few of them."""
    taken: list[int] = []
    accept_some = inbound.Listener._accept_some

    def counted(listener: inbound.Listener) -> None:
        before = len(listener._crowd)
        accept_some(listener)
        taken.append(len(listener._crowd) - before)

    monkeypatch.setattr(inbound.Listener, "_accept_some", counted)
    async with Running(tmp_path) as service:
        host, port = service.base.removeprefix("http://").split(":")
        with ExitStack() as opened:
            for _ in range(CLIENTS):  # The kernel takes them while the loop is held by this.
                opened.enter_context(socket.create_connection((host, int(port))))
            async with asyncio.timeout(60):
                while sum(taken) < CLIENTS:
                    await asyncio.sleep(0)
            assert max(taken) <= inbound.MOST_ACCEPTED_AT_ONCE < CLIENTS // 10
            assert (await service.call("GET", "/healthz"))[0] == 200
