"""Whatever a server says, a pull ends in time, with bytes it sent or an error of ours, and nothing open."""

import asyncio

from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.transport import Gate, SourceRequest
from fuzz.choices import Choices
from tests.lab import Origin, lab_settings
from tests.lab.origin import Exchange

INSTRUMENT = ["fetcher.transport", "fetcher.guards"]
SECRET = "Kx7QpZ9"
SECONDS = 5.0
HEADS = (
    *(
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 206 Part\r\n",
        "HTTP/1.1 302 Found\r\n",
        "HTTP/1.1 304 N\r\n",
    ),
    *(
        "HTTP/1.1 103 Early\r\n\r\n",
        "HTTP/1.1 100 C\r\n\r\n",
        "HTTP/1.1 416 R\r\n",
        f"HTTP/1.1 200 {SECRET}\r\n",
    ),
    *(
        "HTTP/1.1 404 N\r\n",
        "HTTP/2 200\r\n",
        f"{SECRET}\r\n",
        "\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 101 S\r\n",
    ),
)
FIELDS = (
    *(
        "Content-Length: 3\r\n",
        "Content-Length: 10\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
    ),
    *(
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Content-Range: bytes 5-9/10\r\n",
        'ETag: "v1"\r\n',
    ),
    *(
        "Location: /x\r\n",
        "Location: /y\r\n",
        "Location: http://127.0.0.2/\r\n",
        "Location: //a.example/\r\n",
    ),
    *(
        "Content-Encoding: gzip\r\n",
        f"X: {SECRET}\r\n",
        "Upgrade: x\r\n",
        "X: a\r\n b\r\n",
        "Set-Cookie: a=b\r\n",
    ),
    *("Content-Length: 9223372036854775808\r\n", "X:\x00\r\n", "Accept-Ranges: bytes\r\n", "Trailer: X\r\n"),
    *("Repr-Digest: sha-256=:AAAA:\r\n", "Retry-After: 99999\r\n", "Content-Type: multipart/byteranges\r\n"),
)
BODIES = (
    *(
        "abc",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "\r\n",
        "a" * 70_000,
        "5\r\nabc\r\n",
        "zz\r\n",
        "3;x=y\r\nabc\r\n",
    ),
    *(
        "ffffffffffffffff\r\n",
        "0\r\nX: y\r\n\r\n",
        SECRET,
        "HTTP/1.1 200 OK\r\n\r\n",
        "1\r\na\r\n" * 200,
        "\x00",
    ),
)
REQUESTS = (
    {},
    {"offset": 5},
    {"offset": 5, "if_range": '"v1"'},
    {"offset": 5, "length": 5},
    {"if_none_match": '"v1"'},
)


class Lab:
    """An origin and a gate that live through a whole run; starting them anew would cost most of the time."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.gate = Gate()
        self.script: list[bytes | str] = []
        self.origin = Origin({"*": self._play})
        self.loop.run_until_complete(self.origin.__aenter__())
        self.settings: Settings = lab_settings(
            self.origin, pace={"idle_seconds": 0.02, "header_seconds": 0.02, "chain_seconds": 0.5}
        )

    async def pull(self, request: SourceRequest) -> float:
        """Pull once and check what came of it; how many seconds it took."""
        loop = asyncio.get_running_loop()
        began, received = loop.time(), b""
        try:
            async with self.gate.open(request, self.settings, lambda _: None) as source:
                while chunk := await source.read():
                    received += chunk
                if request.offset and source.status == 206:
                    assert source.offset == request.offset
                if source.length_verified and source.declared_bytes is not None and request.length is None:
                    assert source.offset + len(received) == source.declared_bytes
        except Failure as failure:
            assert SECRET not in f"{failure} {failure.fields()} {failure.public()} {failure.public_fields()}"
        sent = b"".join(step if isinstance(step, bytes) else step.encode() for step in self.script)
        assert len(received) <= len(sent)
        seconds = loop.time() - began
        await self.origin.wait_idle()
        assert len(asyncio.all_tasks()) == 1
        assert not self.origin.errors
        self.origin.requests.clear()
        return seconds

    async def _play(self, exchange: Exchange) -> None:
        for step in self.script:
            if step == "reset":
                exchange.reset()
                return
            if step == "stall":
                await exchange.wait_gone()
                return
            if step == "yield":
                await asyncio.sleep(0)
            else:
                await exchange.send(step)


_LAB: list[Lab] = []


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    if not _LAB:
        _LAB.append(Lab())
    lab, choices = _LAB[0], Choices(seed)
    request = SourceRequest(url=lab.origin.url("/x"), **choices.pick(REQUESTS))
    lab.script = [choices.pick(HEADS)]
    while not choices.is_over and len(lab.script) < 24:
        kind = choices.number(16)
        if kind < 7:
            lab.script.append(choices.pick(FIELDS))
        elif kind < 12:
            lab.script.append(choices.pick(BODIES))
        elif kind == 12:
            lab.script.append(choices.raw(choices.number(32)))
        else:
            lab.script.append(choices.pick(("\r\n", "yield", "reset", "stall", *HEADS)))
    # A process that stood still in between is no finding: that does not happen twice.
    assert any(lab.loop.run_until_complete(lab.pull(request)) < SECONDS for _ in range(2))
