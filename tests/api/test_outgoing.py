"""Answers go out in as few pieces as they can."""

import asyncio

from fetcher.api.inbound.answers import MAX_JOINED_BYTES, Outgoing

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
