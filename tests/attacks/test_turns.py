"""Many requests at the same moment: row I27 of the attacks."""

import asyncio
import socket
from pathlib import Path

from fetcher.api.inbound.turns import MAX_BEGUN, Turns
from tests.service import Running

MANY = 200


async def test_i27_a_few_begin_in_each_pass_of_the_loop() -> None:
    """Whatever came together begins in its order, some in each pass; a probe behind it begins at once."""
    begun: list[int] = []
    turns = Turns()
    for number in range(MANY):
        turns.take(lambda number=number: begun.append(number), is_probe=False)  # type: ignore[misc] # kept
    turns.take(lambda: begun.append(-1), is_probe=True)
    assert begun == [*range(MAX_BEGUN), -1]
    passes = 0
    while len(begun) <= MANY:
        before = len(begun)
        await asyncio.sleep(0)
        passes += 1
        assert len(begun) <= before + MAX_BEGUN
    assert passes >= MANY // MAX_BEGUN - 1
    assert begun == [*range(MAX_BEGUN), -1, *range(MAX_BEGUN, MANY)]
    assert len(turns) == 0


async def test_i27_one_that_fails_holds_up_nobody() -> None:
    """What a request raises as it begins is its own."""
    begun: list[int] = []
    turns = Turns()

    def fail() -> None:
        raise RuntimeError("as it begins")

    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    for number in range(3 * MAX_BEGUN):
        turns.take(fail if number == MAX_BEGUN else lambda: begun.append(1), is_probe=False)
    while len(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(begun) == 3 * MAX_BEGUN - 1
    assert len(told) == 1


async def test_i27_health_is_told_before_a_crowd_is_served(tmp_path: Path) -> None:
    """Of two hundred lists that are asked for before `/healthz`, most are answered behind it, and all are."""
    answered: list[str] = []
    loop = asyncio.get_running_loop()

    async def read(client: socket.socket, path: str) -> bytes:
        answer = b""
        while piece := await loop.sock_recv(client, 65_536):
            if not answer:
                answered.append(path)
            answer += piece
        client.close()
        return answer

    async with Running(tmp_path) as service:
        port = int(service.base.rpartition(":")[2])
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(MANY + 1)]
        await service.get("/healthz")  # Who came before it is in by then.
        assert service.silent_clients() == MANY + 1
        paths = ["/v2/images"] * MANY + ["/healthz"]
        # All of it before the loop has a turn.
        for client, path in zip(clients, paths, strict=True):
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            client.setblocking(False)
        answers = await asyncio.gather(*map(read, clients, paths))
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert len(answered) == MANY + 1
    assert answered.index("/healthz") < MANY // 2
