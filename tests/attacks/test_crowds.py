"""Rows I06 and I24: a crowd at the door: whoever is inside is served between two who come in."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from fetcher.api.inbound.crowd import MAX_LEAVING, Crowd, Place
from fetcher.api.inbound.door import listener as door
from fetcher.config import load_settings
from tests.service import Running

CLIENTS = 300


async def test_i24_a_crowd_is_let_in_by_and_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait at the door, the loop gets its turn after a few of them."""
    taken: list[int] = []
    accept_some = door.Listener._accept_some

    def counted(listener: door.Listener) -> None:
        before = len(listener._crowd)
        accept_some(listener)
        taken.append(len(listener._crowd) - before)

    monkeypatch.setattr(door.Listener, "_accept_some", counted)
    async with Running(tmp_path) as service:
        host, port = service.base.removeprefix("http://").split(":")
        with ExitStack() as opened:
            for _ in range(CLIENTS):  # The kernel takes them while the loop is held by this.
                opened.enter_context(socket.create_connection((host, int(port))))
            async with asyncio.timeout(60):
                while sum(taken) < CLIENTS:
                    await asyncio.sleep(0)
            assert max(taken) <= door.MAX_ACCEPTED_AT_ONCE < CLIENTS // 4
            assert (await service.call("GET", "/healthz"))[0] == 200


class Silent:
    """A client of no socket, which only tells what became of it."""

    def __init__(self) -> None:
        self.is_leaving = self.has_left = False

    def leave_soon(self) -> None:
        self.is_leaving = True

    def leave(self) -> None:
        self.has_left = True


def test_i06_who_is_sent_away_is_not_back_at_once() -> None:
    """Their place is another's at once; they are hung up on later, but for the first where there are many."""
    rules = load_settings(changes={"inbound": {"max_connections": 10}}).inbound
    crowd = Crowd(lambda: rules, 2 * MAX_LEAVING)
    clients = [Silent() for _ in range(10 + MAX_LEAVING + 5)]
    for client in clients:
        assert crowd.admit("192.0.2.1") is Place.NORMAL
        crowd.enter(client, "192.0.2.1", Place.NORMAL)
    assert len(crowd) == 10
    assert [client.is_leaving for client in clients] == [True] * (MAX_LEAVING + 5) + [False] * 10
    assert [client.has_left for client in clients] == [True] * 5 + [False] * (MAX_LEAVING + 10)
    crowd.exit(clients[5])  # Gone by itself.
    assert crowd.make_room()  # The machine is short of descriptors: those who leave have one each.
    assert [client.has_left for client in clients[5:8]] == [False, True, False]
    assert len(crowd) == 10
