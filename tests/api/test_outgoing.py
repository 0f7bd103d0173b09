"""Answers go out in as few pieces as they can."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fetcher.api.inbound import connection
from fetcher.api.inbound.answers import MAX_JOINED_BYTES, Outgoing
from tests.service import Running

HEAD, BODY = b"HTTP/1.1 202 Accepted\r\n\r\n", b"{}"


class Kept(asyncio.Transport):
    """A transport that keeps the pieces it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


def begun() -> tuple[Kept, Outgoing]:
    kept = Kept()
    outgoing = Outgoing(kept, asyncio.get_running_loop())
    outgoing.begin()
    return kept, outgoing


async def test_a_head_goes_with_its_body() -> None:
    """An answer that is there at once is one piece, and what follows it is sent as it comes."""
    kept, outgoing = begun()
    outgoing.write(HEAD)
    outgoing.write(BODY)
    outgoing.write(BODY)
    await asyncio.sleep(0)
    assert kept.pieces == [HEAD + BODY, BODY]


async def test_a_head_waits_for_nobody() -> None:
    """The head of a stream goes alone, in the next pass of the loop."""
    kept, outgoing = begun()
    outgoing.write(HEAD)
    assert kept.pieces == []
    await asyncio.sleep(0)
    assert kept.pieces == [HEAD]


async def test_large_bodies_are_not_copied() -> None:
    """A body above the bound goes by itself, behind its head."""
    kept, outgoing = begun()
    outgoing.write(HEAD)
    outgoing.write(bytes(MAX_JOINED_BYTES + 1))
    assert [len(piece) for piece in kept.pieces] == [len(HEAD), MAX_JOINED_BYTES + 1]


async def test_an_invitation_to_go_on_is_no_head() -> None:
    """A client that waits for leave to send its body gets that at once."""
    kept, outgoing = begun()
    outgoing.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert len(kept.pieces) == 1
    outgoing.write(HEAD)
    outgoing.write(BODY)
    assert kept.pieces[1:] == [HEAD + BODY]


async def test_a_connection_that_ends_sends_what_is_kept() -> None:
    """An answer without a body is whole before its connection closes; after that nothing is written."""
    kept, outgoing = begun()
    outgoing.write(HEAD)
    outgoing.close()
    await asyncio.sleep(0)
    assert (kept.pieces, kept.is_closed) == ([HEAD], True)
    kept, outgoing = begun()
    outgoing.write(HEAD)
    kept.close()
    await asyncio.sleep(0)
    assert kept.pieces == []


class Counted:
    """A transport of a service, whose pieces are noted on their way."""

    def __init__(self, transport: asyncio.Transport, pieces: list[bytes]) -> None:
        self._transport, self._pieces = transport, pieces

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Note a piece, and send it."""
        self._pieces.append(bytes(data))
        self._transport.write(data)


async def test_each_answer_of_a_service_is_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a body, without one, for HEAD, and where requests come together: each begins with its own head."""
    pieces: list[bytes] = []

    def counted(transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> Outgoing:
        return Outgoing(Counted(transport, pieces), loop)  # type: ignore[arg-type] # all that is asked of one

    monkeypatch.setattr(connection, "Outgoing", counted)
    asked = ["GET /limits", "HEAD /limits", "GET /v2/images/none", "GET /limits"]
    async with Running(tmp_path) as service:
        host, port = service.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = [f"{what} HTTP/1.1\r\nHost: {host}:{port}\r\n" for what in asked]
        writer.write(("\r\n".join(lines) + "Connection: close\r\n\r\n").encode())
        received = await reader.read(-1)
        writer.close()
    assert b"".join(pieces) == received
    assert [piece.split(b" ")[0] for piece in pieces] == [b"HTTP/1.1"] * len(asked)
    assert [piece.split(b" ")[1] for piece in pieces] == [b"200", b"200", b"404", b"200"]
    bodies = [piece.partition(b"\r\n\r\n")[2] for piece in pieces]
    assert [bool(body) for body in bodies] == [True, False, True, True]
    assert bodies[0] == bodies[3]
