"""Asking the operator's name servers ourselves: no thread, no search domain, no hosts file."""

import asyncio
import secrets
import struct
from collections.abc import Sequence

from fetcher.transport.dns_message import AAAA, A, Answer, BadMessage, ask, read

# How long one server is waited for before the next is asked; all are asked twice.
TRY_SECONDS = 1.0
ROUNDS = 2


class NoAnswer(OSError):
    """No server gave an answer of use."""


async def look_up(name: str, servers: Sequence[str], try_seconds: float = TRY_SECONDS) -> list[str]:
    """Find the addresses of both families, IPv6 first.

    Args:
        name: Absolute, in A-labels.
        servers: `host:port` of each; asked in this order.
        try_seconds: For each server and round.

    Raises:
        OSError: There is no such name, or no server answers.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask_all(name, kind, servers, try_seconds)) for kind in (AAAA, A)]
    answers = [task.result() for task in tasks]
    found = [address for answer in answers for address in answer.addresses]
    if not found and any(answer.code for answer in answers):
        raise NoAnswer
    return found


async def _ask_all(name: str, kind: int, servers: Sequence[str], try_seconds: float) -> Answer:
    answer = Answer(code=2, is_cut=False, addresses=())
    for _ in range(ROUNDS):
        for server in servers:
            try:
                async with asyncio.timeout(try_seconds):
                    answer = await _ask_one(name, kind, server)
            except (OSError, EOFError, BadMessage):
                continue
            if answer.code in {0, 3}:
                return answer
    return answer


async def _ask_one(name: str, kind: int, server: str) -> Answer:
    host, _, port = server.rpartition(":")
    number = secrets.randbelow(65536)
    question = ask(name, kind, number)
    host = host.strip("[]")
    loop = asyncio.get_running_loop()
    # Connected, so that the kernel drops what others send; its port is the kernel's random choice.
    transport, asking = await loop.create_datagram_endpoint(
        lambda: _Asking(name, kind, number), remote_addr=(host, int(port))
    )
    try:
        transport.sendto(question)
        answer = await asking.answered
    finally:
        transport.close()
    return answer if not answer.is_cut else await _ask_by_tcp(name, kind, number, (host, int(port)))


async def _ask_by_tcp(name: str, kind: int, number: int, server: tuple[str, int]) -> Answer:
    reader, writer = await asyncio.open_connection(*server)
    try:
        question = ask(name, kind, number)
        writer.write(struct.pack("!H", len(question)) + question)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return read(await reader.readexactly(size), name, kind, number)
    finally:
        writer.transport.abort()


class _Asking(asyncio.DatagramProtocol):
    """Waits for the datagram that answers; all others are somebody's guesses."""

    def __init__(self, name: str, kind: int, number: int) -> None:
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._question = (name, kind, number)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - connected
        """Take the answer, if it is one."""
        if self.answered.done():
            return
        try:
            self.answered.set_result(read(data, *self._question))
        except BadMessage:
            return

    def error_received(self, exc: Exception) -> None:
        """Give up this try: nobody listens there."""
        if not self.answered.done():
            self.answered.set_exception(exc)
